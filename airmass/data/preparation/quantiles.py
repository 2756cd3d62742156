"""Quantiles of single-level fields by hour and time of year, from the training dates alone.

Every tenth day of the year represents the days around it, with the frames of the 31 days centred on it, of all years,
at one hour of day. For an archive of less than a year, all frames at that hour are used for every day. Quantiles are
sample quantiles with linear interpolation (numpy's default).
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from airmass.data.formats.climatology import DAYS, QUANTILES, days_apart, hour_and_day
from airmass.data.loading.workspace import large_zeros

HALF_WINDOW = 15
SPACING = 10

# A quantile with fewer frames than this beyond it, at some hour and time of year, is unreliable and left out.
BEYOND = 3

_BLOCK_BYTES = 128 * 2**20


class Quantiles:
    """Quantiles of one field from all its frames, added in order of time.

    `times` are the times of all frames to be added and `shape` is that of one, (latitude, longitude). Frames beyond
    1 GiB are in a file in the folder `scratch`. `held` are the quantiles with enough frames.
    """

    def __init__(self, times: np.ndarray, shape: tuple[int, ...], scratch: Path):
        hours, days = hour_and_day(times)
        whole_year = np.ptp(times) >= np.timedelta64(DAYS - 2, "D")
        self.shape = shape
        self.hours = np.unique(hours)
        self.days = np.arange(SPACING // 2, DAYS, SPACING) if whole_year else np.array([DAYS // 2])
        near = days_apart(self.days, days) <= (HALF_WINDOW if whole_year else DAYS)
        self._used: Bool[np.ndarray, "hour day time"] = (hours == self.hours[:, None])[:, None] & near
        fewest = self._used.sum(axis=-1).min()
        self.held = tuple(q for q in QUANTILES if round(fewest * min(q, 1 - q), 6) >= BEYOND)
        self._frames = large_zeros((len(times), *shape), np.float32, scratch / "frames")

    def add(self, start: int, values: Float[np.ndarray, "time latitude longitude"]) -> None:
        """Add frames, beginning with number `start`."""
        self._frames[start : start + len(values)] = values

    def at(self, hour: int, day: int) -> Float[np.ndarray, "quantile latitude longitude"]:
        """The quantiles at the hour and day of these indices. Computed in latitude blocks."""
        out = np.empty((len(self.held), *self.shape), np.float32)
        for rows, frames in self._blocks(hour, day):
            out[:, rows] = np.quantile(frames, self.held, axis=0)
        return out

    def dry_and_heavy(self, hour: int, day: int, dry: float) -> Float[np.ndarray, "2 latitude longitude"]:
        """The fraction of frames below `dry`, and the amount that a third of the others exceed (NaN without others)."""
        out = np.empty((2, *self.shape), np.float32)
        for rows, frames in self._blocks(hour, day):
            wet = frames >= dry
            ordered = np.sort(np.where(wet, frames, np.inf), axis=0)
            place = np.maximum(wet.sum(axis=0) - 1, 0) * (2 / 3)  # linear between the two nearest, as np.quantile
            low, high = (np.take_along_axis(ordered, rank[None].astype(int), 0)[0] for rank in (place, np.ceil(place)))
            out[0, rows] = 1 - wet.mean(axis=0)
            with np.errstate(invalid="ignore"):
                out[1, rows] = np.where(wet.any(axis=0), low + (place % 1) * (high - low), np.nan)
        return out

    def _blocks(self, hour: int, day: int) -> Iterator[tuple[slice, Float[np.ndarray, "time row longitude"]]]:
        used = np.flatnonzero(self._used[hour, day])
        rows = max(1, _BLOCK_BYTES // (4 * len(used) * self.shape[-1]))
        for start in range(0, self.shape[0], rows):
            block = slice(start, start + rows)
            yield block, self._frames[used, block]
