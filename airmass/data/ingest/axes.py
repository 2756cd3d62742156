"""Axes of fields in files: names, valid times, pressures, members, and the windows of sums."""

import re

import numpy as np
import xarray as xr

from airmass.core.errors import InputError
from airmass.core.place import Place
from airmass.data.formats.layout import HECTOPASCALS, minute
from airmass.data.formats.valid_time import TIMES, with_valid_time
from airmass.fields.clock import YEARS
from airmass.fields.names import Quantity
from airmass.fields.variables import VARIABLES

_HORIZONTAL = {"lat": "latitude", "lon": "longitude"}
_LEVELS = ("level", "pressure_level", "isobaricInhPa", "isobaricInPa", "plev", "lev", "isobaric", "pressure")
_MEMBERS = ("number", "realization", "ensemble", "member", "sample")
_POINTS = ("cell", "ncells", "points")
_DATES = f"dates from {YEARS[0]} to {YEARS[-1]}"
_LEADS = ("step", "prediction_timedelta", "lead_time", "forecast_period", "leadtime")


def with_our_axes(dataset: xr.Dataset, name: str) -> xr.DataArray:
    """A field with this module's names of axes; a level by its name, or a pressure by its units."""
    field = dataset[name]
    renamed: dict[str, str] = {}
    for axis in map(str, (*field.dims, *field.coords)):
        if axis in _HORIZONTAL:
            renamed[axis] = _HORIZONTAL[axis]
        elif axis in _LEVELS or (axis in field.dims and axis in field.coords and _is_pressure(field[axis])):
            renamed[axis] = "level"
        elif axis in _MEMBERS and axis != "number":
            renamed[axis] = "number"
        elif axis in _POINTS:
            renamed[axis] = "values"
    renamed = {old: new for old, new in renamed.items() if old != new}
    if len(set(renamed.values())) < len(renamed) or set(renamed.values()) & {*map(str, field.dims)}:
        # Several axes of one meaning: the one that is a dimension counts.
        renamed = {old: new for old, new in renamed.items() if old in field.dims}
        field = field.drop_vars([c for c in field.coords if str(c) in renamed.values() and c not in field.dims])
    return field.rename(renamed)


def _is_pressure(axis: xr.DataArray) -> bool:
    return axis.attrs.get("units") in (*HECTOPASCALS, "Pa") and axis.attrs.get("standard_name", "air_pressure") in (
        "air_pressure",
        "",
    )


def timed(
    place: Place, dataset: xr.Dataset, field: xr.DataArray, name: str, lead: int | None
) -> tuple[xr.Dataset, xr.DataArray]:
    """The field with its valid times as `time`, and the dataset of its times."""
    windows = [c for c in dataset.coords if c == f"{name}_window"]
    held = field.to_dataset(name=name).assign_coords({c: dataset[c] for c in windows}).assign_attrs(dataset.attrs)
    held = held.assign_coords({t: dataset[t] for t in TIMES if t in dataset.variables and t not in held.variables})
    if "batch" in held.dims and held.sizes["batch"] == 1:
        held = held.isel(batch=0, drop=True)
    if lead is not None:
        held = _of_one_lead(place, held, lead)
    axes = [t for t in TIMES if held.sizes.get(t, 1) > 1]
    if len(axes) > 1:
        raise InputError(
            f"{place}: {name} has the two axes of time {' and '.join(axes)}; choose forecasts of one lead time with "
            "--lead"
        )
    encoding = field.encoding
    held = with_valid_time(held, place)[0]
    field = held[name]
    field.encoding = encoding
    return held, field


def _of_one_lead(place: Place, held: xr.Dataset, lead: int) -> xr.Dataset:
    for axis in _LEADS:
        if axis in held.dims:
            steps = held[axis].values
            wanted = np.timedelta64(lead, "h").astype("timedelta64[ns]")
            if steps.dtype.kind != "m" or wanted not in steps:
                raise InputError(f"{place}: {axis} has no {lead} h")
            return held.isel({axis: int(np.flatnonzero(steps == wanted)[0])})
    return held


