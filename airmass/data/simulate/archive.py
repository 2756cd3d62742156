"""The Zarr store of a simulated climate, which grows block by block and can be stopped at any moment.

What the store holds is what the consolidated metadata in its root `zarr.json` says: readers go by it, and it is
replaced in one step, last of all. Before that come, in this order, the model's state at the end of the block (in a
hidden file, named by the number of frames it belongs to) and the block's chunks, which lie beyond what the metadata
speaks of. Whenever a run is killed, the store is therefore whole, and beside it lies the state that belongs to its
last frame; frames half-written behind it are written again, with the same bytes.
"""

import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, BinaryIO
from zipfile import BadZipFile

import numpy as np
import zarr

from airmass.core.errors import InputError
from airmass.core.files import new_output, writing
from airmass.core.strict_json import parse_json, read_json
from airmass.core.typed import Range, typed
from airmass.data.simulate.settings import FRAMES_PER_DAY, LEVELS, SimulateSettings
from airmass.fields.grid import LatLonGrid
from airmass.fields.variables import VARIABLES

ATTRIBUTE = "airmass_simulated"
_TIME_UNITS = "hours since 1900-01-01"
_TIME_ORIGIN = np.datetime64("1900-01-01", "h")
# One chunk of dates serves a year; every chunk of fields is one frame, which is what training reads.
_TIMES_A_CHUNK = 366 * FRAMES_PER_DAY

_COMMENTS = {
    "2m_temperature": "near-surface air temperature of SPEEDY, at 0.99 of surface pressure",
    "10m_u_component_of_wind": "near-surface wind of SPEEDY, 0.95 of that in the lowest layer",
    "10m_v_component_of_wind": "near-surface wind of SPEEDY, 0.95 of that in the lowest layer",
    "sea_surface_temperature": "daily climatology, not below 271.4 K; missing where land_sea_mask is more than 0.5",
    "total_precipitation_6hr": "sum of every time step of the six hours that end at the valid time",
    "land_sea_mask": "share of land",
}


def frames_held(path: Path, settings: SimulateSettings) -> int | None:
    """Frames in the store at `path`, None where there is nothing yet.

    Raises InputError for anything but a simulated climate of the same settings, and for one that is longer than asked.
    """
    if not path.exists():
        return None
    try:
        root = read_json(path / "zarr.json", dict)
        held = parse_json(root["attributes"][ATTRIBUTE], dict)
        frames = typed(root["consolidated_metadata"]["metadata"]["time"]["shape"][0], Annotated[int, Range(0)], "time")
    except (InputError, AttributeError, KeyError, IndexError, TypeError):
        raise InputError(f"{path}: exists and is not a simulated climate; name another output") from None
    for name, asked in settings.without_days().items():
        if held.get(name) != asked:
            raise InputError(
                f"{path}: was simulated with {name} {held.get(name)!r}, asked for {asked!r}; "
                "continue it with its own settings or name another output"
            )
    if frames > settings.frames:
        raise InputError(f"{path}: already holds {frames / FRAMES_PER_DAY:g} days, asked for {settings.days}")
    return frames


