"""Frames of a store as arrays of channels, read through tensorstore, for training and for initial states."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from airmass.data.statistics import between
from airmass.errors import InputError
from airmass.grid import LatLonGrid
from airmass.layout import Layout
from airmass.store import (
    fingerprint,
    grid_of,
    is_netcdf,
    minute,
    open_store,
    read,
    require,
    require_finite,
    require_times,
)
from airmass.task import Task
from airmass.variables import VARIABLES

_HOUR = np.timedelta64(1, "h")
# Up to this size the frames of a training period are read once and kept.
_IN_MEMORY_BYTES = 4 * 2**30


class Frames:
    """All target channels of a task at the times of a store, or of one period of it.

    Checked when opened: variables, levels, units, order of coordinates, a step that divides the task's. A window that
    reaches over a missing time is not offered; a NaN raises InputError when its frame is read.
    """

    def __init__(self, path: str | Path, task: Task, dates: tuple[str, str] | None = None):
        self.path, self.task = path, task
        dataset = open_store(path, dask=False)
        require(dataset, path, (*task.targets, *task.static), task.levels)
        _refuse_unsupported(dataset, task, path)
        self.grid: LatLonGrid = grid_of(dataset, path)
        self.layout = Layout.of(task.targets, task.levels)
        self.fingerprint = fingerprint(dataset, path)
        self._dataset = dataset
        self._arrays = {name: _array(dataset[name], path) for name in task.targets}
        chosen = slice(None) if dates is None else between(dataset.time.values, dates, path)
        self._first = chosen.start or 0
        self.times = dataset.time.values.astype("datetime64[ns]")[chosen]
        self._starts: dict[int, Int[np.ndarray, " start"]] = {}
        self._held: Float[np.ndarray, "time node target"] | None = None

    def static(self) -> Float[np.ndarray, "node static"]:
        """The static fields, checked for NaN."""
        if not self.task.static:
            return np.empty((self.grid.size, 0), np.float32)
        require_finite(self._dataset, self.path, self.task.static)
        return Layout.of(self.task.static, self.task.levels).pack(self._dataset[list(self.task.static)])

    def starts(self, length: int) -> Int[np.ndarray, " start"]:
        """Indices of `times` from which `length` frames follow, one task step apart, with none missing."""
        if length not in self._starts:
            whole = np.ones(len(self.times), bool)
            for k in range(1, length):
                whole &= np.isin(self.times + k * self.task.step * _HOUR, self.times)
            self._starts[length] = np.flatnonzero(whole)
        return self._starts[length]

    def window(self, start: int, length: int) -> Float[np.ndarray, "time node target"]:
        """`length` frames one task step apart from `times[start]`."""
        return self.at(self.times[start] + np.arange(length) * self.task.step * _HOUR)

    def at(self, times: np.ndarray) -> Float[np.ndarray, "time node target"]:
        """The frames at these times; raises InputError for one that is absent."""
        if not np.isin(times, self.times).all():
            require_times(self._dataset, self.path, times)
        rows = np.searchsorted(self.times, times)
        if self._held is not None:
            return self._held[rows]
        return np.concatenate([self._read(slice(row, row + 1)) for row in rows])

    def hold(self) -> bool:
        """Read the whole period into memory if it is small; says whether it was."""
        size = len(self.times) * self.grid.size * len(self.layout) * 4
        if size <= _IN_MEMORY_BYTES and self._held is None:
            held = np.empty((len(self.times), self.grid.size, len(self.layout)), np.float32)
            for block in _blocks(len(self.times), 32):
                held[block] = self._read(block)
            self._held = held
        return self._held is not None

    def _read(self, rows: slice) -> Float[np.ndarray, "time node target"]:
        frames = np.empty((rows.stop - rows.start, self.grid.size, len(self.layout)), np.float32)
        stored = slice(self._first + rows.start, self._first + rows.stop)
        pending = {name: self._request(name, stored) for name in self.layout.variables}
        for name, future in pending.items():
            values = self._result(name, future, rows)
            if bad := int((~np.isfinite(values)).sum()):
                when = self.times[rows][np.argmax(~np.isfinite(values).reshape(len(values), -1).all(axis=1))]
                raise InputError(
                    f"{self.path}: {name} has {bad} NaN or infinite values, first at {minute(when)}; expected none"
                )
            frames[..., self.layout.columns(name)] = values.reshape(len(values), -1, self.grid.size).swapaxes(1, 2)
        return frames

    def _request(self, name: str, stored: slice):
        array = self._arrays[name][stored]
        if levels := self.layout.levels(name):
            array = array[:, np.searchsorted(self._dataset.level.values, levels)]
        return array.read()

    def _result(self, name: str, future, rows: slice) -> np.ndarray:
        try:
            return future.result()
        except ValueError as error:
            span = f"{minute(self.times[rows][0])} and {minute(self.times[rows][-1])}"
            reason = " ".join(str(error).split())[:300]
            raise InputError(f"{self.path}: {name} cannot be read between {span}: {reason}") from error


class _Plain:
    """A NetCDF variable behind the few words of tensorstore that are used here."""

    def __init__(self, field: xr.DataArray, path: str | Path):
        self._field, self._path = field, path

    def __getitem__(self, key):
        return _Plain(self._field[key], self._path)

    def read(self):
        return self

    def result(self) -> np.ndarray:
        return read(self._field, self._path)


def _array(field: xr.DataArray, path: str | Path):
    """A lazy array of a variable: tensorstore for Zarr, xarray for NetCDF and packed integers."""
    packed = "scale_factor" in field.encoding or "add_offset" in field.encoding or field.dtype.kind != "f"
    if packed or is_netcdf(path):
        return _Plain(field, path)
    import tensorstore
    import zarr

    version = zarr.open_group(str(path), mode="r").metadata.zarr_format
    remote = "://" in str(path)
    kvstore = f"{path}/{field.name}/" if remote else {"driver": "file", "path": f"{Path(path).resolve()}/{field.name}/"}
    spec = {"driver": "zarr3" if version == 3 else "zarr", "kvstore": kvstore}
    return tensorstore.open(spec, open=True, read=True).result()


def _refuse_unsupported(dataset: xr.Dataset, task: Task, path: str | Path) -> None:
    masked = [name for name in task.targets if VARIABLES[name].missing_over_land]
    if masked:
        raise InputError(f"{path}: {', '.join(masked)} is NaN over land, which GraphCast cannot read or predict")
    if "time" not in dataset.dims or not dataset.sizes["time"]:
        raise InputError(f"{path}: no times")
    times = dataset.time.values
    step = int(np.diff(times).min() / _HOUR) if len(times) > 1 else task.step
    if step <= 0 or task.step % step:
        raise InputError(f"{path}: time advances by {step} h, expected a divisor of the task's step of {task.step} h")


def _blocks(n: int, size: int) -> Iterator[slice]:
    for start in range(0, n, size):
        yield slice(start, min(n, start + size))
