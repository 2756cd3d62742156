"""Conversions beside each other, beside EDM's scalings, and beside the exact denoiser of Gaussian data."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from airmass.diffusion.objectives import OBJECTIVES, objective
from airmass.diffusion.precondition import denoise, loss_weight
from airmass.diffusion.predictions import PREDICTIONS, convert_prediction, denoiser_of
from airmass.diffusion.process import EDM, VE, VP
from airmass.diffusion.samplers.ddim import DDIM
from airmass.diffusion.time_grid import TimeGrid
from tests.diffusion.gaussian import exact_moments, sampled_moments
from tests.diffusion.test_process import each, some_times

VARIANCE = 0.4


@pytest.mark.parametrize("pair", list(itertools.permutations(PREDICTIONS, 2)), ids="-".join)
@each
def test_round_trips_are_exact(pair, process):
    source, back = (PREDICTIONS[name] for name in pair)
    x0, noise = np.random.default_rng(0).normal(size=(2, 8))
    for t in some_times(process):
        alpha, sigma = process.alpha(t), process.sigma(t)
        x, output = alpha * x0 + sigma * noise, source.of(x0, noise, alpha, sigma)
        np.testing.assert_allclose(source.split(output, x, alpha, sigma)[0], x0, rtol=1e-9, atol=1e-6)
        other = convert_prediction(output, x, alpha, sigma, source, back)
        np.testing.assert_allclose(other, back.of(x0, noise, alpha, sigma), rtol=1e-9, atol=1e-6)
        np.testing.assert_allclose(
            convert_prediction(other, x, alpha, sigma, back, source), output, rtol=1e-9, atol=1e-6
        )


@pytest.mark.parametrize("sigma", [0.02, 0.5, 88.0])
def test_edm_is_the_network_inside_denoise(sigma):
    x, output = np.random.default_rng(0).normal(size=(2, 9)).astype(np.float32)
    ours = PREDICTIONS["edm"].split(output, x, 1.0, sigma)[0]
    np.testing.assert_allclose(ours, denoise(lambda y, s: output, x, np.float32(sigma)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(PREDICTIONS["edm"].gain(1.0, sigma), loss_weight(np.float32(sigma)), rtol=1e-5)


def test_v_is_the_speed_along_the_circle_of_alpha_and_sigma():
    """Salimans & Ho 2022: with alpha = cos, sigma = sin of an angle, v = d x / d angle."""
    x0, noise, angle = 0.3, -1.2, 0.7
    speed = jax.grad(lambda angle: jnp.cos(angle) * x0 + jnp.sin(angle) * noise)(angle)
    np.testing.assert_allclose(PREDICTIONS["v"].of(x0, noise, np.cos(angle), np.sin(angle)), speed, rtol=1e-6)


@each
def test_score_of_gaussian_data_is_the_gradient_of_their_log_density(process):
    for t in some_times(process):
        alpha, sigma = process.alpha(t), process.sigma(t)
        x = np.array([-1.0, 0.5]) * sigma
        clean = alpha * VARIANCE / (alpha**2 * VARIANCE + sigma**2) * x
        score = convert_prediction(clean, x, alpha, sigma, PREDICTIONS["x0"], PREDICTIONS["score"])
        np.testing.assert_allclose(score, -x / (alpha**2 * VARIANCE + sigma**2), rtol=1e-6)


# Four pairs of data and noise with the second moments of VARIANCE and 1, uncorrelated: exact expectations of squares.
DATA = np.sqrt(VARIANCE) * np.array([1.0, 1, -1, -1])
NOISE = np.array([1.0, -1, 1, -1])


@pytest.mark.parametrize("name", OBJECTIVES)
@each
def test_the_minimiser_over_linear_networks_is_the_exact_denoiser(name, process):
    trained = objective(name, process)
    with jax.enable_x64():
        for t in some_times(process)[::8]:
            loss = lambda slope, t=t: trained.at(lambda x, _: slope * x, DATA, NOISE, t)  # noqa: E731
            slope = -jax.grad(loss)(0.0) / jax.grad(jax.grad(loss))(0.0)  # a parabola's lowest point
            alpha, sigma = process.alpha(t), process.sigma(t)
            clean = convert_prediction(slope, jnp.ones(()), alpha, sigma, trained.prediction, PREDICTIONS["x0"])
            np.testing.assert_allclose(
                clean, alpha * VARIANCE / (alpha**2 * VARIANCE + sigma**2), rtol=1e-6, atol=1e-12
            )


@pytest.mark.parametrize("name", OBJECTIVES)
@each
def test_every_loss_is_a_known_multiple_of_that_of_the_data(name, process):
    """The same wrong answer, told as data and in each other way."""
    trained, plain = objective(name, process), objective("x0", process)
    for t in some_times(process)[::8]:
        alpha, sigma = process.alpha(t), process.sigma(t)

        def told(x, t, alpha=alpha, sigma=sigma):
            return convert_prediction(np.tanh(x), x, alpha, sigma, PREDICTIONS["x0"], trained.prediction)

        gain = trained.weight(alpha, sigma) * trained.prediction.gain(alpha, sigma)
        expected = gain * plain.at(lambda x, t: np.tanh(x), DATA, NOISE, t)
        np.testing.assert_allclose(trained.at(told, DATA, NOISE, t), expected, rtol=1e-4)


def test_gains_are_powers_of_the_signal_to_noise_ratio_where_variance_is_preserved():
    alpha, sigma = VP().alpha(np.float64(0.3)), VP().sigma(np.float64(0.3))
    ratio = (alpha / sigma) ** 2
    np.testing.assert_allclose(PREDICTIONS["epsilon"].gain(alpha, sigma), ratio)
    np.testing.assert_allclose(PREDICTIONS["v"].gain(alpha, sigma), ratio + 1)
    np.testing.assert_allclose(objective("score matching", VP()).weight(alpha, sigma), sigma**2)


def test_a_loss_depends_on_its_key_alone_and_draws_times_of_the_process():
    seen = []

    def network(x, t):
        seen.append(float(t))
        return x

    trained = objective("v", VE())
    first = [trained(network, np.ones(5), jax.random.key(n)) for n in (0, 1, 0)]
    assert first[0] == first[2] != first[1]
    assert seen[0] == seen[2] != seen[1]
    times = jax.vmap(lambda key: objective("v", EDM()).process.time_at(jax.random.uniform(key)))
    drawn = times(jax.random.split(jax.random.key(0), 1000))
    assert 0.02 <= drawn.min() < 0.03 and 80 < drawn.max() <= 88


@pytest.mark.parametrize("name", PREDICTIONS)
def test_a_network_of_any_kind_along_any_process_samples_as_a_denoiser(name):
    """The exact network of a VP process, of each kind, run by DDIM: the same responses as with the exact denoiser."""
    process, prediction = VP(), PREDICTIONS[name]

    def network(x, t):
        alpha, sigma = process.alpha(t), process.sigma(t)
        clean = alpha * VARIANCE / (alpha**2 * VARIANCE + sigma**2) * x
        return convert_prediction(clean, x, alpha, sigma, PREDICTIONS["x0"], prediction)

    grid = TimeGrid.along(process, 10)
    denoiser = jax.jit(denoiser_of(network, process, prediction))
    ours = DDIM().sample(denoiser, lambda number: jnp.ones(1), grid)
    _, variance = sampled_moments(DDIM(), 0.0, VARIANCE, grid)
    np.testing.assert_allclose(ours[0] ** 2, variance, rtol=2e-3)
    assert abs(variance - exact_moments(grid, 0.0, VARIANCE, False)[1]) > 0.01
