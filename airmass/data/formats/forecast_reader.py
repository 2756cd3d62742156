"""Opening forecast files, with all checks that evaluation and plots rely on.

A forecast has dims (init_time, [number,] lead_time, [level,] latitude, longitude), and coordinates init_time (dates),
lead_time (durations), valid_time (init_time, lead_time), level in hPa and, for an ensemble, number (its members). The
attribute `airmass_system` names the forecasting system, `airmass_climatology` the climatology of its training dates.
`open_forecast` reads Zarr stores (format 2 or 3) and NetCDF files with other orders and names of dimensions too, such
as those of WeatherBench2, and returns a dataset in this layout.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import xarray as xr
from jaxtyping import Float

from airmass.core.errors import InputError, one_line
from airmass.data.formats.decoding import StoredArray, chunk_problems, stored_array
from airmass.data.formats.layout import HORIZONTAL, axis_problem, grid_of, level_problems, minute, units_problem
from airmass.data.formats.opening import open_unchecked
from airmass.data.formats.reading import error_line
from airmass.fields.variables import VARIABLES

# Ten years, in hours.
_LONGEST = 3660 * 24

# Attribute of a forecast with words on the state that it starts from, and the most characters that are read of it.
REMARKS = "airmass_initial_remarks"
_MOST_WORDS = 1000

FORECAST_TIMES = ("init_time", "lead_time")
MEMBER = "number"

# Names of dimensions in other forecast files: WeatherBench2's, and those of ensembles there.
OTHER_NAMES = {
    "time": "init_time",
    "prediction_timedelta": "lead_time",
    "realization": MEMBER,
    "sample": MEMBER,
}
_CANONICAL = ("init_time", MEMBER, "lead_time", "level", *HORIZONTAL)
# Units of hours that xarray does not decode as durations.
_HOURS = ("h", "hr", "hrs", "hour")

# Decoded chunks of forecasts kept in memory, all files together.
CACHE_BYTES = 256 << 20

# Keys of `Dataset.encoding`, in which xarray stores properties of the file.
TURNED, _NOTES, _STORED = "airmass_turned", "airmass_notes", "airmass_stored"


def open_forecast(path: str | Path, ensemble: bool = False) -> xr.Dataset:
    """Open a forecast file lazily, in the layout above, and check coordinates, dimensions and units.

    Dimensions are matched by name; latitude from north to south and decreasing levels are reversed; variables that are
    not in the table are left out and reported by `notes`. Raises InputError with the file, the variable, found and
    expected; without `ensemble`, also for a file with members.
    """
    dataset = open_unchecked(path)
    for where, problem in chunk_problems(dataset):
        raise InputError(f"{path}: {where} {problem}")
    dataset = _with_usual_names(dataset, path)
    if MEMBER in dataset.dims and not ensemble:
        raise InputError(f"{path}: an ensemble of {dataset.sizes[MEMBER]} members, expected a single forecast")
    dataset = _turned(_known(_with_durations(dataset, path), path))
    _check_times(dataset, path)
    grid_of(dataset, path)
    for where, problem in level_problems(dataset):
        raise InputError(f"{path}: {where} {problem}")
    if MEMBER in dataset.coords and len(set(members := np.atleast_1d(dataset[MEMBER].values).tolist())) < len(members):
        raise InputError(f"{path}: {MEMBER} is {members}, expected each member once")
    for name in dataset.data_vars:
        _check_field(dataset, str(name), path)
    encoding = dataset.encoding  # transpose keeps none
    dataset = dataset.transpose(*(dim for dim in _CANONICAL if dim in dataset.dims))
    dataset.encoding = encoding
    return dataset


def system_of(dataset: xr.Dataset, path: str | Path) -> str:
    """The name of the system of a forecast: its attribute, or without it the file's name without suffix.

    Raises InputError for a name that is not text.
    """
    system = dataset.attrs.get("airmass_system", _stem(path))
    if not isinstance(system, str) or not system:
        raise InputError(f"{path}: attribute 'airmass_system' is {system!r}, expected a name such as 'graphcast'")
    return system


def remarks(dataset: xr.Dataset) -> str:
    """Words of a forecast on the state that it starts from; empty if there are none."""
    return one_line(dataset.attrs.get(REMARKS, ""))[:_MOST_WORDS]


def notes(dataset: xr.Dataset, path: str | Path) -> Iterator[str]:
    """Lines for the user on how a forecast file is read: the name used for it, variables that are left out."""
    if "airmass_system" not in dataset.attrs:
        yield f"{path}: does not name its system (attribute 'airmass_system'), so it is called {_stem(path)!r}"
    if ignored := dataset.encoding.get(_NOTES):
        yield f"{path}: leaves out {', '.join(ignored)}: not in the table of forecast variables (ERA5 long names)"


def _stem(path: str | Path) -> str:
    return Path(str(path).rstrip("/")).stem


def members_of(dataset: xr.Dataset) -> int:
    """The number of members of a forecast; 1 for a single one."""
    return dataset.sizes.get(MEMBER, 1)


def read_members(
    dataset: xr.Dataset, path: str | Path, name: str, init_index: int, leads: slice | Sequence[int]
) -> Float[np.ndarray, "number lead_time *level latitude longitude"]:
    """One variable of all members from one initial time; a single forecast is one member."""
    values = read_lead_times(dataset, path, name, init_index, leads)
    return values if MEMBER in dataset.dims else values[None]


def read_lead_times(
    dataset: xr.Dataset, path: str | Path, name: str, init_index: int, leads: slice | Sequence[int]
) -> Float[np.ndarray, "*axes latitude longitude"]:
    """One variable from one initial time, of dims ([number,] lead_time, [level,] latitude, longitude), in float32.

    Raises InputError if it cannot be read. Read through tensorstore where possible, which takes a fifth of the time of
    zarr-python with one lead time a chunk.
    """
    chosen = leads if isinstance(leads, slice) else np.array(leads, int)
    field = dataset[name].isel(init_time=init_index, lead_time=chosen)
    try:
        stored = _stored(dataset, path, name)
        values = field.values if stored is None else _read(stored, field.dims, init_index, chosen)
    except InputError:
        raise
    except Exception as error:  # of any type: from a file, a server, a codec
        time = minute(dataset.init_time.values[init_index])
        raise InputError(f"{path}: {name} cannot be read from {time}: {error_line(error)}") from error
    if stored is not None and (turned := dataset.encoding.get(TURNED)):
        values = np.flip(values, tuple(axis for axis, dim in enumerate(field.dims) if dim in turned))
    return np.asarray(values, np.float32)


def _stored(dataset: xr.Dataset, path: str | Path, name: str) -> StoredArray | None:
    """A variable through tensorstore, opened once."""
    opened = dataset.encoding.setdefault(_STORED, {})
    if name not in opened:
        opened[name] = stored_array(dataset[name], path, gaps=True, names=OTHER_NAMES, context=_chunk_cache())
    return opened[name]


@cache
def _chunk_cache():
    """Cache of decoded chunks, which often span several initial times; without it each would be decoded for each."""
    import tensorstore

    return tensorstore.Context({"cache_pool": {"total_bytes_limit": CACHE_BYTES}})


def _read(stored: StoredArray, dims: Sequence, init_index: int, leads: slice | np.ndarray) -> np.ndarray:
    part = stored.numbers.transpose(["init_time", *dims])[init_index]
    before = [slice(None)] * list(dims).index("lead_time")
    return stored.encoding.decoded(part[(*before, leads)].read().result())


def read_hours(text: str) -> int:
    """The hours of a duration such as `10d`, `72h` or `5d12h`; raises InputError for other text."""
    match = re.fullmatch(r"(?:(\d{1,9}) ?d)? ?(?:(\d{1,9}) ?h)?", text.strip().lower(), re.ASCII)
    if not match or not text.strip():
        raise InputError(f"lead time {text!r}: expected one such as 10d, 72h or 5d12h")
    duration = 24 * int(match[1] or 0) + int(match[2] or 0)
    if duration > _LONGEST:
        raise InputError(f"lead time {text!r}: expected at most {_LONGEST // 24}d")
    return duration


def hours(lead_time: np.ndarray) -> list[float]:
    """Lead times in hours, whole ones as int."""
    values = np.asarray(lead_time, "timedelta64[s]").astype(np.int64) / 3600
    return [int(value) if value == int(value) else float(value) for value in np.atleast_1d(values)]


def _with_usual_names(dataset: xr.Dataset, path: str | Path) -> xr.Dataset:
    """The dataset with the dimension names of the layout above, and no other coordinates."""
    dataset = _of_published_models(dataset, path)
    renamed = {found: name for found, name in OTHER_NAMES.items() if found in dataset.dims}
    if "lead_time" not in {*dataset.dims, *renamed.values()}:
        renamed.pop("time", None)  # not a forecast: `time` is the valid time
    for name in set(renamed.values()):
        if len(found := [dim for dim in dataset.dims if renamed.get(str(dim), dim) == name]) > 1:
            raise InputError(f"{path}: has dimensions {' and '.join(map(str, found))}, expected one for {name}")
    coords = [name for name in dataset.coords if name in renamed or name in (*_CANONICAL, "valid_time")]
    dataset = dataset.drop_vars([name for name in dataset.coords if name not in coords])
    # Variables that already have the new name of a dimension are dropped before the renaming.
    dataset = dataset.drop_vars([name for name in renamed.values() if name in dataset.variables]).rename(renamed)
    if MEMBER in dataset.dims and MEMBER not in dataset.coords:
        dataset = dataset.assign_coords({MEMBER: np.arange(dataset.sizes[MEMBER])})
    return dataset if MEMBER in dataset.dims else dataset.drop_vars(MEMBER, errors="ignore")


def _of_published_models(dataset: xr.Dataset, path: str | Path) -> xr.Dataset:
    """Output of DeepMind's code, (batch, time as lead time, lat, lon), in WeatherBench2's layout; others unchanged.

    Initial times come from its coordinate `datetime` (batch, time). Raises InputError without it, or if it is not
    initial time + lead time.
    """
    if not {"batch", "time"} <= {*dataset.dims} or "time" not in dataset.coords or dataset.time.dtype.kind != "m":
        return dataset
    if "datetime" not in dataset.variables or dataset["datetime"].dims != ("batch", "time"):
        raise InputError(f"{path}: lead times without a coordinate 'datetime' of ('batch', 'time'): no initial times")
    starts = dataset["datetime"].values - dataset.time.values
    if dataset["datetime"].dtype.kind != "M" or (starts != starts[:, :1]).any():
        raise InputError(f"{path}: datetime differs from initial time + lead time")
    names = {"batch": "init_time", "time": "lead_time", "lat": "latitude", "lon": "longitude"}
    held = dataset.drop_vars(["datetime", *(name for name in ("batch",) if name in dataset.coords)])
    held = held.rename({old: new for old, new in names.items() if old in held.dims})
    return held.assign_coords(init_time=starts[:, 0])


def _with_durations(dataset: xr.Dataset, path: str | Path) -> xr.Dataset:
    """The dataset with lead times as durations, for numbers with units of hours that xarray does not know."""
    if axis_problem(dataset, "lead_time"):  # including those that are durations already
        return dataset
    units = dataset.lead_time.attrs.get("units")
    if units not in _HOURS:
        found = "without units" if units is None else f"with units {units!r}"
        raise InputError(f"{path}: lead times are numbers {found}, expected durations with units 'hours'")
    values = dataset.lead_time.values.astype(np.float64)
    nanoseconds = np.round(values * 3600.0) * 10**9
    if not np.all(np.abs(nanoseconds) < 2**63):
        raise InputError(f"{path}: lead times are {values[0]} to {values[-1]} {units}, expected hours")
    return dataset.assign_coords(lead_time=nanoseconds.astype("timedelta64[ns]"))


def _known(dataset: xr.Dataset, path: str | Path) -> xr.Dataset:
    """The dataset with the variables of a forecast only. Raises InputError if there are none."""
    ignored = sorted(str(name) for name in dataset.data_vars if name not in VARIABLES or VARIABLES[str(name)].static)
    known = dataset.drop_vars(ignored)
    if not known.data_vars:
        held = f"no variable that is in the table (ERA5 long names), only {', '.join(ignored)}"
        raise InputError(f"{path}: holds {held if ignored else 'no variables'}, expected a forecast")
    known.encoding = dict(dataset.encoding) | {_NOTES: ignored}
    return known


def _turned(dataset: xr.Dataset) -> xr.Dataset:
    """The dataset with latitude from south to north and rising levels; nothing is interpolated or left out."""
    falling = [
        name
        for name in ("level", "latitude")
        if name in dataset.dims and not axis_problem(dataset, name) and np.all(np.diff(dataset[name].values) < 0)
    ]
    turned = dataset.isel({name: slice(None, None, -1) for name in falling})
    turned.encoding = dict(dataset.encoding) | {TURNED: falling}
    return turned


def _check_times(dataset: xr.Dataset, path: str | Path) -> None:
    for name, kind in zip(FORECAST_TIMES, ("M", "m"), strict=True):
        if name not in dataset.coords:
            found = ", ".join(map(str, dataset.coords)) or "none"
            raise InputError(f"{path}: no coordinate {name!r}, so not a forecast; coordinates found: {found}")
        values = dataset[name].values
        if values.dtype.kind != kind:
            expected = "dates" if kind == "M" else "durations with units 'hours'"
            raise InputError(f"{path}: {name} is {values.dtype}, expected {expected}")
        if values.ndim != 1 or not len(values) or np.any(np.diff(values) <= np.timedelta64(0)):
            raise InputError(f"{path}: {name} must be one value or more, rising, each once")
        if np.any(np.isnat(values)):
            raise InputError(f"{path}: {name} has missing values (NaT)")
        if kind == "m" and values[0] < np.timedelta64(0):
            raise InputError(f"{path}: {name} begins at {values[0] / np.timedelta64(1, 'h'):g} h, expected 0 or more")
    if "valid_time" in dataset.coords:
        if {*dataset.valid_time.dims} != {*FORECAST_TIMES} or dataset.valid_time.dtype.kind != "M":
            found = f"{dataset.valid_time.dtype} of {dataset.valid_time.dims}"
            raise InputError(f"{path}: valid_time is {found}, expected dates of {FORECAST_TIMES}")
        expected = dataset.init_time.values[:, None] + dataset.lead_time.values
        found = dataset.valid_time.transpose(*FORECAST_TIMES).values
        if np.any(found != expected):
            at = np.argmax(found != expected)
            raise InputError(
                f"{path}: valid_time {minute(found.flat[at])} differs from init_time + lead_time "
                f"{minute(expected.flat[at])}"
            )


def _check_field(dataset: xr.Dataset, name: str, path: str | Path) -> None:
    variable, field = VARIABLES[name], dataset[name]
    times = ("init_time", MEMBER, "lead_time") if MEMBER in dataset.dims else FORECAST_TIMES
    expected = (*times, *(("level",) if variable.on_levels else ()), *HORIZONTAL)
    if {*field.dims} != {*expected}:
        raise InputError(f"{path}: {name} has dimensions {field.dims}, expected {expected} in any order")
    if field.dtype.kind not in "fiu":
        raise InputError(f"{path}: {name} holds {field.dtype}, expected real numbers")
    if problem := units_problem(field, variable):
        raise InputError(f"{path}: {name} {problem}")
