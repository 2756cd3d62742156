"""Streaming forecast frames into a Zarr store or a NetCDF file, so that memory does not grow with lead time."""

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

from airmass.core.errors import InputError
from airmass.core.files import sync
from airmass.fields.channels import ChannelLayout
from airmass.fields.grid import LatLonGrid
from airmass.fields.task import Task
from airmass.fields.variables import VARIABLES

# Small frames are gathered into chunks of about this size: one file for every frame of a coarse grid would be slow.
_CHUNK_BYTES = 4 * 2**20
# Largest number of sampled frames in a chunk: they are expensive, and those not yet written are lost if a run stops.
_MOST_SAMPLED = 4

Region = tuple[int | slice, ...]


class ForecastWriter:
    """Writes frames to a new Zarr store, or a NetCDF file where `path` ends in `.nc`; use as a context manager.

    Dims are (init_time, [number,] lead_time, [level,] latitude, longitude), `number` only where `numbers` are given:
    the numbers of the members. A trajectory's frames come in order of lead time. A chunk holds some lead times of one
    trajectory, so that members can be written, linked and read separately, and at most one chunk of each unfinished
    trajectory is buffered in memory. `levels` are the levels to write, by default all. With `going_on`, an existing
    Zarr store is continued. Raises InputError for a level that the task lacks.
    """

    def __init__(
        self,
        path: Path,
        task: Task,
        grid: LatLonGrid,
        inits: np.ndarray,
        steps: int,
        attributes: Mapping[str, str | int | float],
        numbers: range | None = None,
        levels: Sequence[int] = (),
        going_on: bool = False,
    ):
        self._grid, self._steps, self._path, self._task = grid, steps, path, task
        self._ensemble, self._first = numbers is not None, numbers.start if numbers else 0
        frame = ChannelLayout.of(task.targets, task.levels)
        self.layout = ChannelLayout.of(task.targets, chosen_levels(task, levels))
        self._columns = None if self.layout == frame else [frame.index(channel) for channel in self.layout.channels]
        self._together = _frames_a_chunk(self.layout, grid, steps, self._ensemble)
        self._waiting: dict[tuple[int, int], np.ndarray] = {}
        if going_on:
            self._file: _File = _Zarr.open(path, self.layout.variables)
            return
        leads = (np.arange(1, steps + 1) * np.timedelta64(task.step, "h")).astype("timedelta64[ns]")
        coords = _coordinates(self.layout, grid, inits, leads, numbers).assign_attrs(attributes)
        make = _NetCDF if path.suffix == ".nc" else _Zarr.create
        self._file = make(path, coords, _fields(self.layout, coords, self._together))

    def __enter__(self) -> "ForecastWriter":
        return self

    def __exit__(self, kind, *rest) -> None:
        self._file.close(complete=kind is None)

    @property
    def holds_states(self) -> bool:
        """True if a trajectory can be continued from the file: all channels that a step reads are written."""
        return set(ChannelLayout.of(self._task.prognostic, self._task.levels).channels) <= set(self.layout.channels)

    def ends_a_chunk(self, step: int) -> bool:
        """True if all frames up to this step, from 0, are written after it."""
        return (step + 1) % self._together == 0 or step + 1 == self._steps

    def write(self, row: int, step: int, frame: Float[np.ndarray, "node target"], number: int = 0) -> None:
        """Write the frame of initial time number `row` and member `number`, `step` steps after the first lead time."""
        place = number - self._first
        if self._together == 1:
            self._write(row, place, step, self._chosen(frame)[None])
            return
        waiting = self._waiting.setdefault((row, place), np.empty(self._buffer, np.float32))
        waiting[step % self._together] = self._chosen(frame)
        if self.ends_a_chunk(step):
            del self._waiting[row, place]
            self._write(row, place, step - step % self._together, waiting[: step % self._together + 1])

    def sync(self, row: int, numbers: Sequence[int], step: int) -> None:
        """Flush the chunks that end with this step to the disk; Zarr only."""
        for number in numbers:
            trajectory = (row, number - self._first) if self._ensemble else (row,)
            sync_chunks(self._path, self.layout.variables, (*trajectory, step // self._together))

    def newest(self, row: int, number: int, count: int) -> Float[np.ndarray, "time node prognostic"]:
        """The last `history` frames of a trajectory of which `count` frames are written, bit for bit; Zarr only."""
        lead = slice(max(0, count - self._task.history), count)
        layout = ChannelLayout.of(self._task.prognostic, self._task.levels)
        assert isinstance(self._file, _Zarr)
        fields = self._file.read(self._region(row, number - self._first, lead), layout.variables)
        return layout.pack(xr.Dataset({name: self._labelled(name, values) for name, values in fields.items()}))

    def _labelled(self, name: str, values: np.ndarray) -> xr.DataArray:
        levels = self.layout.levels(name)
        dims = ("time", *(("level",) if levels else ()), "latitude", "longitude")
        return xr.DataArray(values, dims=dims, coords={"level": list(levels)} if levels else {})

    @property
    def _buffer(self) -> tuple[int, int, int]:
        return self._together, self._grid.size, len(self.layout)

    def _chosen(self, frame: Float[np.ndarray, "node target"]) -> Float[np.ndarray, "node channel"]:
        return frame if self._columns is None else frame[:, self._columns]

    def _write(self, row: int, place: int, step: int, frames: Float[np.ndarray, "lead_time node channel"]) -> None:
        region = self._region(row, place, slice(step, step + len(frames)))
        values = self.layout.unpack(frames, self._grid)
        self._file.write({name: (region, field) for name, field in values.items()})

    def _region(self, row: int, place: int, leads: slice) -> Region:
        return (row, place, leads) if self._ensemble else (row, leads)


def bytes_a_frame(task: Task, grid: LatLonGrid, levels: tuple[int, ...]) -> int:
    """Bytes of one uncompressed frame on disk."""
    return 4 * grid.size * len(ChannelLayout.of(task.targets, levels))


def chosen_levels(task: Task, levels: Sequence[int]) -> tuple[int, ...]:
    """The levels to write, all of the task's if `levels` is empty. Raises InputError for a level that it lacks."""
    if unknown := [level for level in levels if level not in task.levels]:
        raise InputError(f"levels {unknown} hPa: the model has {list(task.levels)}")
    return tuple(sorted(set(levels))) or task.levels


@dataclass(frozen=True)
class _Field:
    """A variable that is written in parts."""

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
    def __init__(self, group: zarr.Group, names: Sequence[str]):
        self._group = group
        self._arrays: dict[str, Any] = {name: group[name] for name in names}

    @classmethod
    def create(cls, path: Path, coords: xr.Dataset, fields: Sequence[_Field]) -> "_Zarr":
        coords.to_zarr(path, zarr_format=3, consolidated=False)
        group = zarr.open_group(path, mode="r+")
        for field in fields:
            group.create_array(
                field.name,
                shape=field.shape,
                chunks=field.chunks,
                dtype="float32",
                fill_value=np.nan,
                dimension_names=field.dims,
                attributes=field.attributes,
            )
        return cls(group, [field.name for field in fields])

    @classmethod
    def open(cls, path: Path, names: Sequence[str]) -> "_Zarr":
        return cls(zarr.open_group(path, mode="r+"), names)

    def read(self, region: Region, names: Sequence[str]) -> Mapping[str, np.ndarray]:
        return {name: np.asarray(self._arrays[name][region]) for name in names}

    def write(self, blocks: Mapping[str, tuple[Region, np.ndarray]]) -> None:
        for name, (region, values) in blocks.items():
            self._arrays[name][region] = values

    def close(self, complete: bool) -> None:
        if complete:
            with warnings.catch_warnings():
                # Not in the Zarr v3 specification yet; readers that know it open remote stores with one request.
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
        # After a failed write HDF5 may fail to close; the file is about to be removed.
        with contextlib.nullcontext() if complete else contextlib.suppress(Exception):
            self._file.close()
        self._disk.close()
        if complete:
            self._disk.check()


class _Disk(io.RawIOBase):
    """A raw file for HDF5 that stores errors, for `check` to raise.

    If HDF5 itself meets a full disk, it can neither close nor abandon its file, and fails again when Python exits.
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


def _frames_a_chunk(layout: ChannelLayout, grid: LatLonGrid, steps: int, ensemble: bool) -> int:
    largest = max(len(layout.levels(name)) or 1 for name in layout.variables) * grid.size * 4
    return int(np.clip(_CHUNK_BYTES // largest, 1, min(steps, _MOST_SAMPLED) if ensemble else steps))


def _fields(layout: ChannelLayout, coords: xr.Dataset, together: int) -> list[_Field]:
    """The variables over these coordinates, with `together` lead times of a trajectory per chunk."""
    times = ("init_time", "number", "lead_time") if "number" in coords else ("init_time", "lead_time")
    fields = []
    for name in layout.variables:
        dims = (*times, *(("level",) if layout.levels(name) else ()), "latitude", "longitude")
        shape = tuple(coords.sizes[dim] for dim in dims)
        chunks = (*[1] * (len(times) - 1), together, *shape[len(times) :])
        fields.append(_Field(name, dims, shape, chunks))
    return fields


def _coordinates(
    layout: ChannelLayout, grid: LatLonGrid, inits: np.ndarray, leads: np.ndarray, numbers: range | None
) -> xr.Dataset:
    coords = {
        "init_time": ("init_time", inits, {"standard_name": "forecast_reference_time"}),
        "lead_time": ("lead_time", leads, {"standard_name": "forecast_period"}),
        "latitude": ("latitude", grid.latitude, {"units": "degrees_north", "standard_name": "latitude"}),
        "longitude": ("longitude", grid.longitude, {"units": "degrees_east", "standard_name": "longitude"}),
    }
    if numbers is not None:
        coords["number"] = ("number", np.array(numbers), {"units": "1", "standard_name": "realization"})
    if levels := sorted({level for _, level in layout.channels if level is not None}):
        attributes = {"units": "hPa", "standard_name": "air_pressure", "positive": "down"}
        coords["level"] = ("level", np.array(levels), attributes)
    valid = (("init_time", "lead_time"), inits[:, None] + leads[None], {"standard_name": "time"})
    dataset = xr.Dataset({"valid_time": valid}, coords)
    for name in ("init_time", "valid_time"):
        dataset[name].encoding = {"units": "hours since 1970-01-01", "dtype": "int64"}
    dataset.lead_time.encoding = {"units": "hours", "dtype": "int64"}
    return dataset


def sync_chunks(store: Path, names: Sequence[str], chunk: Sequence[int]) -> None:
    """Flush the chunks with these first indices to the disk; chunks of fill values have no file."""
    for name in names:
        sync(*(path for path in Path(store, name, "c", *map(str, chunk)).rglob("*") if path.is_file()))