def times_of(place: Place, field: xr.DataArray, name: str) -> np.ndarray:
    """Valid times, rising; raises InputError for others."""
    if "time" not in field.dims:
        return np.array([], "datetime64[ns]")
    times = field.time.values if "time" in field.coords else np.array([])
    if not field.sizes["time"]:
        raise InputError(f"{place}: {name} has no times, expected one or more")
    if times.dtype.kind != "M":
        raise InputError(f"{place}: {name} {_no_dates(field, times)}")
    if np.isnat(times).any():
        raise InputError(f"{place}: {name} has {np.isnat(times).sum()} missing times of {times.size}, expected none")
    if (far := ~np.isin(times.astype("datetime64[Y]").astype(np.int64) + 1970, YEARS)).any():
        raise InputError(f"{place}: {name} has the time {minute(times[far][0])}, expected {_DATES}")
    times = times.astype("datetime64[ns]")
    steps = np.diff(times)
    if (twice := steps == np.timedelta64(0)).any():
        raise InputError(f"{place}: {name} has the time {minute(times[1:][twice][0])} twice, expected once")
    if (steps < np.timedelta64(0)).any():
        after = minute(times[:-1][steps < np.timedelta64(0)][0])
        raise InputError(f"{place}: {name} has times that run backwards after {after}, expected rising times")
    return times


def _no_dates(field: xr.DataArray, times: np.ndarray) -> str:
    """The words for times that are no dates of the standard calendar within those of nanoseconds."""
    if times.dtype != object:
        return "has times without dates, expected dates of the standard calendar"
    calendar = field.time.encoding.get("calendar", "another")
    if calendar in ("standard", "gregorian", "proleptic_gregorian") and times.size:
        return f"has times such as {times.flat[-1]}, expected {_DATES}"
    return f"has times in the calendar {calendar!r}, expected dates of the standard calendar"


def pressures_of(place: Place, field: xr.DataArray, name: str) -> tuple[float, ...]:
    if "level" not in field.dims:
        return ()
    if "level" not in field.coords:
        raise InputError(f"{place}: {name} has a level axis without values, expected pressures")
    axis = field.level
    levels = np.asarray(axis.values)
    if levels.dtype.kind not in "fiu":
        raise InputError(f"{place}: {name} has levels {levels.dtype}, expected pressures in hPa")
    if missing := int((~np.isfinite(levels.astype(float))).sum()):
        raise InputError(f"{place}: {name} has {missing} missing levels of {levels.size}, expected pressures in hPa")
    levels = levels.astype(np.float64)
    units = axis.attrs.get("units")
    if units == "Pa" or (units is None and levels.max() > 2000):
        levels = levels / 100
    elif units is not None and units not in HECTOPASCALS:
        raise InputError(f"{place}: {name} has levels in {units!r}, expected hPa or Pa")
    if levels.max() > 1100 or levels.min() <= 0:
        raise InputError(f"{place}: {name} has levels from {levels.min():g} to {levels.max():g} hPa: are they in Pa?")
    if len(np.unique(levels)) < len(levels):
        raise InputError(f"{place}: {name} has a level twice, expected each once: {levels.tolist()}")
    return tuple(np.round(levels, 6).tolist())


def members_of(field: xr.DataArray) -> tuple[int, ...]:
    if "number" not in field.dims:
        return ()
    values = field.number.values if "number" in field.coords else np.arange(field.sizes["number"])
    return tuple(int(v) for v in values)


def windows_of(
    place: Place,
    dataset: xr.Dataset,
    field: xr.DataArray,
    name: str,
    quantity: Quantity,
    accumulation: int | None,
    n: int,
) -> np.ndarray | None:
    """Intervals of sums and means by time; None for fields of one instant."""
    if not quantity.name.startswith("total_precipitation"):
        return None
    if f"{name}_window" in dataset.coords:
        return np.atleast_1d(dataset[f"{name}_window"].values).astype("timedelta64[ns]")
    hours = _hours_told(field, quantity)
    hours = accumulation if hours is None else hours
    return None if hours is None else np.full(max(n, 1), np.timedelta64(hours, "h")).astype("timedelta64[ns]")


def _hours_told(field: xr.DataArray, quantity: Quantity) -> int | None:
    if quantity.name in VARIABLES:
        return VARIABLES[quantity.name].accumulation_hours
    methods = str(field.attrs.get("cell_methods", ""))
    if told := re.search(r"(?:sum|mean)\b.*?interval: (\d+) ?h", methods):
        return int(told[1])
    if told := re.fullmatch(r"(\d+)-(\d+)", str(field.attrs.get("GRIB_stepRange", ""))):
        return int(told[2]) - int(told[1])
    return None
