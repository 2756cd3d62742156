"""The truth beside plainer truth: quadrature, numpy's moments, drawn samples."""

from dataclasses import replace

import jax
import numpy as np

from airmass.diffusion.samplers import known_samplers
from tests.diffusion.gaussian import Mixture, exact_moments, sampled_moments

MIXTURE = Mixture.build(np.array([0.2, 0.8]), np.array([[-1.0], [0.5]]), np.array([[[0.3]], [[0.1]]]))


def test_denoiser_is_the_posterior_mean_by_quadrature():
    x = np.linspace(-6, 6, 4001)
    density = np.exp(np.asarray(MIXTURE.log_density(x[:, None]), np.float64))
    np.testing.assert_allclose(density.sum() * (x[1] - x[0]), 1, rtol=1e-5)
    for y, level in [(-1.5, 0.3), (0.2, 1.0), (4.0, 5.0)]:
        posterior = density * np.exp(-((y - x) ** 2) / (2 * level**2))
        expected = (posterior * x).sum() / posterior.sum()
        np.testing.assert_allclose(MIXTURE.denoise(np.float32([y]), level)[0], expected, rtol=1e-4)


def test_denoiser_is_tweedies_formula_with_correlated_parts():
    mixture = Mixture.build(
        np.array([0.4, 0.6]),
        np.array([[-1.0, 0.3], [0.5, 0]]),
        np.array([[[0.3, 0.2], [0.2, 0.4]], [[0.1, 0], [0, 0.2]]]),
    )
    y = np.float32([0.3, -0.7])
    score = jax.grad(lambda y: mixture.log_density(y, 0.6))(y)
    np.testing.assert_allclose(mixture.denoise(y, 0.6), y + 0.6**2 * score, rtol=1e-5)
    draws = np.asarray(mixture.draw(jax.random.key(0), 100_000), np.float64)
    np.testing.assert_allclose(draws.mean(axis=0), [-0.1, 0.12], atol=0.015)


def test_moments_without_draws_are_those_of_draws():
    denoiser = jax.jit(lambda y, level: 1 + 0.5 / (0.5 + level**2) * (y - 1))
    keys = jax.random.split(jax.random.key(0), 1000)
    for name in ("ddpm", "dpmpp-2s", "predictor-corrector"):
        sampler = known_samplers()[name](levels=10)
        samples = sampler.sample(denoiser, lambda number: jax.random.normal(keys[number], (40_000,)))
        mean, variance = sampled_moments(sampler, 1.0, 0.5)
        np.testing.assert_allclose(samples.mean(), mean, atol=4 * np.sqrt(variance / 40_000))
        np.testing.assert_allclose(samples.var(), variance, rtol=4 * np.sqrt(2 / 40_000))


def test_exact_moments_are_those_of_very_many_steps():
    for name, stochastic in (("heun", False), ("reverse-sde", True)):
        sampler = known_samplers()[name](10.0, 0.2, levels=600)
        grid = replace(sampler.grid, raised=sampler.grid.times)
        found = sampled_moments(sampler, 1.0, 0.5, grid)
        np.testing.assert_allclose(found, exact_moments(grid, 1.0, 0.5, stochastic), atol=3e-3)
