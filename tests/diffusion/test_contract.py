"""The contract of a sampler, over all that there are, with exact denoisers: order, moments, weights, noise, settings.

Order: for Gaussian data every sampler is a linear map, so its mean and variance follow from responses, and no draws
enter (`sampled_moments`). Moments: a mixture in two dimensions with correlated parts and uneven weights, 6,000 draws,
thresholds of four and a half standard errors (8 % of a variance, 0.027 of a weight); a broken sampler fails both, which
is tested too.
"""

from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import permutations
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from airmass.core.errors import InputError
from airmass.core.typed import field_types, typed
from airmass.diffusion.process import VP
from airmass.diffusion.samplers import changed, known_samplers, sampler_kind
from airmass.diffusion.samplers.adaptive import Adaptive
from airmass.diffusion.samplers.base import Sampler
from airmass.diffusion.samplers.ddim import DDIM
from airmass.diffusion.samplers.ddpm import DDPMSampler
from airmass.diffusion.samplers.dpmpp_2m import DPMSolver2M
from airmass.diffusion.samplers.dpmpp_2s import DPMSolver2S
from airmass.diffusion.samplers.langevin import Langevin
from airmass.diffusion.stepping import combine, denoised, mix
from airmass.diffusion.time_grid import TimeGrid
from tests.diffusion.gaussian import Mixture, exact_moments, sampled_moments

DRAWS, SIGMAS = 6_000, 4.5
KNOWN = known_samplers()
STEPPING = [name for name, kind in KNOWN.items() if kind.order is not None]
# Levels at which the bias of a sampler of an order is below the standard error of the draws.
ENOUGH = {None: 2, 2: 60, 1.5: 160, 1: 500}
MIXTURE = Mixture.build(
    np.array([0.3, 0.7]),
    np.array([[-1.4, 0.7], [0.6, -0.3]]),
    np.array([[[0.3, 0.1], [0.1, 0.1]], [[0.1, -0.06], [-0.06, 0.2]]]),
)


def without_churn(sampler: Sampler) -> TimeGrid:
    return replace(sampler.grid, raised=sampler.grid.times)


def spread_errors(sampler: Sampler, grids) -> np.ndarray:
    """Errors of mean and variance of Gaussian data, [grid, moment]."""
    exact = partial(exact_moments, mean=1.0, variance=0.5, stochastic=sampler.stochastic)
    return np.array([np.subtract(sampled_moments(sampler, 1.0, 0.5, grid), exact(grid)) for grid in grids])


def hold_order(sampler: Sampler) -> None:
    grids = [without_churn(replace(sampler, levels=levels)) for levels in (40, 80)]
    coarse, fine = np.abs(spread_errors(sampler, grids))
    np.testing.assert_allclose(np.log2(coarse[1] / fine[1]), sampler.order, atol=0.15)
    assert fine[0] < 1e-3  # the mean, which starts at 0 in place of 1


def hold_moments(sampler: Sampler, order: float | None) -> None:
    sampler = replace(sampler, min_noise=0.005, levels=ENOUGH[order])
    within(_moments(sampler.sample(_denoise, partial(_draw, sampler.levels), without_churn(sampler))), TRUE)


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


@pytest.mark.parametrize("name", STEPPING)
def test_order_of_convergence(name):
    hold_order(KNOWN[name]())


@pytest.mark.parametrize("name", KNOWN)
def test_moments_and_weights_of_a_mixture(name):
    hold_moments(KNOWN[name](), KNOWN[name].order)


@pytest.mark.parametrize("name", KNOWN)
def test_names_and_settings(name):
    sampler = KNOWN[name]()
    assert type(sampler).__module__ == f"airmass.diffusion.samplers.{name.replace('-', '_')}"
    assert typed(asdict(sampler), Sampler, "sampler") == sampler
    assert sampler.__doc__ and "Sampler(" not in sampler.__doc__
    with pytest.raises(InputError, match=r"sampler\.levels is 1, expected 2 to"):
        replace(sampler, levels=1)
    with pytest.raises(InputError, match=f"sampler {name} has no chrun; it has max_noise, "):
        changed(sampler, {"chrun": 1.0})


@pytest.mark.parametrize(("one", "other"), list(permutations(KNOWN, 2)))
def test_a_change_of_kind_keeps_the_settings_in_common(one, other):
    before = replace(KNOWN[one](), levels=7, max_noise=50.0)
    after = before.as_kind(other)
    common = field_types(KNOWN[one]).keys() & field_types(KNOWN[other]).keys() - {"kind"}
    assert (after.kind, after.levels, after.max_noise) == (other, 7, 50.0)
    assert all(getattr(after, name) == getattr(before, name) for name in common)


