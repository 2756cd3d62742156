"""Initial states from archives and analyses: exactly the frames and fields that a task reads, as a NetCDF file."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr

import airmass
from airmass.core.errors import InputError
from airmass.core.files import new_output
from airmass.data.departure import Departure, departure
from airmass.data.formats.layout import minute
from airmass.data.ingest.request import IngestRequest, Opened, open_sources
from airmass.data.initial import REPEATED, open_initial
from airmass.data.plausible import Usual
from airmass.data.sea_mask import MASK
from airmass.fields.channels import ChannelLayout
from airmass.fields.clock import parse_time
from airmass.fields.grid import LatLonGrid
from airmass.fields.task import Task
from airmass.fields.variables import VARIABLES

_HOUR = np.timedelta64(1, "h")
_UNITS = {"latitude": "degrees_north", "longitude": "degrees_east", "level": "hPa"}


def initial_dataset(
    request: IngestRequest,
    task: Task,
    time: str | None,
    grid: LatLonGrid | None,
    centre: str | None = None,
    repeat_frame: bool = False,
) -> xr.Dataset:
    """The frames of `task`'s history that end at `time`, by default the latest for which all are there.

    `grid` is the checkpoint's, None if any fits. With `centre`, analyses of other centres are refused. With
    `repeat_frame`, the last frame takes the place of those before it, as an attribute says. Raises InputError, with
    the time and field, for what the sources lack.
    """
    names = fields_of(task)
    chosen = replace(request, variables=names, levels=task.levels, times=None)
    last = None if time is None else parse_time(time)

    def choose(held: dict[str, np.ndarray]) -> np.ndarray:
        if repeat_frame:
            return _last_frame(held, last, request.sources)
        return latest(task, held, request.sources) if last is None else frames_to(task, last)

    opened = open_sources(chosen, grid=grid, choose=choose)
    require_centre(opened.analysis.archive.centres(), centre)
    fields = {}
    for name in names:
        variable = VARIABLES[name]
        dims = opened.dims(name)
        frames = [opened.analysis.frame(name, t) for t in (opened.times[:1] if variable.static else opened.times)]
        _require_above_ground(opened, name, frames)
        values = frames[0] if variable.static else np.stack(frames)
        fields[name] = (dims, values, {**variable.attributes, **opened.analysis.provenance(name)})
    made = xr.Dataset(fields, _coordinates(opened), {"airmass_version": airmass.__version__, "Conventions": "CF-1.11"})
    return _repeated(made, task) if repeat_frame else made


def _require_above_ground(opened: Opened, name: str, frames: Sequence[np.ndarray]) -> None:
    """Raise InputError for values of model levels that are missing below the ground, which no model reads."""
    archive = opened.analysis.archive
    if not archive.on_model_levels(name):
        return
    for time, frame in zip(opened.times, frames, strict=True):
        below = np.isnan(frame).sum(axis=(-2, -1))
        if below.any():
            k = int(below.argmax())
            raise InputError(
                f"{archive.describe(name)}: {name} at {opened.levels[k]} hPa at {minute(time)} is below the ground at "
                f"{below[k]} points, where model levels have no values; expected values everywhere: give "
                "--below-ground extrapolate"
            )


def _repeated(dataset: xr.Dataset, task: Task) -> xr.Dataset:
    """The last frame at all times of the history."""
    end = dataset.time.values[-1]
    made = dataset.isel(time=[-1] * task.history).assign_coords(time=frames_to(task, end))
    made.time.attrs.update(dataset.time.attrs)
    words = f"the frame of {minute(end)} stands for all {task.history} of the history: the state has no tendency"
    return made.assign_attrs({REPEATED: words})


def write_initial(
    dataset: xr.Dataset, task: Task, out: Path, usual: Usual | None, named: str = "the dataset"
) -> Departure | None:
    """Write an initial state that a forecast accepts; returns its farthest channel, with statistics.

    The dataset is called `named` in messages. Raises InputError, with nothing written, for whatever a forecast would
    refuse.
    """
    held = open_initial(dataset, task, usual, named)
    history = held.history(held.default_init())
    held.static()
    channels = ChannelLayout.of(task.prognostic, task.levels).channels
    farthest = departure(history[-1], channels, usual) if usual else None
    if farthest is not None:
        dataset = dataset.assign_attrs(airmass_departure=str(farthest))
    with new_output(out) as aside:
        dataset.to_netcdf(aside, engine="h5netcdf")
    return farthest


def fields_of(task: Task) -> tuple[str, ...]:
    """Names of what a forecast of `task` reads from its initial state, with the mask that fields of the sea need."""
    names = [*task.prognostic, *task.static]
    needs_mask = any(VARIABLES[name].missing_over_land for name in names) and MASK not in names
    return (*names, *([MASK] if needs_mask else []))


def frames_to(task: Task, last: np.datetime64) -> np.ndarray:
    """The times of the history that ends at `last`."""
    return (last - np.arange(task.history)[::-1] * task.step * _HOUR).astype("datetime64[ns]")


def require_centre(centres: Sequence[str], centre: str | None) -> None:
    """Raise InputError for fields of another centre than the one wanted, if one is."""
    for held in centres:
        if centre and held and held != centre:
            raise InputError(
                f"the fields are of the centre {held}, the checkpoint was trained on those of {centre}: another "
                "model's orography, moisture and biases are outside of what it learned, and its forecast starts with "
                "an adjustment; give --any-analysis to go on"
            )


def _coordinates(opened: Opened) -> dict[str, object]:
    values: dict[str, np.ndarray] = {"latitude": opened.grid.latitude, "longitude": opened.grid.longitude}
    if opened.levels:
        values["level"] = np.array(opened.levels)
    coords: dict[str, object] = {d: (d, v, {"units": _UNITS[d]}) for d, v in values.items()}
    return {**coords, "time": ("time", opened.times, {"standard_name": "time"})}


def _last_frame(held: dict[str, np.ndarray], last: np.datetime64 | None, sources: Sequence[object]) -> np.ndarray:
    """The one time to read: `last`, or the latest that all variables have."""
    if last is not None:
        return np.array([last], "datetime64[ns]")
    common = set.intersection(*(set(times.astype("datetime64[ns]").tolist()) for times in held.values()))
    if not common:
        raise InputError(f"{', '.join(map(str, sources))}: the variables have no time in common")
    return np.array([max(common)], "datetime64[ns]")


def latest(task: Task, held: dict[str, np.ndarray], sources: Sequence[object]) -> np.ndarray:
    """The latest history that all variables have; raises InputError, with the latest times, if there is none."""
    common = set.intersection(*(set(times.astype("datetime64[ns]").tolist()) for times in held.values()))
    for end in sorted(common, reverse=True):
        frames = frames_to(task, np.datetime64(end, "ns"))
        if all(t in common for t in frames.tolist()):
            return frames
    times = np.array(sorted(common), "datetime64[ns]")
    there = f"they have {', '.join(map(minute, times[-4:]))}" if len(times) else "they have no time in common"
    there += "; --repeat-frame takes the last for all" if len(times) else ""
    raise InputError(f"{', '.join(map(str, sources))}: expected {task.history} frames {task.step} h apart; {there}")
