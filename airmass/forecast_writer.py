"""Streams forecast frames into a Zarr store, so that memory does not grow with lead time."""

import warnings
from pathlib import Path

import dask.array
import numpy as np
import xarray as xr
import zarr
from jaxtyping import Float

import airmass
from airmass.data.loader import Frames
from airmass.grid import LatLonGrid
from airmass.layout import Layout
from airmass.saved import SavedModel
from airmass.variables import VARIABLES

# Small frames are gathered into chunks of about this size: a file for every frame of a coarse grid costs more than it.
_CHUNK_BYTES = 4 * 2**20
SYSTEM = "graphcast"


class ForecastWriter:
    """Writes frames in order of initial and lead time to a new store; use as a context manager."""

    def __init__(self, path: Path, saved: SavedModel, inits: np.ndarray, steps: int, frames: Frames):
        self._layout, self._grid, self._steps = frames.layout, frames.grid, steps
        self._together = _frames_a_chunk(self._layout, self._grid, steps)
        template = _template(self._layout, self._grid, inits, steps, saved.recipe.task.step, self._together)
        template.attrs = _attributes(saved, frames)
        template.to_zarr(path, compute=False, zarr_format=3, consolidated=False)
        self._group = zarr.open_group(path, mode="r+")
        self._arrays = {name: zarr.open_array(path / name, mode="r+") for name in self._layout.variables}
        self._buffer = np.empty((self._together, self._grid.size, len(self._layout)), np.float32)

    def __enter__(self) -> "ForecastWriter":
        return self

    def __exit__(self, kind, *rest) -> None:
        if kind is None:
            with warnings.catch_warnings():
                # Zarr v3 has no word for consolidated metadata yet; readers that know it open remote stores at once.
                warnings.simplefilter("ignore", zarr.errors.ZarrUserWarning)
                zarr.consolidate_metadata(self._group.store)

    def write(self, row: int, step: int, frame: Float[np.ndarray, "node target"]) -> None:
        """The frame of the initial time numbered `row`, `step` steps (from 0) after the first lead time."""
        self._buffer[step % self._together] = frame
        if (step + 1) % self._together == 0 or step + 1 == self._steps:
            first = step - step % self._together
            for name, values in self._layout.unpack(self._buffer[: step + 1 - first], self._grid).items():
                self._arrays[name][row, first : step + 1] = values


def _frames_a_chunk(layout: Layout, grid: LatLonGrid, steps: int) -> int:
    largest = max(len(layout.levels(name)) or 1 for name in layout.variables) * grid.size * 4
    return int(np.clip(_CHUNK_BYTES // largest, 1, steps))


def _template(layout: Layout, grid: LatLonGrid, inits, steps: int, step_hours: int, together: int) -> xr.Dataset:
    leads = (np.arange(1, steps + 1) * step_hours * np.timedelta64(1, "h")).astype("timedelta64[ns]")
    levels = sorted({level for _, level in layout.channels if level is not None})
    fields = {}
    for name in layout.variables:
        has_levels = bool(layout.levels(name))
        dims = ("init_time", "lead_time", *(("level",) if has_levels else ()), "latitude", "longitude")
        shape = (len(inits), steps, *((len(levels),) if has_levels else ()), *grid.shape)
        chunks = (1, together, *shape[2:])
        empty = dask.array.empty(shape, chunks=chunks, dtype=np.float32)
        fields[name] = xr.Variable(dims, empty, VARIABLES[name].attributes)
    coords = {
        "init_time": ("init_time", inits, {"standard_name": "forecast_reference_time"}),
        "lead_time": ("lead_time", leads, {"standard_name": "forecast_period"}),
        "valid_time": (("init_time", "lead_time"), inits[:, None] + leads[None], {"standard_name": "time"}),
        "latitude": ("latitude", grid.latitude, {"units": "degrees_north", "standard_name": "latitude"}),
        "longitude": ("longitude", grid.longitude, {"units": "degrees_east", "standard_name": "longitude"}),
    }
    if levels:
        attributes = {"units": "hPa", "standard_name": "air_pressure", "positive": "down"}
        coords["level"] = ("level", np.array(levels), attributes)
    dataset = xr.Dataset(fields, coords)
    for name in ("init_time", "valid_time"):
        dataset[name].encoding = {"units": "hours since 1970-01-01", "dtype": "int64"}
    dataset.lead_time.encoding = {"units": "hours", "dtype": "int64"}
    return dataset


def _attributes(saved: SavedModel, frames: Frames) -> dict[str, str | int]:
    attributes: dict[str, str | int] = {
        "title": "Forecast by airmass",
        "Conventions": "CF-1.11",
        "source": f"airmass {airmass.__version__}, GraphCast",
        "airmass_system": SYSTEM,
        "airmass_initial": str(frames.path),
        "airmass_initial_fingerprint": frames.fingerprint,
    }
    return attributes | {f"airmass_{name}": value for name, value in saved.about.items() if name != "airmass"}
