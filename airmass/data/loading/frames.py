"""Frames of a store as arrays of channels, read through tensorstore, for training and for initial states."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from airmass.core.errors import InputError
from airmass.data.formats.layout import fill_hint, grid_of, minute
from airmass.data.formats.store import fingerprint, open_store, require, require_finite, require_times
from airmass.data.loading.change_detection import ChangeDetector
from airmass.data.loading.frame_cache import PeriodCache, RecentCache
from airmass.data.loading.latitude_band import LatitudeBand
from airmass.data.loading.lazy_array import as_slice, concatenated, lazy_array
from airmass.data.loading.workspace import Workspace
from airmass.data.plausible import FirstReading, Usual
from airmass.data.preparation.statistics import between
from airmass.fields.channels import ChannelLayout
from airmass.fields.grid import LatLonGrid
from airmass.fields.task import Task
from airmass.fields.variables import VARIABLES

_HOUR = np.timedelta64(1, "h")
# Frames are decoded in blocks of this size, then transposed to channels last; larger blocks are not faster.
_BLOCK_BYTES = 256 * 2**20
ALL = slice(None)


class Frames:
    """All target channels of a task at the times of a store, or of one period of it.

    Variables, levels, units, order of coordinates and a step that divides the task's are checked when it is opened.
    Windows across a missing time are left out; a NaN raises InputError when its frame is read. With `missing`, NaN is
    allowed in variables that are missing over land, at the same nodes at every time; with `sparse`, anywhere in those
    that exist only around cyclones. Reading is thread-safe.
    """

    def __init__(
        self,
        path: str | Path,
        task: Task,
        dates: tuple[str, str] | None = None,
        missing: bool = False,
        sparse: bool = False,
    ):
        self.path, self.task = path, task
        dataset = open_store(path, dask=False)
        require(dataset, path, (*task.targets, *task.static), task.levels)
        _refuse_unsupported(dataset, task, path, missing)
        self._sparse = _sparse_of(task, path, sparse)
        self.grid: LatLonGrid = grid_of(dataset, path)
        self.layout = ChannelLayout.of(task.targets, task.levels)
        chosen = slice(
            *(ALL if dates is None else between(dataset.time.values, dates, path)).indices(dataset.sizes["time"])
        )
        self._changes = ChangeDetector(path, dataset, (*map(str, dataset.coords), *task.targets, *task.static), chosen)
        self.fingerprint = fingerprint(dataset, path)
        self._dataset = dataset
        self._first = chosen.start
        self.times = dataset.time.values.astype("datetime64[ns]")[chosen]
        self._arrays = {n: lazy_array(dataset[n], path, self.layout.levels(n)) for n in self.layout.variables}
        self._all = concatenated(list(self._arrays.values()))
        self._workspace = Workspace()
        self._starts: dict[int, Int[np.ndarray, " start"]] = {}
        self._held: PeriodCache | None = None
        self._recent: dict[LatitudeBand, RecentCache] = {}
        self._gaps: dict[str, np.ndarray] = {}
        self._plausible = FirstReading(self.layout.channels)
        self._forcings = Frames(path, task.of_stored_forcing, dates, missing=True) if task.stored_forcing else None
        if missing:
            self._gaps = {name: np.isnan(self._alone(name, 0)) for name in task.targets if _over_sea(name)}

    def static(self) -> Float[np.ndarray, "node static"]:
        """The static fields, checked for NaN."""
        if not self.task.static:
            return np.empty((self.grid.size, 0), np.float32)
        require_finite(self._dataset, self.path, self.task.static)
        return ChannelLayout.of(self.task.static, self.task.levels).pack(self._dataset[list(self.task.static)])

    def stored_forcing(self, times: np.ndarray, nodes: slice = ALL) -> Float[np.ndarray, "time node stored"]:
        """The forcings that come from the store, in the order of the task, at these times; NaN over land in some.

        Raises InputError for an absent time.
        """
        assert self._forcings is not None
        columns = [self._forcings.layout.index((name, None)) for name in self.task.stored_forcing]
        return self._forcings.at(times, nodes)[..., columns]

    def hold_against(self, usual: Usual) -> None:
        """From now on, check frames at their first reading against these means and spreads too."""
        self._plausible = FirstReading(self.layout.channels, usual)
        if self._forcings is not None:
            self._forcings.hold_against(usual)

    def starts(self, length: int) -> Int[np.ndarray, " start"]:
        """Indices of `times` that start a complete window of `length` frames, one task step apart."""
        if length not in self._starts:
            whole = np.ones(len(self.times), bool)
            for k in range(1, length):
                whole &= np.isin(self.times + k * self.task.step * _HOUR, self.times)
            self._starts[length] = np.flatnonzero(whole)
        return self._starts[length]

    def dropped(self, length: int) -> int:
        """The number of windows of the period that `starts` leaves out because of a missing time."""
        if len(self.times) < 2:
            return 0
        spacing = np.diff(self.times).min()
        slots = (self.times[-1] - self.times[0]) // spacing + 1
        return max(0, int(slots) - self.reach(length) + 1) - len(self.starts(length))

    def reach(self, length: int) -> int:
        """The number of the store's times from the first to the last frame of a window, both included."""
        spacing = np.diff(self.times).min()
        return int((length - 1) * self.task.step * _HOUR // spacing) + 1

    def window(self, start: int, length: int) -> Float[np.ndarray, "time node target"]:
        """A window of `length` frames, one task step apart, from `times[start]`."""
        return self.at(self.times[start] + np.arange(length) * self.task.step * _HOUR)

    def at(
        self, times: np.ndarray, nodes: slice = ALL, out: Float[np.ndarray, "time node target"] | None = None
    ) -> Float[np.ndarray, "time node target"]:
        """The frames at these times on a slice of nodes, in `out` if given; raises InputError for an absent time."""
        rows, band = np.searchsorted(self.times, times), LatitudeBand.of(nodes, self.grid)
        if not np.array_equal(self.times[np.minimum(rows, len(self.times) - 1)], times):
            require_times(self._dataset, self.path, times)
        if out is None:
            out = np.empty((len(rows), band.size, len(self.layout)), np.float32)
        if self._held is not None and (held := self._held.part(band)) is not None:
            for place, row in zip(out, rows, strict=True):
                place[...] = held[row]
        elif (recent := self._recent.get(band)) is not None:
            recent.copy(rows.tolist(), out, partial(self._read_each, band))
        else:
            self._read(rows, band, out)
        return out

    def _read_each(self, band: LatitudeBand, places: Mapping[int, np.ndarray]) -> None:
        self._read(np.array([*places]), band, [*places.values()])

    def hold(self, limit_gib: float = 4.0, nodes: slice = ALL) -> bool:
        """Cache these nodes of the whole period if they fit into `limit_gib`; True if they are cached."""
        band = LatitudeBand.of(nodes, self.grid)
        if self._held is not None and self._held.part(band) is not None:
            return True
        shape = len(self.times), band.size, len(self.layout)
        if 4 * np.prod(shape, dtype=float) > limit_gib * 2**30:
            return False
        frames = np.empty(shape, np.float32)
        self._read(np.arange(len(self.times)), band, frames)
        self._held = PeriodCache(band, frames)
        return True

    def keep_recent(self, count: int, nodes: slice = ALL) -> None:
        """From now on, cache these nodes of at least the `count` frames most recently read by `at`."""
        band = LatitudeBand.of(nodes, self.grid)
        if band not in self._recent or self._recent[band].count < count:
            self._recent[band] = RecentCache(count, (band.size, len(self.layout)))

    def require_unchanged(self) -> None:
        """Raise InputError, with the difference, if the store has changed since it was opened.

        Compares metadata, and sizes and modification times of up to 1024 chunk files of each variable; for remote
        stores, the contents of three chunks.
        """
        self._changes.require_same()
        if self._forcings is not None:
            self._forcings.require_unchanged()

    def _read(self, rows: Int[np.ndarray, " time"], band: LatitudeBand, out: np.ndarray | Sequence[np.ndarray]) -> None:
        size = max(1, _BLOCK_BYTES // (4 * band.rows * self.grid.shape[1] * len(self.layout)))
        for start in range(0, len(rows), size):
            block = rows[start : start + size]
            values = self._decoded(block, band)
            self._require_valid(values, block, band)
            for k, frame in enumerate(values):
                out[start + k][...] = frame.reshape(len(frame), -1)[:, band.inner].T

    def _decoded(self, rows, band: LatitudeBand) -> Float[np.ndarray, "time target latitude longitude"]:
        values = self._workspace.array(len(rows), len(self.layout), band.rows, self.grid.shape[1])
        try:
            self._all.into(values, as_slice(self._first + rows), band.latitudes).result()
        except InputError as error:
            raise self._unreadable(rows, error) from error
        return values

    def _unreadable(self, rows, error: InputError) -> InputError:
        """An error with the first variable and time that cannot be read, and its file or chunk."""
        for name in self._arrays:
            for row in rows:
                try:
                    self._alone(name, row)
                except InputError as found:
                    return found
        return InputError(f"{self.path}: cannot be read from {minute(self.times[rows[0]])} on: {error}")

    def _alone(self, name: str, row: int) -> Float[np.ndarray, "level latitude longitude"]:
        """One field at one time; raises InputError, with its name and time, if it cannot be read."""
        array = self._arrays[name]
        values = np.empty((1, array.size, *self.grid.shape), np.float32)
        try:
            array.into(values, slice(self._first + row, self._first + row + 1), slice(0, self.grid.shape[0])).result()
        except InputError as error:
            length = self._dataset[name].encoding.get("preferred_chunks", {}).get("time")
            chunk = f", chunk {(self._first + row) // length} along time" if isinstance(length, int) else ""
            where = f"{name} cannot be read at {minute(self.times[row])}{chunk}"
            raise InputError(f"{self.path}: {where}: {error}") from error
        return values[0]

    def _require_valid(self, values: np.ndarray, rows, band: "LatitudeBand") -> None:
        with np.errstate(all="ignore"):
            # NaN and infinity propagate to the sum, which reads values once, where a mask would be written and read.
            # einsum's sum takes half the time of numpy's pairwise one; its rounding does not matter here.
            nodes = values.reshape(*values.shape[:2], -1)
            sums = np.einsum("tcn->tc", nodes)
            suspect = ~np.isfinite(sums).all(0)
        for name in self.layout.variables:
            columns = self.layout.columns(name)
            if name in self._sparse:
                self._require_finite(name, np.isinf(values[:, columns]), rows, "infinite")
            elif name in self._gaps:
                self._require_gaps(name, values[:, columns], rows, band)
            elif suspect[columns].any():
                self._require_finite(name, ~np.isfinite(values[:, columns]), rows)
        self._plausible.require(self.path, nodes, sums, rows, self.times[rows], band)

    def _require_finite(self, name: str, bad: np.ndarray, rows, kind: str = "NaN or infinite") -> None:
        if count := int(bad.sum()):
            when = minute(self.times[rows[np.argmax(bad.any((1, 2, 3)))]])
            hint = fill_hint(self._dataset[name])
            raise InputError(f"{self.path}: {name} has {count} {kind} values, first at {when}{hint}; expected none")

    def _require_gaps(self, name: str, values: np.ndarray, rows, band: "LatitudeBand") -> None:
        self._require_finite(name, np.isinf(values), rows, "infinite")
        gaps, expected = np.isnan(values), self._gaps[name][:, band.latitudes]
        for row, found in zip(rows, gaps, strict=True):
            if not np.array_equal(found, expected):
                differ = int((found != expected).sum())
                raise InputError(
                    f"{self.path}: {name} is NaN at {int(found.sum())} points at {minute(self.times[row])}, expected "
                    f"the {int(expected.sum())} of {minute(self.times[0])}; {differ} points differ"
                )


def _over_sea(name: str) -> bool:
    return VARIABLES[name].missing_over_land


def _sparse_of(task: Task, path: str | Path, sparse: bool) -> tuple[str, ...]:
    """The targets that exist only around cyclones; raises InputError where a model cannot have them."""
    found = tuple(name for name in task.targets if VARIABLES[name].around_cyclones)
    if found and not sparse:
        raise InputError(f"{path}: {', '.join(found)} exists only around cyclones; this kind of model cannot learn it")
    if read := [name for name in found if name in task.prognostic]:
        raise InputError(f"{path}: {', '.join(read)} exists only around cyclones and cannot be prognostic")
    return found


def _refuse_unsupported(dataset: xr.Dataset, task: Task, path: str | Path, missing: bool) -> None:
    masked = [name for name in task.targets if _over_sea(name)]
    if masked and not missing:
        raise InputError(
            f"{path}: {', '.join(masked)} is NaN over land, which this kind of model cannot read or predict"
        )
    if "time" not in dataset.dims or not dataset.sizes["time"]:
        raise InputError(f"{path}: no times")
    times = dataset.time.values
    step = int(np.diff(times).min() / _HOUR) if len(times) > 1 else task.step
    if step <= 0 or task.step % step:
        raise InputError(f"{path}: time advances by {step} h, expected a divisor of the task's step of {task.step} h")
