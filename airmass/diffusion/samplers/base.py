"""The interface of samplers. Needs no JAX, nor does any sampler before it samples: samplers are settings too.

Samplers work on y = x / alpha = data + level noise. In y a denoiser is the same for every process, and a step is a
weighted sum of arrays.

The loop over levels is a Python loop. Pass a jitted denoiser: it compiles once (a scan would contain the network once
for each evaluation of a step), and it may cache terms that depend on the level alone.
"""

import math
from abc import ABC
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from jaxtyping import Float

from airmass.core.errors import InputError
from airmass.core.typed import Range, check
from airmass.diffusion.noise_levels import noise_levels, require_order
from airmass.diffusion.process import EDM
from airmass.diffusion.stepping import Denoiser, Draw, Noise, add, denoised, scale
from airmass.diffusion.time_grid import Point, TimeGrid

_Noise = Annotated[float, Range(0, above=True)]


@dataclass(frozen=True)
class Sampler(ABC):
    """A way from noise to data along `levels` noise levels from `max_noise` down to `min_noise`.

    Subclasses say their `kind`, the name in options and files, their `order` of convergence in the number of levels
    (None if they choose their own steps), and whether they are `stochastic`: solve the reverse stochastic equation and
    not the probability flow. They define `step`, or `sample` as a whole. With `whole_array`, the steps of a sample
    depend on the others in its array.

    `memory` is the correlation of every draw with that of the frame before, in harmonics of degrees below
    `memory_degrees`; 0, as published, gives independent noise in each frame. Raises InputError for values that do not
    form a schedule.
    """

    order: ClassVar[float | None]
    stochastic: ClassVar[bool] = False
    whole_array: ClassVar[bool] = False

    max_noise: _Noise = 80.0
    min_noise: _Noise = 0.03
    levels: Annotated[int, Range(2, 100_000)] = 20
    rho: _Noise = 7.0
    kind: str = ""
    memory: Annotated[float, Range(0, 1, below=True)] = 0.0
    memory_degrees: Annotated[int, Range(1, 10_000)] = 10

    def __post_init__(self):
        check(self, "sampler")
        if self.kind != type(self).kind:
            raise InputError(f"sampler.kind is {self.kind!r}, expected {type(self).kind!r}")
        require_order("sampler", self.min_noise, self.max_noise)

    @classmethod
    def choose(cls, value: Mapping[str, Any], place: str) -> type["Sampler"]:
        """The class of saved settings, by their `kind`; see `core.typed`."""
        from airmass.diffusion.samplers import sampler_kind

        return sampler_kind(value.get("kind"), place)

    def as_kind(self, kind: str) -> "Sampler":
        """The sampler of another kind, with the settings that both have."""
        from airmass.diffusion.samplers import changed

        return changed(self, {"kind": kind})

    @property
    def evaluations(self) -> int:
        """Number of calls of the denoiser for a sample."""
        return self.levels

    @property
    def grid(self) -> TimeGrid:
        """The times that these settings visit, along `EDM`."""
        times = noise_levels(self)
        return TimeGrid(EDM(self), times, times)

    def sample(self, denoiser: Denoiser, draw: Draw, grid: TimeGrid | None = None) -> Float[Any, "*shape"]:
        """One sample along `grid`, by default that of these settings; it ends with the last denoised array.

        `denoiser(y, level)` returns the expected clean data of y = data + level noise. `draw(number)` returns white
        noise of unit variance, number 0 for the start and further numbers for later steps: the caller chooses the
        random keys.
        """
        grid = grid or self.grid
        points, starts = list(grid), self.starts(grid)
        y = scale(draw(0), points[0].level)
        for number, (point, time) in enumerate(zip(points, starts, strict=True)):
            current = grid.at(time)
            if current.level > point.level:
                spread = grid.inflation * np.sqrt(current.level**2 - point.level**2)
                y = add(y, draw(number + 1), spread)
            if number + 1 < len(points):
                y = self.step(denoiser, y, current, points[number + 1], _noise(draw, number, len(points)))
        return denoised(denoiser, y, current)

    def step(
        self, denoiser: Denoiser, y: Float[Any, "*shape"], current: Point, following: Point, noise: Noise
    ) -> Float[Any, "*shape"]:
        """One step between two times of a grid, for samplers that do not override `sample`.

        `noise(0)`, `noise(1)`, ... are white and independent.
        """
        raise NotImplementedError

    def starts(self, grid: TimeGrid) -> Float[np.ndarray, " time"]:
        """The times that the steps of a grid start from."""
        return grid.times


@dataclass(frozen=True)
class ChurnedSampler(Sampler):
    """A sampler with churn: fresh noise that lets later steps correct the errors of earlier ones.

    Before each step whose noise level is in [`churn_min`, `churn_max`], the level is raised by a factor of 1 + `churn`
    / `levels` (at most the square root of 2), with noise `inflation` times as strong as this needs (Karras et al. 2022,
    algorithm 2).
    """

    churn: Annotated[float, Range(0)] = 2.5
    churn_min: Annotated[float, Range(0)] = 0.75
    churn_max: Annotated[float, Range(0, infinite=True)] = math.inf
    inflation: _Noise = 1.05

    def __post_init__(self):
        super().__post_init__()
        if self.churn_min > self.churn_max:
            raise InputError(
                f"sampler.churn_min is {self.churn_min}, expected at most sampler.churn_max, {self.churn_max} "
                "(churn = 0 turns churn off)"
            )

    @property
    def grid(self) -> TimeGrid:
        times = noise_levels(self)
        return TimeGrid(EDM(self), times, self._raised(times), self.inflation)

    def starts(self, grid: TimeGrid) -> Float[np.ndarray, " time"]:
        return grid.raised

    def _raised(self, levels: Float[np.ndarray, " levels"]) -> Float[np.ndarray, " levels"]:
        gamma = min(self.churn / self.levels, math.sqrt(2) - 1)
        return np.where((self.churn_min <= levels) & (levels <= self.churn_max), levels * (1 + gamma), levels)


def _noise(draw: Draw, step: int, steps: int) -> Callable[[int], Float[Any, "*shape"]]:
    """The noise of a step: number 0 is the draw that churn would take, further numbers follow those of all steps."""
    return lambda number: draw(1 + step + number * steps)
