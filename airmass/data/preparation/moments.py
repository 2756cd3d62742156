"""Mean, standard deviation and minimum of fields that are read block by block.

Sums are float64 and merged block by block (Chan, Golub and LeVeque 1983, doi:10.1080/00031305.1983.10483115), so a
store may be larger than memory and a mean far from zero loses no digits.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True)
class Moments:
    """Count, mean, sum of squared deviations and minimum by level; moments of two samples can be merged."""

    count: Int[np.ndarray, "*level"]
    mean: Float[np.ndarray, "*level"]
    squares: Float[np.ndarray, "*level"]
    least: Float[np.ndarray, "*level"]

    @classmethod
    def none(cls, shape: tuple[int, ...]) -> "Moments":
        return cls(np.zeros(shape, np.int64), np.zeros(shape), np.zeros(shape), np.full(shape, np.inf))

    @classmethod
    def of(cls, values: Float[np.ndarray, "time *level latitude longitude"]) -> "Moments":
        """Moments of the values that are not NaN, over all axes but level."""
        axes = (0, -2, -1)
        valid = ~np.isnan(values)
        count = valid.sum(axes)
        mean = values.sum(axes, dtype=np.float64, where=valid) / np.maximum(count, 1)
        deviations = np.where(valid, values - mean[..., None, None], 0.0)
        squares = np.einsum("t...ij,t...ij->...", deviations, deviations)
        return cls(count, mean, squares, values.min(axes, where=valid, initial=np.inf))

    def merge(self, other: "Moments") -> "Moments":
        count = self.count + other.count
        share = other.count / np.maximum(count, 1)
        apart = other.mean - self.mean
        return Moments(
            count,
            self.mean + apart * share,
            self.squares + other.squares + apart**2 * self.count * share,
            np.minimum(self.least, other.least),
        )

    @property
    def stddev(self) -> Float[np.ndarray, "*level"]:
        return np.sqrt(self.squares / np.maximum(self.count, 1))


class Changes:
    """Moments of the differences between frames exactly `step` apart, from blocks of frames in order of time."""

    def __init__(self, step: np.timedelta64, level_shape: tuple[int, ...]):
        self.moments = Moments.none(level_shape)
        self._step = step
        self._times = np.array([], "datetime64[ns]")
        self._frames: np.ndarray | None = None

    def add(self, times: np.ndarray, values: Float[np.ndarray, "time *level latitude longitude"]) -> None:
        held_times = np.concatenate([self._times, times])
        held = values if self._frames is None else np.concatenate([self._frames, values])
        before = np.searchsorted(held_times, times - self._step)
        paired = held_times[before] == times - self._step
        if paired.any():
            change = values[paired].astype(np.float64) - held[before[paired]]
            self.moments = self.moments.merge(Moments.of(change))
        kept = held_times > times[-1] - self._step
        self._times, self._frames = held_times[kept], held[kept]
