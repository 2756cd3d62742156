"""Streams forecast frames into a Zarr store or a NetCDF file, so that memory does not grow with lead time."""

import contextlib
import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import h5netcdf
import numpy as np
import xarray as xr
import zarr
from jaxtyping import Float

from airmass.errors import InputError
from airmass.grid import LatLonGrid
from airmass.layout import Layout
from airmass.task import Task
from airmass.variables import VARIABLES

# Small frames are gathered into chunks of about this size: a file for every frame of a coarse grid costs more than it.
_CHUNK_BYTES = 4 * 2**20

Region = tuple[int | slice, ...]


class ForecastWriter:
    """Writes frames to a new Zarr store, or a NetCDF file where `path` ends in `.nc`; use as a context manager.

    Dims are (init_time, [number,] lead_time, [level,] latitude, longitude), `number` only where `members` is given.
    Frames come in order of initial time, then lead time, then member. A chunk holds several lead times of a single
    forecast, or several members of one lead time, so no more than a chunk waits in memory. `levels` are those written,
    by default all. Raises InputError for a level that the task has not.
    """

    def __init__(
        self,
        path: Path,
        task: Task,
        grid: LatLonGrid,
        inits: np.ndarray,
        steps: int,
        attributes: Mapping[str, str | int],
        members: int | None = None,
        levels: Sequence[int] = (),
    ):
        self._grid, self._ensemble = grid, members is not None
        frame = Layout.of(task.targets, task.levels)
        self._layout = Layout.of(task.targets, chosen_levels(task, levels))
        self._columns = None if self._layout == frame else [frame.index(channel) for channel in self._layout.channels]
        self._count = steps if members is None else members  # of what runs fastest
        self._together = _frames_a_chunk(self._layout, grid, self._count)
        self._buffer = np.empty((self._together, grid.size, len(self._layout)), np.float32)
        leads = (np.arange(1, steps + 1) * np.timedelta64(task.step, "h")).astype("timedelta64[ns]")
        coords = _coordinates(self._layout, grid, inits, leads, members).assign_attrs(attributes)
        make = _NetCDF if path.suffix == ".nc" else _Zarr
        self._file: _File = make(path, coords, _fields(self._layout, coords, self._together))

    def __enter__(self) -> "ForecastWriter":
        return self

    def __exit__(self, kind, *rest) -> None:
        self._file.close(complete=kind is None)

    def write(self, row: int, step: int, frame: Float[np.ndarray, "node target"], number: int = 0) -> None:
        """The frame of the initial time numbered `row`, `step` steps (from 0) after the first lead time."""
        fastest = number if self._ensemble else step
        self._buffer[fastest % self._together] = frame if self._columns is None else frame[:, self._columns]
        if (fastest + 1) % self._together and fastest + 1 < self._count:
            return
        block = slice(fastest - fastest % self._together, fastest + 1)
        region: Region = (row, block, step) if self._ensemble else (row, block)
        values = self._layout.unpack(self._buffer[: block.stop - block.start], self._grid)
        self._file.write({name: (region, field) for name, field in values.items()})


def chosen_levels(task: Task, levels: Sequence[int]) -> tuple[int, ...]:
    """The levels to write, all of the task's if none is named. Raises InputError for one that it has not."""
    if unknown := [level for level in levels if level not in task.levels]:
        raise InputError(f"levels {unknown} hPa: the model has {list(task.levels)}")
    return tuple(sorted(set(levels))) or task.levels


@dataclass(frozen=True)
class _Field:
    """A variable that is to be written bit by bit."""

    name: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    chunks: tuple[int, ...]

    @property
    def attributes(self) -> dict[str, Any]:
        return VARIABLES[self.name].attributes | {"coordinates": "valid_time"}


class _File(Protocol):
    def write(self, blocks: Mapping[str, tuple[Region, np.ndarray]]) -> None: ...
    def close(self, complete: bool) -> None: ...


class _Zarr:
    def __init__(self, path: Path, coords: xr.Dataset, fields: Sequence[_Field]):
        coords.to_zarr(path, zarr_format=3, consolidated=False)
        self._group = zarr.open_group(path, mode="r+")
        self._arrays = {
            field.name: self._group.create_array(
                field.name,
                shape=field.shape,
                chunks=field.chunks,
                dtype="float32",
                fill_value=np.nan,
                dimension_names=field.dims,
                attributes=field.attributes,
            )
            for field in fields
        }

    def write(self, blocks: Mapping[str, tuple[Region, np.ndarray]]) -> None:
        for name, (region, values) in blocks.items():
            self._arrays[name][region] = values

    def close(self, complete: bool) -> None:
        if complete:
            with warnings.catch_warnings():
                # Zarr v3 has no word for consolidated metadata yet; readers that know it open remote stores at once.
                warnings.simplefilter("ignore", zarr.errors.ZarrUserWarning)
                zarr.consolidate_metadata(self._group.store)


