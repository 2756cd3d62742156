"""What every sampler must do, with exact denoisers: its order of convergence, and the moments and weights it reaches.

Order: for Gaussian data every sampler is a linear map, so its mean and variance follow from responses, and no draws
enter (`sampled_moments`). Moments: a mixture in two dimensions with correlated parts and uneven weights, 6,000 draws,
thresholds of four and a half standard errors (8 % of a variance, 0.027 of a weight); a broken sampler fails both, which
is tested too.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from airmass.diffusion.gaussian import Mixture, exact_moments, sampled_moments
from airmass.diffusion.noise_levels import KINDS, SamplerSettings
from airmass.diffusion.process import VP
from airmass.diffusion.samplers import SAMPLERS, sample
from airmass.diffusion.stepping import combine, denoised, mix, sampler_of
from airmass.diffusion.time_grid import TimeGrid

DRAWS, SIGMAS = 6_000, 4.5
STOCHASTIC = {"ddpm", "reverse-sde", "predictor-corrector", "langevin"}
# Order in the number of levels, and levels at which the bias is below the standard error of the draws.
CONTRACT = {
    "dpmpp-2s": (2, 40),
    "dpmpp-2m": (2, 60),
    "ddim": (1, 320),
    "ddpm": (1, 500),
    "euler": (1, 320),
    "heun": (2, 60),
    "reverse-sde": (1, 320),
    # Each corrector takes away part of the predictor's error, and there are more of them.
    "predictor-corrector": (1.5, 160),
    "langevin": (1, 100),
    "adaptive": (None, 2),
}
MIXTURE = Mixture.build(
    np.array([0.3, 0.7]),
    np.array([[-1.4, 0.7], [0.6, -0.3]]),
    np.array([[[0.3, 0.1], [0.1, 0.1]], [[0.1, -0.06], [-0.06, 0.2]]]),
)


def edm(levels: int) -> TimeGrid:
    return TimeGrid.of(SamplerSettings(levels=levels, churn=0))


def spread_errors(sampler, stochastic: bool, grids) -> np.ndarray:
    """Errors of mean and variance of Gaussian data, [grid, moment]."""
    exact = partial(exact_moments, mean=1.0, variance=0.5, stochastic=stochastic)
    return np.array([np.subtract(sampled_moments(sampler, grid, 1.0, 0.5), exact(grid)) for grid in grids])


def hold_order(sampler, stochastic: bool, order: float) -> None:
    coarse, fine = np.abs(spread_errors(sampler, stochastic, [edm(40), edm(80)]))
    np.testing.assert_allclose(np.log2(coarse[1] / fine[1]), order, atol=0.15)
    assert fine[0] < 1e-3  # the mean, which starts at 0 in place of 1


def hold_moments(sampler, levels: int) -> None:
    settings = SamplerSettings(80.0, 0.005, levels=levels, churn=0)
    within(_moments(sampler(_denoise, partial(_draw, levels), settings)), TRUE)


@jax.jit
def _denoise(y, level):
    return MIXTURE.denoise(y, level)


@jax.jit
def _draw(seed, number):
    return jax.random.normal(jax.random.fold_in(jax.random.key(seed), number), (DRAWS, 2))


def within(found: np.ndarray, true: np.ndarray) -> None:
    """The mean of each column of `found` is `true`'s to `SIGMAS` standard errors of both."""
    error = np.sqrt(found.var(axis=0) / len(found) + true.var(axis=0) / len(true))
    np.testing.assert_array_less(np.abs(found.mean(axis=0) - true.mean(axis=0)) / error, SIGMAS)


def _moments(samples: np.ndarray) -> np.ndarray:
    """Whose means are the means, the second moments and the weight of the first part."""
    samples = np.asarray(samples, np.float64)
    x, y = samples.T
    first, second = (np.log(w) + _part(k).log_density(samples) for k, w in enumerate(MIXTURE.weights))
    return np.stack([x, y, x * x, x * y, y * y, np.exp(first - np.logaddexp(first, second))], axis=1)


def _part(k: int) -> Mixture:
    return Mixture(np.ones(1), MIXTURE.means[k, None], MIXTURE.axes[k, None], MIXTURE.variances[k, None])


TRUE = _moments(MIXTURE.draw(jax.random.key(7), 1_000_000))


def test_every_sampler_is_under_the_contract():
    assert CONTRACT.keys() == SAMPLERS.keys() == set(KINDS)


