"""The times that a sampler visits along a process, with the scalars of its formulas."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from airmass.core.errors import InputError
from airmass.diffusion.process import Process


class Point(NamedTuple):
    """The scalars of a process at one time, float64 on the host."""

    time: np.float64
    level: np.float64
    alpha: np.float64
    drift: np.float64
    diffusion: np.float64


@dataclass(frozen=True)
class TimeGrid:
    """Decreasing `times` of `process`, all with noise above 0; samplers denoise once after the last.

    `raised` are the times that churn goes back to before each step, equal to `times` without churn; the noise added is
    `inflation` times as strong as this needs. Raises InputError for noise levels that do not decrease.
    """

    process: Process
    times: Float[np.ndarray, " time"]
    raised: Float[np.ndarray, " time"]
    inflation: float = 1.0

    def __post_init__(self):
        levels = self.process.level(self.times)
        if not (len(levels) >= 2 and np.all(np.diff(levels) < 0) and levels[-1] > 0):
            raise InputError(
                f"time grid: {len(levels)} noise levels {levels[0]:g} to {levels[-1]:g}, expected 2 or more, "
                "decreasing at every step and above 0 at the end"
            )

    @classmethod
    def along(cls, process: Process, count: int) -> "TimeGrid":
        """A grid of `count` times from the most noise to the least, without churn."""
        times = np.asarray(process.time_at(np.linspace(1, 0, count)))
        return cls(process, times, times)

    def __iter__(self) -> Iterator[Point]:
        return map(self.at, self.times)

    def at(self, time: np.float64) -> Point:
        """The scalars of the process at a time."""
        process = self.process
        scalars = (process.level(time), process.alpha(time), process.drift(time), process.diffusion(time))
        return Point(time, *map(np.float64, scalars))