def test_unknown_kinds_are_refused_with_the_nearest():
    with pytest.raises(InputError, match=r"kind is 'dpmpp2s'; did you mean dpmpp-2s, dpmpp-2m.* known are adaptive, "):
        sampler_kind("dpmpp2s")
    with pytest.raises(InputError, match=r"kind is '\?\?'; known are adaptive, .*reverse-sde"):
        sampler_kind("??")


def test_adaptive_follows_the_flow_to_its_tolerance_whatever_the_levels():
    start = np.float32([-2, 0, 1])
    kept = np.sqrt((0.8 + 0.03**2) / (0.8 + 80**2)) * 0.8 / (0.8 + 0.03**2)

    def error(tolerance: float) -> float:
        sampler = Adaptive(levels=2, tolerance=tolerance)
        found = sampler.sample(lambda y, level: 0.8 * y / (0.8 + level**2), lambda n: start)
        return float(np.abs(found / (80 * start * kept) - 1)[[0, 2]].max())

    assert error(1e-4) < 1e-3 < error(0.1)


@pytest.mark.parametrize(("name", "order"), [("euler", 1), ("heun", 2), ("reverse-sde", 1)])
def test_order_in_the_time_of_the_variance_preserving_process(name, order):
    grids = [TimeGrid.along(VP(), count) for count in (80, 160)]
    coarse, fine = np.abs(spread_errors(KNOWN[name](), grids))
    np.testing.assert_allclose(np.log2(coarse / fine), order, atol=0.2)


@dataclass(frozen=True)
class StrongNoise(DDPMSampler):
    """DDPM with fresh noise a tenth too strong."""

    def step(self, denoiser, y, current, following, noise):
        kept = (following.level / current.level) ** 2
        fresh = 1.1 * following.level * np.sqrt(1 - kept)
        return combine((kept, y), (1 - kept, denoised(denoiser, y, current)), (fresh, noise(0)))


@dataclass(frozen=True)
class StaleMiddle(DPMSolver2S):
    """DPM-Solver++(2S) that evaluates the middle at the wrong noise level."""

    def step(self, denoiser, y, current, following, noise):
        middle = np.sqrt(current.level * following.level)
        halfway = mix(y, denoised(denoiser, y, current), middle / current.level)
        return mix(y, denoised(denoiser, halfway, current), following.level / current.level)


@dataclass(frozen=True)
class SameNoise(Langevin):
    """Langevin that draws the same noise at every step of a level."""

    def step(self, denoiser, y, current, following, noise):
        return super().step(denoiser, y, current, following, lambda number: noise(0))


@dataclass(frozen=True)
class WeakStart(DDIM):
    """DDIM from noise a tenth too weak."""

    def sample(self, denoiser, draw, grid=None):
        return super().sample(denoiser, lambda number: 0.9 * draw(number), grid)


@dataclass(frozen=True)
class NoCorrection(DPMSolver2M):
    """DPM-Solver++(2M) without extrapolation, which claims second order."""

    order: ClassVar[float | None] = 2

    def sample(self, denoiser, draw, grid=None):
        return DDIM(self.max_noise, self.min_noise, self.levels).sample(denoiser, draw, grid or self.grid)


@pytest.mark.parametrize(
    "broken", [StrongNoise, StaleMiddle, pytest.param(SameNoise, marks=pytest.mark.slow), WeakStart]
)
def test_a_broken_sampler_fails_the_contract(broken):
    with pytest.raises(AssertionError):
        hold_order(broken())
    with pytest.raises(AssertionError):
        hold_moments(broken(), broken.order)


def test_a_wrong_order_fails_the_contract():
    with pytest.raises(AssertionError):
        hold_order(NoCorrection())


@pytest.mark.parametrize("name", STEPPING)
def test_evaluations_are_those_stated(name):
    seen = []

    def denoiser(y, level):
        seen.append(float(level))
        return y / (1 + level**2)

    sampler = KNOWN[name](levels=6)
    sampler.sample(denoiser, lambda number: jnp.ones(2))
    assert len(seen) == sampler.evaluations
    np.testing.assert_allclose(seen[-1], 0.03, rtol=1e-6)


@pytest.mark.parametrize("name", STEPPING)
def test_no_noise_is_drawn_twice(name):
    numbers = []

    def draw(number):
        numbers.append(number)
        return jnp.ones(2)

    sampler = KNOWN[name](levels=6)
    everywhere = {"churn_min": 0.0} if "churn" in field_types(KNOWN[name]) else {}
    replace(sampler, **everywhere).sample(lambda y, level: y / 2, draw)
    assert numbers[0] == 0 and len(set(numbers)) == len(numbers)
    # A stochastic sampler draws at every step, churn before every step and before the last denoising.
    assert len(numbers) == 7 if everywhere else len(numbers) >= 6 or not sampler.stochastic
