"""The Zarr store of a simulated climate, which grows block by block and can be interrupted at any time.

The consolidated metadata in the root `zarr.json` define the store's length for readers, and are replaced atomically as
the last step of a block. Before that are written, in this order, the model's state at the end of the block (in a hidden
file, named by its number of frames) and the block's chunks, which are beyond the length in the metadata. So whenever a
run is killed, the store is valid and the state of its last frame exists; frames beyond it are written again, with the
same bytes.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import numpy as np
import zarr

from airmass.core.arrays import ArrayFile
from airmass.core.errors import InputError
from airmass.core.files import new_output, writing
from airmass.core.strict_json import parse_json, read_json
from airmass.core.typed import Range, typed
from airmass.data.formats.consolidation import consolidate, replace_file
from airmass.data.simulate.settings import FRAMES_PER_DAY, LEVELS, SimulateSettings
from airmass.fields.grid import LatLonGrid
from airmass.fields.variables import VARIABLES

ATTRIBUTE = "airmass_simulated"
_TIME_UNITS = "hours since 1900-01-01"
_TIME_ORIGIN = np.datetime64("1900-01-01", "h")
# A chunk of the time axis is a year; a chunk of a field is one frame, as training reads it.
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
    """The number of frames in the store at `path`, None if it does not exist.

    Raises InputError for anything but a simulated climate of the same settings, and for one longer than requested.
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
    """A store open for writing, with its number of `frames`."""

    def __init__(self, path: Path, frames: int):
        self.path, self.frames = path, frames
        self._group = zarr.open_group(path, mode="r+", use_consolidated=False)

    @classmethod
    def create(cls, path: Path, settings: SimulateSettings, static: Mapping[str, np.ndarray], source: str) -> "Archive":
        """A new store with coordinates, static fields and no times."""
        with new_output(path) as aside:
            group = zarr.open_group(aside, mode="w-", zarr_format=3, attributes=_attributes(settings, source))
            _create_coordinates(group, settings)
            for name, variable in VARIABLES.items():
                if variable.static and name in static:
                    _create(group, name, np.float32, ("latitude", "longitude"), static[name].shape)[...] = static[name]
            consolidate(aside)
        return cls(path, 0)

    @classmethod
    def resume(cls, path: Path, frames: int, source: str) -> "Archive":
        """An existing store of `frames`, without the remains of a killed run.

        Raises InputError if another version of jcm made it.
        """
        archive = cls(path, frames)
        made_by = archive._group.attrs["source"]
        if made_by != source:
            raise InputError(f"{path}: was made by {made_by}, this is {source}; name another output")
        archive.tidy()
        return archive

    def append(self, times: np.ndarray, fields: Mapping[str, np.ndarray], state: list[np.ndarray]) -> None:
        """Append frames (time, [level,] latitude, longitude) and the model's state after the last of them.

        Raises InputError if the disk is full or the folder cannot be written; the store is then as before.
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
            consolidate(self.path)
        self.frames = end
        self.tidy()

    def state(self) -> list[np.ndarray]:
        """The model's state after the last frame; raises InputError if it is missing or damaged."""
        try:
            arrays = ArrayFile(self._state_path(self.frames))
            return [np.asarray(arrays[f"leaf{i}"]) for i in range(len(arrays))]
        except (OSError, KeyError, InputError):
            raise InputError(
                f"{self.path}: cannot be continued, {self._state_path(self.frames).name} is missing or damaged in it; "
                "the store itself is whole"
            ) from None

    def tidy(self) -> None:
        """Remove the remains of a killed run: files not yet renamed, and states of frames other than the last."""
        for stray in [*self.path.rglob("*.partial"), *self.path.glob(".state-*.npz")]:
            if stray != self._state_path(self.frames):
                stray.unlink(missing_ok=True)

    def _extend(self, name: str, end: int, values: np.ndarray) -> None:
        array = zarr.open_array(self.path / name, mode="r+")
        array.resize((end, *array.shape[1:]))
        array[self.frames :] = values

    def _write_state(self, frames: int, state: list[np.ndarray]) -> None:
        replace_file(self._state_path(frames), lambda file: _save_leaves(file, state))

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
