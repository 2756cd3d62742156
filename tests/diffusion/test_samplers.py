"""DPM-Solver++(2S) with the published settings: its bias on Gaussian data, its steps written out, its noise."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from airmass.diffusion.noise_levels import noise_levels
from airmass.diffusion.samplers.dpmpp_2s import DPMSolver2S
from tests.diffusion.gaussian import sampled_moments


def gaussian(mean: float = 0.0, variance: float = 1.0):
    return jax.jit(lambda x, sigma: mean + variance / (variance + sigma**2) * (x - mean))


def white(size: int, seed: int = 0):
    return lambda number: jax.random.normal(jax.random.fold_in(jax.random.key(seed), number), (size,))


def shrink(settings: DPMSolver2S) -> float:
    """The end of a starting noise of 1 in unit Gaussian data, where the exact answer is the spread itself."""
    start, least = settings.max_noise, settings.min_noise
    # The flow keeps x / sqrt(1 + sigma^2); the last step denoises once.
    exact = start * np.sqrt((1 + least**2) / (1 + start**2)) / (1 + least**2)
    return float(settings.sample(gaussian(), lambda number: np.float32(1))) / exact


def test_error_falls_with_the_square_of_the_number_of_levels():
    errors = [1 - shrink(DPMSolver2S(levels=n, churn=0)) for n in (10, 20, 40, 80)]
    orders = [np.log2(coarse / fine) for coarse, fine in pairwise(errors)]
    np.testing.assert_allclose(orders, 2, atol=0.1)
    np.testing.assert_allclose(errors[1], 0.0128, atol=0.0005)  # 20 levels lose 1.3 % of the spread


def test_published_bias_is_seen_in_samples():
    samples = DPMSolver2S(churn=0).sample(gaussian(), white(100_000))
    np.testing.assert_allclose(samples.std(), 0.987, atol=0.006)


def test_bias_is_made_where_the_noise_is_as_strong_as_the_data():
    """The closed form of every step for unit Gaussian data, and the sampler beside its product."""
    lost = {}
    for s, t in pairwise(noise_levels(DPMSolver2S())):
        middle = np.sqrt(s * t)
        half = middle / s + (1 - middle / s) / (1 + s**2)
        step = t / s + (1 - t / s) / (1 + middle**2) * half
        lost[s] = -np.log(step / np.sqrt((1 + t**2) / (1 + s**2)))
    total = sum(lost.values())
    np.testing.assert_allclose(np.exp(-total), shrink(DPMSolver2S(churn=0)), rtol=1e-5)
    np.testing.assert_allclose(total, 0.01286, atol=1e-4)
    near = [loss for s, loss in lost.items() if 0.3 < s < 3]
    assert len(near) == 5 and sum(near) > 0.8 * total
    assert min(lost, key=lost.get) > 60 and lost[min(lost)] < 0.01 * total  # neither end
    # What is left to the stop: the last denoising takes min_noise^2 / 2 of the spread.
    stop = 1 / np.sqrt(1 + 0.03**2)
    _, variance = sampled_moments(DPMSolver2S(churn=0), 0.0, 1.0)
    np.testing.assert_allclose(np.sqrt(variance), np.exp(-total) * stop * 80 / np.sqrt(1 + 80**2), rtol=1e-5)


@pytest.mark.parametrize("churn", [0.0, 20.0])
def test_samples_have_the_mean_and_spread_of_the_data(churn):
    # A wide range: the starting noise has no mean, and the last step takes away a share min_noise^2 of the spread.
    settings = DPMSolver2S(400.0, 0.01, levels=120, churn=churn, churn_min=0.0, inflation=1.0)
    samples = settings.sample(gaussian(3, 0.25), white(60_000))
    np.testing.assert_allclose(samples.mean(), 3, atol=0.01)
    np.testing.assert_allclose(samples.std(), 0.5, rtol=0.008)


def test_published_steps_written_out():
    """The published default with churn, for a denoiser that is not linear, beside a loop in float64."""
    settings = DPMSolver2S()
    noise = np.random.default_rng(0).normal(size=(20, 50))
    draws = iter(noise)
    ours = settings.sample(lambda x, s: jnp.tanh(x / (1 + s)), lambda number: np.float32(next(draws)))

    draws, sigmas = iter(noise), [*noise_levels(settings), 0.0]
    x = 80 * next(draws)
    for sigma, target in pairwise(sigmas):
        hat = sigma * (1.125 if sigma >= 0.75 else 1)
        if hat > sigma:
            x = x + 1.05 * np.sqrt(hat**2 - sigma**2) * next(draws)
        slope = (x - np.tanh(x / (1 + hat))) / hat  # of the flow, d x / d sigma
        if target:
            middle = np.sqrt(hat * target)
            half = x + (middle - hat) * slope
            slope = (x - np.tanh(half / (1 + middle))) / hat
        x = x + (target - hat) * slope
    np.testing.assert_allclose(ours, x, atol=2e-5)


@pytest.mark.parametrize("levels", [2, 6, 20])
def test_number_of_evaluations_and_of_compilations(levels):
    seen = []
    compiled = []

    @jax.jit
    def network(x, sigma):
        compiled.append(1)
        return x / (1 + sigma**2)

    def denoiser(x, sigma):
        seen.append(float(sigma))
        return network(x, sigma)

    DPMSolver2S(levels=levels).sample(denoiser, white(3))
    assert len(seen) == 2 * levels - 1
    assert len(compiled) == 1
    np.testing.assert_allclose(seen[-1], 0.03, rtol=1e-6)  # the last step starts from the least noise


def test_fresh_noise_is_drawn_only_where_there_is_churn():
    numbers = []

    def draw(number):
        numbers.append(number)
        return white(3)(number)

    DPMSolver2S(churn=0).sample(gaussian(), draw)
    assert numbers == [0]
    numbers.clear()
    DPMSolver2S().sample(gaussian(), draw)
    churned = noise_levels(DPMSolver2S()) >= 0.75
    assert numbers == [0, *(np.flatnonzero(churned) + 1)]