class Archive:
    """A store open for writing. `frames` counts those it holds."""

    def __init__(self, path: Path, frames: int):
        self.path, self.frames = path, frames
        self._group = zarr.open_group(path, mode="r+", use_consolidated=False)

    @classmethod
    def create(cls, path: Path, settings: SimulateSettings, static: Mapping[str, np.ndarray], source: str) -> "Archive":
        """An empty store: coordinates, static fields and no time yet."""
        with new_output(path) as aside:
            group = zarr.open_group(aside, mode="w-", zarr_format=3, attributes=_attributes(settings, source))
            _create_coordinates(group, settings)
            for name, variable in VARIABLES.items():
                if variable.static and name in static:
                    _create(group, name, np.float32, ("latitude", "longitude"), static[name].shape)[...] = static[name]
            _consolidate(aside)
        return cls(path, 0)

    @classmethod
    def resume(cls, path: Path, frames: int, source: str) -> "Archive":
        """A store of `frames`, cleared of what a killed run left; InputError if another version of jcm made it."""
        archive = cls(path, frames)
        made_by = archive._group.attrs["source"]
        if made_by != source:
            raise InputError(f"{path}: was made by {made_by}, this is {source}; name another output")
        archive.tidy()
        return archive

    def append(self, times: np.ndarray, fields: Mapping[str, np.ndarray], state: list[np.ndarray]) -> None:
        """Add frames (time, [level,] latitude, longitude) and the model's state after the last of them.

        Raises InputError when the disk is full or the folder cannot be written; the store then holds what it held.
        """
        end = self.frames + len(times)
        with writing(self.path):
            self._write_state(end, state)
            for name, values in fields.items():
                if name not in self._group:
                    dims = ("time", *(("level",) if VARIABLES[name].on_levels else ()), "latitude", "longitude")
                    _create(self._group, name, np.float32, dims, (0, *values.shape[1:]), (1, *values.shape[1:]))
                self._extend(name, end, values)
            hours = (np.asarray(times, "datetime64[h]") - _TIME_ORIGIN).astype(np.int64)
            self._extend("time", end, hours)
            _consolidate(self.path)
        self.frames = end
        self.tidy()

    def state(self) -> list[np.ndarray]:
        """The model's state after the last frame; raises InputError when it is not there."""
        try:
            with np.load(self._state_path(self.frames)) as arrays:
                return [arrays[f"leaf{i}"] for i in range(len(arrays.files))]
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            raise InputError(
                f"{self.path}: cannot be continued, {self._state_path(self.frames).name} is missing or damaged in it; "
                "the store itself is whole"
            ) from None

    def tidy(self) -> None:
        """Remove what a killed run left: files not yet renamed, and states of other frames than the last."""
        for stray in [*self.path.rglob("*.partial"), *self.path.glob(".state-*.npz")]:
            if stray != self._state_path(self.frames):
                stray.unlink(missing_ok=True)

    def _extend(self, name: str, end: int, values: np.ndarray) -> None:
        array = zarr.open_array(self.path / name, mode="r+")
        array.resize((end, *array.shape[1:]))
        array[self.frames :] = values

    def _write_state(self, frames: int, state: list[np.ndarray]) -> None:
        _replace(self._state_path(frames), lambda file: _save_leaves(file, state))

    def _state_path(self, frames: int) -> Path:
        return self.path / f".state-{frames:06d}.npz"


def _save_leaves(file: BinaryIO, leaves: list[np.ndarray]) -> None:
    np.savez(file, allow_pickle=False, **{f"leaf{i}": leaf for i, leaf in enumerate(leaves)})


def _attributes(settings: SimulateSettings, source: str) -> dict[str, Any]:
    return {
        "Conventions": "CF-1.11",
        "title": "Simulated climate: not observed, not a forecast of any real day",
        "source": source,
        "comment": f"T{settings.truncation}, {settings.layers} layers, {settings.time_step_minutes} minutes a step, "
        f"seed {settings.seed}; real mountains, climatological sea surface, no diurnal cycle",
        ATTRIBUTE: json.dumps(settings.without_days()),
    }


def _create_coordinates(group: zarr.Group, settings: SimulateSettings) -> None:
    grid = LatLonGrid.equiangular(settings.latitudes, settings.longitudes)
    time = _create(group, "time", np.int64, ("time",), (0,), (_TIMES_A_CHUNK,))
    time.attrs.update(standard_name="time", units=_TIME_UNITS, calendar="proleptic_gregorian")
    coordinates: dict[str, tuple[Any, dict[str, str]]] = {
        "level": (np.asarray(LEVELS), {"standard_name": "air_pressure", "units": "hPa", "positive": "down"}),
        "latitude": (grid.latitude, {"standard_name": "latitude", "units": "degrees_north"}),
        "longitude": (grid.longitude, {"standard_name": "longitude", "units": "degrees_east"}),
    }
    for name, (values, attributes) in coordinates.items():
        array = _create(group, name, values.dtype, (name,), values.shape)
        array[...] = values
        array.attrs.update(attributes)


def _create(group, name, dtype, dims, shape, chunks=None) -> zarr.Array:
    attributes = VARIABLES[name].attributes if name in VARIABLES else {}
    if name in _COMMENTS:
        attributes = {**attributes, "comment": _COMMENTS[name]}
    fill = np.nan if dtype == np.float32 else 0
    return group.create_array(
        name, shape=shape, chunks=chunks or shape, dtype=dtype, fill_value=fill, dimension_names=dims,
        attributes=attributes,
    )  # fmt: skip


def _consolidate(path: Path) -> None:
    """Gather the metadata of all arrays, by name, in the root's, and replace that in one step.

    The layout of zarr-python's consolidated metadata; written here because zarr-python's own order of arrays is that
    in which the file system lists them, and equal runs are to give equal bytes.
    """
    root = json.loads((path / "zarr.json").read_text())
    arrays = {child.parent.name: json.loads(child.read_text()) for child in sorted(path.glob("*/zarr.json"))}
    root["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": arrays}
    _replace(path / "zarr.json", lambda file: file.write(json.dumps(root, indent=2).encode()))


def _replace(path: Path, write) -> None:
    """Write a file aside, get it onto the disk, and rename it to `path`."""
    aside = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    try:
        with aside.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