@pytest.mark.parametrize("name", [name for name in CONTRACT if name != "adaptive"])
def test_order_of_convergence(name):
    hold_order(SAMPLERS[name], name in STOCHASTIC, CONTRACT[name][0])


@pytest.mark.parametrize("name", CONTRACT)
def test_moments_and_weights_of_a_mixture(name):
    hold_moments(SAMPLERS[name], CONTRACT[name][1])


def test_adaptive_follows_the_flow_to_its_tolerance_whatever_the_levels():
    start = np.float32([-2, 0, 1])
    found = sample(
        lambda y, level: 0.8 * y / (0.8 + level**2), lambda n: start, SamplerSettings(levels=2, kind="adaptive")
    )
    kept = np.sqrt((0.8 + 0.03**2) / (0.8 + 80**2)) * 0.8 / (0.8 + 0.03**2)
    np.testing.assert_allclose(found, 80 * start * kept, rtol=1e-3)


@pytest.mark.parametrize(("name", "order"), [("euler", 1), ("heun", 2), ("reverse-sde", 1)])
def test_order_in_the_time_of_the_variance_preserving_process(name, order):
    grids = [TimeGrid.along(VP(), count) for count in (80, 160)]
    coarse, fine = np.abs(spread_errors(SAMPLERS[name], name in STOCHASTIC, grids))
    np.testing.assert_allclose(np.log2(coarse / fine), order, atol=0.2)


def strong_noise(denoiser, y, current, following, noise):
    """DDPM with fresh noise a tenth too strong."""
    kept = (following.level / current.level) ** 2
    fresh = 1.1 * following.level * np.sqrt(1 - kept)
    return combine((kept, y), (1 - kept, denoised(denoiser, y, current)), (fresh, noise(0)))


def stale_middle(denoiser, y, current, following, noise):
    """DPM-Solver++(2S) that evaluates the middle at the wrong noise level."""
    middle = np.sqrt(current.level * following.level)
    halfway = mix(y, denoised(denoiser, y, current), middle / current.level)
    return mix(y, denoised(denoiser, halfway, current), following.level / current.level)


def same_noise(denoiser, y, current, following, noise):
    """Langevin that draws the same noise at every step of a level."""
    for _ in range(20):
        y = combine((0.9, y), (0.1, denoised(denoiser, y, following)), (following.level * np.sqrt(0.2), noise(0)))
    return y


def weak_start(denoiser, draw, settings):
    """DDIM from noise a tenth too weak."""
    return SAMPLERS["ddim"](denoiser, lambda number: 0.9 * draw(number), settings)


BROKEN = [
    (sampler_of(strong_noise, churn=False), True, "ddpm"),
    (sampler_of(stale_middle, churn=False), False, "dpmpp-2s"),
    (sampler_of(same_noise, churn=False), True, "langevin"),
    (weak_start, False, "ddim"),
]


@pytest.mark.parametrize(("broken", "stochastic", "like"), BROKEN, ids=["noise", "order", "noise again", "start"])
def test_a_broken_sampler_fails_the_contract(broken, stochastic, like):
    order, levels = CONTRACT[like]
    with pytest.raises(AssertionError):
        hold_order(broken, stochastic, order)
    with pytest.raises(AssertionError):
        hold_moments(broken, levels)


@pytest.mark.parametrize("name", [name for name in CONTRACT if name != "adaptive"])
def test_evaluations_are_those_its_description_counts(name):
    seen = []

    def denoiser(y, level):
        seen.append(float(level))
        return y / (1 + level**2)

    sample(denoiser, lambda number: jnp.ones(2), SamplerSettings(levels=6, kind=name))
    expected = {"dpmpp-2s": 11, "heun": 11, "predictor-corrector": 11, "langevin": 101}.get(name, 6)
    assert len(seen) == expected
    np.testing.assert_allclose(seen[-1], 0.03, rtol=1e-6)


@pytest.mark.parametrize("name", [name for name in CONTRACT if name != "adaptive"])
def test_no_noise_is_drawn_twice_and_churn_is_drawn_where_taken(name):
    numbers = []

    def draw(number):
        numbers.append(number)
        return jnp.ones(2)

    sample(lambda y, level: y / 2, draw, SamplerSettings(levels=6, kind=name, churn_min=0))
    assert len(set(numbers)) == len(numbers)
    fresh = {"dpmpp-2m": 0, "predictor-corrector": 10, "langevin": 100, "ddpm": 5, "reverse-sde": 5}.get(name, 6)
    assert len(numbers) == 1 + fresh
