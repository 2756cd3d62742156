"""Noise levels: those that a sampler visits, and those that a denoiser is trained on (Karras et al. 2022, EDM).

Noise levels are standard deviations in units of the normalised data. They are evenly spaced in level^(1/rho), which
places most of them at low noise. Defaults are those of GenCast (Price et al. 2025,
doi:10.1038/s41586-024-08252-9).
"""

import difflib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from jaxtyping import Float

from airmass.core.errors import InputError
from airmass.core.typed import Range, check

if TYPE_CHECKING:  # settings are read by the command line, which starts without JAX
    from airmass.core.types import Array

# The keys of `samplers.SAMPLERS`, here because that module needs JAX.
KINDS = (
    "dpmpp-2s", "dpmpp-2m", "ddim", "ddpm", "euler", "heun", "adaptive", "reverse-sde", "predictor-corrector",
    "langevin",
)  # fmt: skip

_Noise = Annotated[float, Range(0, above=True)]


@dataclass(frozen=True)
class SamplerSettings:
    """A sampler: noise levels from `max_noise` down to `min_noise`, churn between them, and the `kind` of step.

    `kind` is one of `KINDS`; GenCast's is `dpmpp-2s`. Only `dpmpp-2s`, `ddim`, `euler` and `heun` read the churn
    settings; the others draw noise of their own, or reuse earlier evaluations that fresh noise would invalidate.

    Churn is fresh noise that lets later steps correct the errors of earlier ones: before each step whose noise level is
    in [`churn_min`, `churn_max`], the level is raised by a factor of 1 + `churn` / `levels` (at most the square root of
    2), with noise `inflation` times as strong as this needs.

    `memory` is the correlation of every draw with that of the frame before, in harmonics of degrees below
    `memory_degrees`; 0, as published, gives independent noise in each frame. Raises InputError for values that do not
    form a schedule.
    """

    max_noise: _Noise = 80.0
    min_noise: _Noise = 0.03
    levels: Annotated[int, Range(2, 100_000)] = 20
    rho: _Noise = 7.0
    churn: Annotated[float, Range(0)] = 2.5
    churn_min: Annotated[float, Range(0)] = 0.75
    churn_max: Annotated[float, Range(0, infinite=True)] = math.inf
    inflation: _Noise = 1.05
    kind: str = "dpmpp-2s"
    memory: Annotated[float, Range(0, 1, below=True)] = 0.0
    memory_degrees: Annotated[int, Range(1, 10_000)] = 10

    def __post_init__(self):
        check(self, "sampler")
        if self.kind not in KINDS:
            near = difflib.get_close_matches(str(self.kind), KINDS, n=3, cutoff=0.5)
            hint = f"did you mean {', '.join(near)}? known are" if near else "known are"
            raise InputError(f"sampler.kind is {self.kind!r}; {hint} {', '.join(KINDS)}")
        _require_order("sampler", self.min_noise, self.max_noise)
        if self.churn_min > self.churn_max:
            raise InputError(
                f"sampler.churn_min is {self.churn_min}, expected at most sampler.churn_max, {self.churn_max} "
                "(churn = 0 turns churn off)"
            )


@dataclass(frozen=True)
class TrainingNoise:
    """The range of noise levels that a denoiser is trained on; raises InputError for an empty range."""

    max_noise: _Noise = 88.0
    min_noise: _Noise = 0.02
    rho: _Noise = 7.0

    def __post_init__(self):
        check(self, "diffusion.training")
        _require_order("diffusion.training", self.min_noise, self.max_noise)


def noise_levels(settings: SamplerSettings) -> Float[np.ndarray, " levels+1"]:
    """Decreasing noise levels in equal steps of u, then 0, in float64."""
    u = np.linspace(1, 0, settings.levels)
    return np.append(_level(settings, u), 0.0)


def churned_levels(settings: SamplerSettings) -> Float[np.ndarray, " levels"]:
    """The levels that churn raises noise to before each step: sigma (1 + gamma), or sigma without churn."""
    sigma = noise_levels(settings)[:-1]
    gamma = min(settings.churn / settings.levels, math.sqrt(2) - 1)
    return np.where((settings.churn_min <= sigma) & (sigma <= settings.churn_max), sigma * (1 + gamma), sigma)


def training_noise_level(settings: TrainingNoise, u: "Float[Array, '*n']") -> "Float[Array, '*n']":
    """The noise level at u in [0, 1): 0 is the least noise, 1 the most."""
    return _level(settings, u)


def require_wider(training: TrainingNoise, sampling: SamplerSettings) -> None:
    """Raise InputError unless the range of training noise is wider than that of sampling on both ends.

    A network is least accurate at the edge of its training range, and errors of the first or last step are not
    corrected by other steps.
    """
    if not (training.min_noise < sampling.min_noise and sampling.max_noise < training.max_noise):
        raise InputError(
            f"sampling visits noise levels {sampling.min_noise} to {sampling.max_noise}, training covers "
            f"{training.min_noise} to {training.max_noise}, expected a range wider on both ends: a network is least "
            "accurate at the edges of its training range"
        )


def require_degrees(sampling: SamplerSettings, degrees: int) -> None:
    """Raise InputError where correlated noise needs harmonics beyond the `degrees` that a grid resolves."""
    if sampling.memory and sampling.memory_degrees > degrees:
        raise InputError(
            f"sampler.memory_degrees is {sampling.memory_degrees}, expected at most {degrees}: noise on this grid has "
            "half as many degrees as the grid has columns"
        )


def _level(settings: SamplerSettings | TrainingNoise, u):
    low, high = settings.min_noise ** (1 / settings.rho), settings.max_noise ** (1 / settings.rho)
    return (low + u * (high - low)) ** settings.rho


def _require_order(place: str, low: float, high: float) -> None:
    if low >= high:
        raise InputError(f"{place}.min_noise is {low} and {place}.max_noise {high}, expected min_noise below max_noise")
