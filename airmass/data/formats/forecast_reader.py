"""Opening a forecast file, with every promise that judging and plotting rely on checked once.

A forecast file is a Zarr store or NetCDF file of dims (init_time, [number,] lead_time, [level,] latitude, longitude),
with coordinates init_time (dates), lead_time (durations), valid_time (init_time, lead_time), level in hPa and, for an
ensemble, number (its members). Its attributes name the `airmass_system` that made it and, in `airmass_climatology`,
the climatology of the dates it was trained on.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from jaxtyping import Float

from airmass.core.errors import InputError
from airmass.core.place import is_url
from airmass.data.formats.store import HORIZONTAL, grid_of, is_netcdf, minute, open_unchecked, read
from airmass.fields.variables import VARIABLES, same_units

# Ten years, in hours.
_LONGEST = 3660 * 24

FORECAST_TIMES = ("init_time", "lead_time")
MEMBER = "number"


def open_forecast(path: str | Path, ensemble: bool = False) -> xr.Dataset:
    """Open a forecast file lazily and check coordinates, order of dimensions and units.

    Raises InputError naming the file, the variable, what was found and what was expected; without `ensemble`, also for
    a file with an axis of members.
    """
    dataset = open_unchecked(path)
    if MEMBER in dataset.dims and not ensemble:
        raise InputError(f"{path}: an ensemble of {dataset.sizes[MEMBER]} members, expected a single forecast")
    _check_times(dataset, path)
    grid_of(dataset, path)
    if "level" in dataset.coords and np.any(np.diff(dataset.level.values) <= 0):
        raise InputError(f"{path}: level is {dataset.level.values.tolist()}, expected hPa rising, each once")
    if not dataset.data_vars:
        raise InputError(f"{path}: holds no variables, expected a forecast")
    for name in dataset.data_vars:
        _check_field(dataset, str(name), path)
    return dataset


def system_of(dataset: xr.Dataset, path: str | Path) -> str:
    """The name of the system that made a forecast; raises InputError where the file does not say."""
    system = dataset.attrs.get("airmass_system")
    if not isinstance(system, str) or not system:
        raise InputError(f"{path}: attribute 'airmass_system' is {system!r}, expected a name such as 'graphcast'")
    return system


def members_of(dataset: xr.Dataset) -> int:
    """How many members a forecast has; 1 for a single one."""
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
    """One variable from one initial time, of dims ([number,] lead_time, [level,] latitude, longitude).

    Raises InputError where it cannot be read.

    Reads through tensorstore what lies on this machine as it is meant (nothing packed): with a lead time a chunk, that
    takes a fifth of the time of zarr-python.
    """
    chosen = leads if isinstance(leads, slice) else list(leads)
    encoding = dataset[name].encoding
    packed = "scale_factor" in encoding or "add_offset" in encoding
    if packed or is_url(path) or is_netcdf(path):
        return read(dataset[name].isel(init_time=init_index, lead_time=chosen), path)
    import tensorstore

    where = {"driver": "file", "path": str(Path(path, name).resolve())}
    try:
        array = tensorstore.open({"driver": "zarr3", "kvstore": where}).result()
        axes = (slice(None), chosen) if MEMBER in dataset.dims else (chosen,)
        return array[init_index][axes].read().result()
    except ValueError as error:
        time = minute(dataset.init_time.values[init_index])
        raise InputError(f"{path}: {name} cannot be read from {time}: {' '.join(str(error).split())}") from error


def read_hours(text: str) -> int:
    """Hours in a duration such as `10d`, `72h` or `5d12h`."""
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
    if "valid_time" in dataset.coords:
        expected = dataset.init_time.values[:, None] + dataset.lead_time.values
        found = dataset.valid_time.transpose(*FORECAST_TIMES).values
        if np.any(found != expected):
            at = np.argmax(found != expected)
            raise InputError(
                f"{path}: valid_time {minute(found.flat[at])} differs from init_time + lead_time "
                f"{minute(expected.flat[at])}"
            )


def _check_field(dataset: xr.Dataset, name: str, path: str | Path) -> None:
    if name not in VARIABLES:
        raise InputError(f"{path}: variable {name!r} is not in the table of variables (ERA5 long names)")
    variable, field = VARIABLES[name], dataset[name]
    times = ("init_time", MEMBER, "lead_time") if MEMBER in dataset.dims else FORECAST_TIMES
    expected = (*times, *(("level",) if variable.on_levels else ()), *HORIZONTAL)
    if field.dims != expected:
        raise InputError(f"{path}: {name} has dimensions {field.dims}, expected {expected}")
    units = field.attrs.get("units")
    if units is not None and not same_units(units, variable.units):
        raise InputError(f"{path}: {name} has units {units!r}, expected {variable.units!r}")
