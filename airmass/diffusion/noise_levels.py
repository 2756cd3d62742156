"""Noise levels: those that a sampler visits, and those that a denoiser is trained on (Karras et al. 2022, EDM).

Noise levels are standard deviations in units of the normalised data. They are evenly spaced in level^(1/rho), which
places most of them at low noise. Defaults are those of GenCast (Price et al. 2025,
doi:10.1038/s41586-024-08252-9).
"""

from dataclasses import dataclass
from typing import Annotated, Any, Protocol

import numpy as np
from jaxtyping import Float

from airmass.core.errors import InputError
from airmass.core.typed import Range, check

_Noise = Annotated[float, Range(0, above=True)]


class NoiseRange(Protocol):
    """A range of noise levels, evenly spaced in level^(1/rho)."""

    @property
    def max_noise(self) -> float: ...

    @property
    def min_noise(self) -> float: ...

    @property
    def rho(self) -> float: ...


class LevelSettings(NoiseRange, Protocol):
    """A range of noise levels, their number, and the correlation of their noise in time."""

    @property
    def levels(self) -> int: ...

    @property
    def memory(self) -> float: ...

    @property
    def memory_degrees(self) -> int: ...


@dataclass(frozen=True)
class TrainingNoise:
    """The range of noise levels that a denoiser is trained on; raises InputError for an empty range."""

    max_noise: _Noise = 88.0
    min_noise: _Noise = 0.02
    rho: _Noise = 7.0

    def __post_init__(self):
        check(self, "diffusion.training")
        require_order("diffusion.training", self.min_noise, self.max_noise)


def noise_levels(settings: LevelSettings) -> Float[np.ndarray, " levels"]:
    """Decreasing noise levels in equal steps of u, in float64."""
    return noise_level(settings, np.linspace(1, 0, settings.levels))


def noise_level(settings: NoiseRange, u: Float[Any, "*n"]) -> Float[Any, "*n"]:
    """The noise level at u in [0, 1], an array of numpy or JAX: 0 is the least noise, 1 the most."""
    low, high = settings.min_noise ** (1 / settings.rho), settings.max_noise ** (1 / settings.rho)
    return (low + u * (high - low)) ** settings.rho


def require_wider(training: TrainingNoise, sampling: LevelSettings) -> None:
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


def require_degrees(sampling: LevelSettings, degrees: int) -> None:
    """Raise InputError where correlated noise needs harmonics beyond the `degrees` that a grid resolves."""
    if sampling.memory and sampling.memory_degrees > degrees:
        raise InputError(
            f"sampler.memory_degrees is {sampling.memory_degrees}, expected at most {degrees}: noise on this grid has "
            "half as many degrees as the grid has columns"
        )


def require_order(place: str, low: float, high: float) -> None:
    """Raise InputError for a range of noise levels that is empty."""
    if low >= high:
        raise InputError(f"{place}.min_noise is {low} and {place}.max_noise {high}, expected min_noise below max_noise")
