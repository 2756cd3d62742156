"""Counts and extremes of one variable of a store, over all of its frames in one pass."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xarray as xr

from airmass.core.errors import InputError
from airmass.data.formats.layout import minute
from airmass.data.formats.store import read
from airmass.data.plausible import doubt, extremes, means
from airmass.data.preparation.moments import Moments
from airmass.fields.variables import Variable

_BLOCK_BYTES = 64 * 2**20


@dataclass
class Tally:
    """Running counts and extremes of one variable; `low` and `high` by level."""

    low: np.ndarray
    high: np.ndarray
    levels: tuple[int | None, ...]
    count: int = 0
    missing: int = 0
    infinite: int = 0
    outside: int = 0
    first_missing: str = ""
    doubts: list[str] = field(default_factory=list)
    first_mask: np.ndarray | None = None
    mask_changes: str = ""
    last: np.ndarray | None = None
    last_when: str = ""
    repeated: int = 0
    first_repeated: str = ""
    flat: int = 0
    first_flat: str = ""
    unreadable: list[str] = field(default_factory=list)
    moments: Moments | None = None  # only where they are asked for

    @classmethod
    def of(cls, values: xr.DataArray, moments: bool = False) -> "Tally":
        levels: tuple[int | None, ...] = (None,) * values.sizes.get("level", 1)
        if "level" in values.dims and values.level.dtype.kind in "fiu":  # otherwise reported for the coordinate
            levels = tuple(values.level.values)
        empty = Moments.none((len(levels),)) if moments else None
        return cls(np.full(len(levels), np.inf), np.full(len(levels), -np.inf), levels, moments=empty)

    def add(self, frame: np.ndarray, variable: Variable, when: str) -> None:
        """Add one frame, ([level,] latitude, longitude)."""
        self._hold_against_the_last(frame, variable, when)
        missing = ~np.isfinite(frame)
        self.count += frame.size
        self.infinite += int(np.isinf(frame).sum())
        if missing.any():
            self.missing += int(missing.sum())
            self.first_missing = self.first_missing or when
            frame = np.where(missing, np.nan, frame)
        self._hold_against(frame.reshape(1, len(self.levels), -1), variable, when)
        if self.moments is not None:
            self.moments = self.moments.merge(Moments.of(frame.reshape(1, len(self.levels), 1, -1)))
        if variable.missing_over_land:
            self.first_mask = missing if self.first_mask is None else self.first_mask
            if not self.mask_changes and not np.array_equal(self.first_mask, missing):
                self.mask_changes = when

    def _hold_against_the_last(self, frame: np.ndarray, variable: Variable, when: str) -> None:
        """Count frames that repeat the one before, and frames of one value. The sea may stay as it is for a day."""
        if not variable.missing_over_land and not variable.around_cyclones and not variable.accumulation_hours:
            # A time that is there twice is reported for the coordinate.
            if self.last is not None and when != self.last_when and np.array_equal(self.last, frame):
                self.repeated += 1
                self.first_repeated = self.first_repeated or when
            elif frame.size > 1 and frame.min() == frame.max():
                self.flat += 1
                self.first_flat = self.first_flat or when
        self.last, self.last_when = frame, when

    def _hold_against(self, frames: np.ndarray, variable: Variable, when: str) -> None:
        low, high = extremes(frames)
        self.low, self.high = np.fmin(self.low, low[0]), np.fmax(self.high, high[0])
        numbers = zip(self.levels, low[0].tolist(), high[0].tolist(), means(frames)[0].tolist(), strict=True)
        for column, (level, *found) in enumerate(numbers):
            if (doubted := doubt((variable.name, level), *found)) is None:
                continue
            least, greatest = variable.valid_range
            self.outside += int(((frames[0, column] < least) | (frames[0, column] > greatest)).sum())
            self.doubts.append(f"{at_level(level)}{doubted.text}{when}")


def at_level(level: int | None) -> str:
    return "" if level is None else f"at {level:g} hPa "


def tally_of(values: xr.DataArray, variable: Variable, path: str | Path, moments: bool = False) -> Tally:
    tally = Tally.of(values, moments)
    if "time" not in values.dims:
        try:
            tally.add(read(values, path), variable, "")
        except InputError:
            tally.unreadable.append(_unreadable(values, None, path))
        return tally
    frame = 4 * max(1, values.size // values.sizes["time"])
    block = max(1, _BLOCK_BYTES // frame)
    for start in range(0, values.sizes["time"], block):
        _tally_block(tally, values, slice(start, start + block), variable, path)
    return tally


def _tally_block(tally: Tally, values: xr.DataArray, block: slice, variable: Variable, path: str | Path) -> None:
    """Add a block of frames to the tally; an unreadable block is read again frame by frame."""
    part = values.isel(time=block).transpose("time", ...)
    try:
        frames: Iterator[np.ndarray] | np.ndarray = read(part, path)
    except InputError:
        frames = iter(())
        for i in range(part.sizes["time"]):
            try:
                frame = read(part.isel(time=i), path)
            except InputError:
                tally.unreadable.append(_unreadable(values, block.start + i, path))
            else:
                tally.add(frame, variable, _when(part, i))
    for i, frame in enumerate(frames):
        tally.add(frame, variable, _when(part, i))


def _when(part: xr.DataArray, i: int) -> str:
    dated = "time" in part.coords and np.issubdtype(part.time.dtype, np.datetime64)
    return f", first at {minute(part.time.values[i])}" if dated else ""


def _unreadable(values: xr.DataArray, frame: int | None, path: str | Path) -> str:
    """A message with the chunks of one frame, by their indices in the chunk grid, that cannot be decoded."""
    sizes = values.encoding.get("chunks") or values.shape
    grid = [range(-(-n // size)) for n, size in zip(values.shape, sizes, strict=True)]
    if frame is not None:
        time = values.dims.index("time")
        grid[time] = range(frame // sizes[time], frame // sizes[time] + 1)
    bad, reason = [], ""
    for chunk in np.ndindex(*map(len, grid)):
        number = [axis[i] for axis, i in zip(grid, chunk, strict=True)]
        corner = {d: slice(k * s, k * s + 1) for d, k, s in zip(values.dims, number, sizes, strict=True)}
        try:
            read(values.isel(corner), path)
        except InputError as error:
            bad.append("/".join(map(str, number)))
            reason = str(error.__cause__)
    when = _when(values, frame).replace(", first at", " at") if frame is not None else ""
    return f"cannot be read{when}: chunk {', '.join(bad)}: {' '.join(reason.split())}"
