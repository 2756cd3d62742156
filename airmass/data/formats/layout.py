"""The layout of stores of fields, and checks for every deviation from it.

Coordinates are used only after their types are checked: `problems` does not raise for any dataset.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from airmass.core.errors import InputError
from airmass.data.formats.decoding import chunk_problems
from airmass.data.formats.valid_time import with_valid_time
from airmass.fields.grid import LatLonGrid, check_latitude, check_longitude
from airmass.fields.variables import VARIABLES, Variable, same_units

HORIZONTAL = ("latitude", "longitude")
HECTOPASCALS = ("hPa", "millibars", "mbar", "mb")

Problem = tuple[str, str]


def problems(dataset: xr.Dataset) -> Iterator[Problem]:
    """(coordinate or variable, problem) for every deviation from the layout of `open_store`."""
    yield from chunk_problems(dataset)
    yield from _grid_problems(dataset, hint=True)
    yield from level_problems(dataset)
    yield from _time_problems(dataset)
    for name in sorted(map(str, dataset.data_vars)):
        if name in VARIABLES:
            yield from _field_problems(dataset, name)


def grid_of(dataset: xr.Dataset, path: str | Path) -> LatLonGrid:
    """The grid of a dataset; raises InputError, with `path`, for one that is not accepted."""
    for where, problem in _grid_problems(dataset):
        raise InputError(f"{path}: {where} {problem}")
    return LatLonGrid(dataset.latitude.values, dataset.longitude.values)


def with_dims(field: xr.DataArray, dims: Sequence[str], path: str | Path) -> xr.DataArray:
    """A field transposed to the order of `dims`; raises InputError unless it has exactly these dimensions."""
    if len(field.dims) != len(dims) or set(map(str, field.dims)) != set(dims):
        raise InputError(f"{path}: {field.name} has dimensions {_names(field.dims)}, expected {tuple(dims)}")
    return field.transpose(*dims)


def minute(time: np.datetime64) -> str:
    """A time as text, to the minute."""
    return str(np.datetime_as_string(time, "m"))


def every(times: np.ndarray) -> str:
    """Words on the step of times or intervals, such as " every 6 h"; empty if it is uneven or there is none."""
    steps = np.unique(np.diff(times)) / np.timedelta64(1, "h")
    return f" every {steps[0]:g} h" if len(steps) == 1 else ""


def fill_hint(field: xr.DataArray) -> str:
    """A hint for missing values in Zarr v2 arrays with fill_value 0, which readers take as missing; else empty."""
    fill = field.encoding.get("_FillValue")
    if "chunks" in field.encoding and isinstance(fill, (int, float, np.number)) and fill == 0:
        return " (its Zarr v2 fill_value is 0, so zeros read as missing; `airmass data convert` restores them)"
    return ""


def axis_problem(dataset: xr.Dataset, name: str) -> str | None:
    """The reason why a coordinate is not finite numbers along its own dimension, None if it is."""
    if name not in dataset.coords:
        found = ", ".join(map(str, dataset.coords)) or "none"
        return (
            "is missing"
            + (", a dimension without values" if name in dataset.dims else "")
            + (f"; coordinates found: {found}")
        )
    axis = dataset[name]
    if axis.dims != (name,) and (axis.dims or name != "level"):  # a scalar level is accepted
        return f"has dimensions {_names(axis.dims)}, expected {(name,)}"
    if axis.dtype.kind not in "fiu":
        return f"is {axis.dtype}, expected numbers"
    if not axis.size:
        return "is empty"
    values = np.asarray(axis.values, np.float64)
    if missing := int((~np.isfinite(values)).sum()):
        return f"has {missing} missing values of {values.size}{fill_hint(axis)}"
    return None


def level_problems(dataset: xr.Dataset) -> Iterator[Problem]:
    """Problems of levels, which must be integers in hPa, rising, each once."""
    if "level" not in dataset.coords and "level" not in dataset.dims:
        return
    if problem := axis_problem(dataset, "level"):
        yield "level", problem
        return
    levels = np.atleast_1d(np.asarray(dataset.level.values, np.float64))
    units = dataset.level.attrs.get("units")
    if units is not None and not (isinstance(units, str) and units in HECTOPASCALS):
        yield "level", f"has units {_quoted(units)}, expected 'hPa'"
    elif levels.max() > 2000:
        yield "level", f"runs to {levels.max():g}, expected hPa: are these Pa?"
    elif np.any(odd := (levels <= 0) | (levels != np.round(levels))):
        yield "level", f"has {levels[odd][0]:g}, expected whole hPa above 0"
    if np.any(np.diff(levels) <= 0):
        yield "level", f"is {levels.tolist()}, expected rising, each once"


def _grid_problems(dataset: xr.Dataset, hint: bool = False) -> Iterator[Problem]:
    for name, check in zip(HORIZONTAL, (check_latitude, check_longitude), strict=True):
        if problem := axis_problem(dataset, name):
            yield name, problem
            continue
        values = np.asarray(dataset[name].values, np.float64)
        if problem := _refusal(check, values):
            mendable = hint and _refusal(check, np.sort(values % 360 if name == "longitude" else values)) is None
            advice = "; `airmass data convert` rewrites a store in this order" if mendable else ""
            yield name, problem.removeprefix(f"{name} ") + advice


def _refusal(check: Callable[[np.ndarray], None], values: np.ndarray) -> str | None:
    try:
        check(values)
    except InputError as error:
        return str(error)
    return None


def _time_problems(dataset: xr.Dataset) -> Iterator[Problem]:
    if "time" not in dataset.dims:
        return
    if "time" not in dataset.coords:
        yield "time", "is a dimension without values, expected dates"
        return
    times = dataset.time.values
    if not np.issubdtype(times.dtype, np.datetime64):
        calendar = dataset.time.encoding.get("calendar", "another")
        found = f"in the calendar {_quoted(calendar)}" if times.dtype == object else str(times.dtype)
        yield "time", f"is {found}, expected dates"
    elif dataset.time.dims != ("time",):
        yield "time", f"has dimensions {_names(dataset.time.dims)}, expected ('time',)"
    elif not times.size:
        yield "time", "is empty"
    elif missing := int(np.isnat(times).sum()):
        yield "time", f"has {missing} missing values of {times.size}"
    else:
        yield from _valid_time_problems(dataset)
        yield from _order_of_times(times)


def _valid_time_problems(dataset: xr.Dataset) -> Iterator[Problem]:
    """Problems of other time coordinates that show that `time` is not the valid time."""
    try:
        said = with_valid_time(dataset.drop_vars(list(dataset.data_vars)), "")[1]
    except InputError as error:
        yield "time", f"is not certain: {str(error).removeprefix(': ')}"
    else:
        for text in said:
            yield "time", f"is not the valid time ({text}); `airmass data convert` takes that"


def _order_of_times(times: np.ndarray) -> Iterator[Problem]:
    steps = np.diff(times)
    if np.any(twice := steps == np.timedelta64(0)):
        more = f", and {twice.sum() - 1} more such" if twice.sum() > 1 else ""
        yield "time", f"{minute(times[1:][twice][0])} appears twice{more}; expected once"
    if np.any(back := steps < np.timedelta64(0)):
        yield "time", f"runs backwards after {minute(times[:-1][back][0])}; expected rising times"


def _field_problems(dataset: xr.Dataset, name: str) -> Iterator[Problem]:
    field, variable = dataset[name], VARIABLES[name]
    expected = expected_dims(variable)
    if (found := _names(field.dims)) != expected:
        advice = (
            "; `airmass data convert` rewrites a store in this order" if _mendable(dataset, found, expected) else ""
        )
        yield name, f"has dimensions {found}, expected {expected}{advice}"
    elif not field.size:
        yield name, f"has no values: its shape is {field.shape}"
    for problem in (type_problem(field, variable), units_problem(field, variable)):
        if problem:
            yield name, problem


def expected_dims(variable: Variable) -> tuple[str, ...]:
    """The dimensions of a variable in a store."""
    return (*(() if variable.static else ("time",)), *(("level",) if variable.on_levels else ()), *HORIZONTAL)


def _mendable(dataset: xr.Dataset, found: Sequence[str], expected: Sequence[str]) -> bool:
    """True if conversion can turn these dimensions into the expected ones.

    It can change their order, add a dimension for a scalar time or level, drop axes of length 1, and drop the times of
    static fields.
    """
    lacking, besides = set(expected) - set(found), set(found) - set(expected)
    sizes = {str(name): size for name, size in dataset.sizes.items()}
    single = all(name in dataset.coords and dataset[name].ndim == 0 for name in lacking)
    spare = all(sizes[name] == 1 or (name == "time" and "time" not in expected) for name in besides)
    return len(set(found)) == len(found) and lacking <= {"time", "level"} and single and spare


def units_problem(field: xr.DataArray, variable: Variable) -> str | None:
    """The problem of units other than the table's; None if they agree or are absent."""
    units = field.attrs.get("units")
    if units is None or (isinstance(units, str) and same_units(units, variable.units)):
        return None
    return f"has units {_quoted(units)}, expected {variable.units!r}"


def type_problem(field: xr.DataArray, variable: Variable) -> str | None:
    """The problem of a wrong dtype, None for a right one; integers are accepted for masks only."""
    if field.dtype.kind == "f" or (field.dtype.kind in "iu" and variable.units == "1"):
        return None
    if field.dtype.kind in "iu":
        return f"is {field.dtype} without a scale_factor, expected floating point numbers"
    return f"is {field.dtype}, expected numbers"


def _names(dims: Sequence) -> tuple[str, ...]:
    return tuple(map(str, dims))


def _quoted(value: object) -> str:
    """The repr of a value from a file, on one line and shortened."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:80]} ..."
