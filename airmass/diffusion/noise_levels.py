"""How much noise: the levels a sampler visits, and the levels a denoiser is trained on (Karras et al. 2022, EDM).

Noise levels are standard deviations in units of the normalised data. Levels are evenly spaced in their power
1/rho, which puts most of the effort at small noise. Defaults are those of GenCast (Price et al. 2025,
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
    """Noise levels from `max_noise` down to `min_noise`, how much fresh noise goes in between, and the sampler.

    `kind` is one of `KINDS`; the published one is `dpmpp-2s`. It, `ddim`, `euler` and `heun` take churn; the others
    have noise of their own, or a memory that fresh noise would make wrong, and do not read the churn settings.

    Before each step whose noise level lies in [`churn_min`, `churn_max`] the level is raised by a factor of
    1 + `churn` / `levels` (at most the square root of 2), with noise `inflation` times as strong as that needs:
    fresh noise lets later steps correct the errors of earlier ones.

    `memory` is the correlation of every draw with the one for the frame before, in harmonics of degrees below
    `memory_degrees`; 0, as published, draws each frame's noise afresh. Raises InputError for values that make no
    schedule.
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
    """The range of noise levels a denoiser is trained on; raises InputError for values that make no range."""

    max_noise: _Noise = 88.0
    min_noise: _Noise = 0.02
    rho: _Noise = 7.0

    def __post_init__(self):
        check(self, "diffusion.training")
        _require_order("diffusion.training", self.min_noise, self.max_noise)


def noise_levels(settings: SamplerSettings) -> Float[np.ndarray, " levels+1"]:
    """Falling noise levels in equal steps of u, then 0, in float64."""
    u = np.linspace(1, 0, settings.levels)
    return np.append(_level(settings, u), 0.0)


def churned_levels(settings: SamplerSettings) -> Float[np.ndarray, " levels"]:
    """The level that noise is raised to before each step: sigma (1 + gamma), or sigma where there is no churn."""
    sigma = noise_levels(settings)[:-1]
    gamma = min(settings.churn / settings.levels, math.sqrt(2) - 1)
    return np.where((settings.churn_min <= sigma) & (sigma <= settings.churn_max), sigma * (1 + gamma), sigma)


def training_noise_level(settings: TrainingNoise, u: "Float[Array, '*n']") -> "Float[Array, '*n']":
    """Noise level at u, uniform in [0, 1): 0 is the least noise, 1 the most."""
    return _level(settings, u)


def require_wider(training: TrainingNoise, sampling: SamplerSettings) -> None:
    """Raise InputError unless training goes beyond sampling on both ends.

    A network is least accurate at the edge of what it was trained on, and an error in the first step or the last is one
    that no other step corrects.
    """
    if not (training.min_noise < sampling.min_noise and sampling.max_noise < training.max_noise):
        raise InputError(
            f"sampling visits noise levels {sampling.min_noise} to {sampling.max_noise}, training covers "
            f"{training.min_noise} to {training.max_noise}, expected training to be wider on both ends so that "
            "sampling never meets the edge of what was trained"
        )


def require_degrees(sampling: SamplerSettings, degrees: int) -> None:
    """Raise InputError where noise should last in harmonics beyond the `degrees` that it has on a grid."""
    if sampling.memory and sampling.memory_degrees > degrees:
        raise InputError(
            f"sampler.memory_degrees is {sampling.memory_degrees}, expected at most {degrees}, half the grid's "
            "columns, which is how many degrees noise has there"
        )


def _level(settings: SamplerSettings | TrainingNoise, u):
    low, high = settings.min_noise ** (1 / settings.rho), settings.max_noise ** (1 / settings.rho)
    return (low + u * (high - low)) ** settings.rho


def _require_order(place: str, low: float, high: float) -> None:
    if low >= high:
        raise InputError(f"{place}.min_noise is {low} and {place}.max_noise {high}, expected min_noise below max_noise")