class _NetCDF:
    def __init__(self, path: Path, coords: xr.Dataset, fields: Sequence[_Field]):
        path.write_bytes(coords.to_netcdf(engine="h5netcdf"))
        self._disk = _Disk(path)
        self._file = h5netcdf.File(self._disk, "r+")
        for field in fields:
            array = self._file.create_variable(
                field.name, field.dims, np.float32, chunks=field.chunks, fillvalue=np.nan
            )
            array.attrs.update(field.attributes)
        self._disk.check()

    def write(self, blocks: Mapping[str, tuple[Region, np.ndarray]]) -> None:
        for name, (region, values) in blocks.items():
            self._file.variables[name][region] = values
            self._disk.check()

    def close(self, complete: bool) -> None:
        # After a failed write HDF5 may not find what it thinks it wrote; the file is about to be removed.
        with contextlib.nullcontext() if complete else contextlib.suppress(Exception):
            self._file.close()
        self._disk.close()
        if complete:
            self._disk.check()


class _Disk(io.RawIOBase):
    """A file for HDF5 to write to that keeps what goes wrong for `check` to raise.

    HDF5 itself, told of a full disk, can neither close its file nor leave it, and says so again when Python ends.
    """

    def __init__(self, path: Path):
        self._file = path.open("r+b", buffering=0)
        self._error: BaseException | None = None

    def check(self) -> None:
        if self._error is not None:
            raise self._error

    def write(self, data) -> int:
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            while rest and self._error is None:
                rest = rest[self._file.write(rest) :]
        except BaseException as error:
            self._error = error
        return size

    def truncate(self, size: int | None = None) -> int:
        try:
            if self._error is None:
                self._file.truncate(size)
        except BaseException as error:
            self._error = error
        return size or 0

    def readinto(self, buffer) -> int:
        return self._file.readinto(buffer) or 0

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self._file.close()
        super().close()

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


def _frames_a_chunk(layout: Layout, grid: LatLonGrid, count: int) -> int:
    largest = max(len(layout.levels(name)) or 1 for name in layout.variables) * grid.size * 4
    return int(np.clip(_CHUNK_BYTES // largest, 1, count))


def _fields(layout: Layout, coords: xr.Dataset, together: int) -> list[_Field]:
    """The variables over these coordinates, with `together` frames of what runs fastest in a chunk."""
    times = ("init_time", "number", "lead_time") if "number" in coords else ("init_time", "lead_time")
    fields = []
    for name in layout.variables:
        dims = (*times, *(("level",) if layout.levels(name) else ()), "latitude", "longitude")
        shape = tuple(coords.sizes[dim] for dim in dims)
        chunks = (1, together, 1)[: len(times)] + shape[len(times) :]
        fields.append(_Field(name, dims, shape, chunks))
    return fields


def _coordinates(
    layout: Layout, grid: LatLonGrid, inits: np.ndarray, leads: np.ndarray, members: int | None
) -> xr.Dataset:
    coords = {
        "init_time": ("init_time", inits, {"standard_name": "forecast_reference_time"}),
        "lead_time": ("lead_time", leads, {"standard_name": "forecast_period"}),
        "latitude": ("latitude", grid.latitude, {"units": "degrees_north", "standard_name": "latitude"}),
        "longitude": ("longitude", grid.longitude, {"units": "degrees_east", "standard_name": "longitude"}),
    }
    if members is not None:
        coords["number"] = ("number", np.arange(members), {"units": "1", "standard_name": "realization"})
    if levels := sorted({level for _, level in layout.channels if level is not None}):
        attributes = {"units": "hPa", "standard_name": "air_pressure", "positive": "down"}
        coords["level"] = ("level", np.array(levels), attributes)
    valid = (("init_time", "lead_time"), inits[:, None] + leads[None], {"standard_name": "time"})
    dataset = xr.Dataset({"valid_time": valid}, coords)
    for name in ("init_time", "valid_time"):
        dataset[name].encoding = {"units": "hours since 1970-01-01", "dtype": "int64"}
    dataset.lead_time.encoding = {"units": "hours", "dtype": "int64"}
    return dataset
