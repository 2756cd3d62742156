"""Climatologies: opened, and looked up at valid times, with their quantiles.

A climatology is a Zarr store of dims (hour, dayofyear, [level,] latitude, longitude). For the fields in `EXTREMES` it
may have quantiles too: `<field>_quantiles` of dims (hour, quantile_day, quantile, latitude, longitude), where each
quantile_day is the day of year that represents the days nearest to it. For precipitation it may have what SEEPS needs,
by dayofyear as in WeatherBench 2's climatologies, or by quantile_day: `<field>_seeps_dry_fraction`, and
`<field>_seeps_threshold`, the amount (m) that a third of the wet times exceed.
"""

from pathlib import Path

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from airmass.core.errors import InputError
from airmass.core.place import Place, is_url, located
from airmass.data.formats.layout import (
    HORIZONTAL,
    axis_problem,
    grid_of,
    level_problems,
    minute,
    type_problem,
    units_problem,
    with_dims,
)
from airmass.data.formats.opening import open_unchecked
from airmass.data.formats.store import read
from airmass.fields.variables import VARIABLES

DAYS = 366
LOW, HIGH = (0.01, 0.02, 0.05, 0.1), (0.9, 0.95, 0.98, 0.99)
QUANTILES = LOW + HIGH

# Fields whose extremes are scored, with their quantiles.
EXTREMES = {"2m_temperature": QUANTILES, "mean_sea_level_pressure": LOW, "10m_wind_speed": HIGH}

# Precipitation whose SEEPS is scored: amounts below this, in m, are dry (WeatherBench 2: 0.1 mm in 6 h, 0.25 mm in a
# day).
DRY = {"total_precipitation_6hr": 1e-4, "total_precipitation_12hr": 1.5e-4}
SEEPS_PARTS = {"dry_fraction": "1", "threshold": "m"}


def seeps_names(field: str) -> tuple[str, str]:
    """Names of the dry fraction and of the threshold of heavy precipitation in a climatology."""
    dry, heavy = (f"{field}_seeps_{part}" for part in SEEPS_PARTS)
    return dry, heavy


def tail(quantile: float) -> str:
    """The name of an extreme, such as `below_0.02` or `above_0.98`."""
    return f"{'below' if quantile < 0.5 else 'above'}_{quantile:g}"


def quantiles_name(field: str) -> str:
    return f"{field}_quantiles"


def hour_and_day(times: np.ndarray) -> tuple[Int[np.ndarray, " time"], Int[np.ndarray, " time"]]:
    """Hour 0 to 23 and day of year 1 to 366 of each time; raises InputError for a time between hours."""
    times = np.asarray(times, "datetime64[s]")
    days = times.astype("datetime64[D]")
    between = times != times.astype("datetime64[h]")
    if between.any():
        raise InputError(f"time {minute(times[between][0])} is not on the hour; a climatology has full hours only")
    hours = (times - days).astype("timedelta64[h]").astype(np.int64)
    return hours, (days - days.astype("datetime64[Y]")).astype(np.int64) + 1


def days_apart(a: np.ndarray, b: np.ndarray) -> Int[np.ndarray, "a b"]:
    """Days between days of year, the shorter way around the year."""
    apart = np.abs(a[:, None] - b[None])
    return np.minimum(apart, DAYS - apart)


def climatology_store(place: Place) -> Place:
    """The climatology store in a folder of statistics, or `place` itself for any other place."""
    inside = Path(place) / "climatology.zarr"
    return inside if not is_url(place) and inside.exists() else located(place)


def open_climatology(path: Place) -> xr.Dataset:
    """Open a climatology lazily, with dimensions, hours, days, levels and rows in any order.

    The result is in the layout of stores, south to north, of dims (hour, dayofyear, [level,] latitude, longitude).
    Raises InputError unless hours and days of year are integers, each once, the grid is accepted, and fields have the
    dimensions and units of the table of variables.
    """
    dataset = open_unchecked(path)
    if absent := [name for name in ("hour", "dayofyear") if name not in dataset.coords]:
        raise InputError(f"{path}: no coordinate {', '.join(absent)}, expected a climatology by hour and dayofyear")
    for name, low, high in (("hour", 0, 23), ("dayofyear", 1, DAYS)):
        _check_whole(dataset, name, low, high, path)
    dataset = _rising(_rising(dataset, "latitude"), "level")
    grid_of(dataset, path)
    for where, problem in level_problems(dataset):
        raise InputError(f"{path}: {where} {problem}")
    names = filter(_is_read, sorted(map(str, dataset)))
    return dataset.assign({name: _checked_field(dataset, name, path) for name in names})


def _check_whole(dataset: xr.Dataset, name: str, low: int, high: int, path: Place) -> None:
    """Raise InputError unless a coordinate has integers in a range, each once."""
    if problem := axis_problem(dataset, name):
        raise InputError(f"{path}: {name} {problem}")
    values = dataset[name].values
    odd = (values < low) | (values > high) | (values != np.round(values))
    if odd.any():
        raise InputError(f"{path}: {name} has {values[odd][0]:g}, expected whole numbers from {low} to {high}")
    if len(np.unique(values)) < len(values):
        raise InputError(f"{path}: {name} is {_spans(values)}, expected each once")


def _rising(dataset: xr.Dataset, name: str) -> xr.Dataset:
    """The dataset with a decreasing coordinate reversed, together with its fields."""
    if name not in dataset.dims or axis_problem(dataset, name):
        return dataset
    values = dataset[name].values
    return dataset.isel({name: slice(None, None, -1)}) if np.all(np.diff(values) < 0) else dataset


def _is_read(name: str) -> bool:
    """True for fields that are read from a climatology; others are ignored."""
    known = {*map(quantiles_name, EXTREMES), *(name for field in DRY for name in seeps_names(field))}
    return name in known or (name in VARIABLES and not VARIABLES[name].static)


def _checked_field(dataset: xr.Dataset, name: str, path: Place) -> xr.DataArray:
    """A field with its dimensions in order; raises InputError for other dimensions, types and units."""
    field = dataset[name]
    if "_seeps_" in name:
        return _checked_seeps(dataset, field, path)
    if name not in VARIABLES:
        _check_quantiles(dataset, path)
        return with_dims(field, ("hour", "quantile_day", "quantile", *HORIZONTAL), path)
    variable = VARIABLES[name]
    for problem in (type_problem(field, variable), units_problem(field, variable)):
        if problem:
            raise InputError(f"{path}: {name} {problem}")
    return with_dims(field, ("hour", "dayofyear", *(("level",) if variable.on_levels else ()), *HORIZONTAL), path)


def _check_quantiles(dataset: xr.Dataset, path: Place) -> None:
    _check_whole(dataset, "quantile_day", 1, DAYS, path)
    if problem := axis_problem(dataset, "quantile"):
        raise InputError(f"{path}: quantile {problem}")
    quantiles = dataset["quantile"].values
    if np.any((quantiles <= 0) | (quantiles >= 1)) or len(np.unique(quantiles)) < len(quantiles):
        raise InputError(f"{path}: quantile is {quantiles.tolist()}, expected numbers between 0 and 1, each once")


def _checked_seeps(dataset: xr.Dataset, field: xr.DataArray, path: Place) -> xr.DataArray:
    """Dry fraction or threshold with its dimensions in order; raises InputError for other dimensions and units."""
    units = next(units for part, units in SEEPS_PARTS.items() if str(field.name).endswith(part))
    if (found := field.attrs.get("units", units)) not in (units, "(0 - 1)", "meters"):
        raise InputError(f"{path}: {field.name} has units {found!r}, expected {units!r}")
    day = "quantile_day" if "quantile_day" in field.dims else "dayofyear"
    if day == "quantile_day":
        _check_whole(dataset, day, 1, DAYS, path)
    return with_dims(field, ("hour", day, *HORIZONTAL), path)


def climatology_at(climatology: xr.Dataset, valid_times: np.ndarray) -> xr.Dataset:
    """The climatology at each valid time (datetime64), along a dimension `time` in the order given; lazy if it was.

    Raises InputError with the first time whose hour or day of year the climatology lacks.
    """
    valid_times = np.atleast_1d(np.asarray(valid_times, "datetime64[ns]"))
    hours, days = hour_and_day(valid_times)
    _require_held(climatology, "hour", hours, valid_times)
    _require_held(climatology, "dayofyear", days, valid_times)
    picked = climatology.sel(hour=xr.DataArray(hours, dims="time"), dayofyear=xr.DataArray(days, dims="time"))
    picked = picked.drop_vars(["hour", "dayofyear"]).assign_coords(time=valid_times)
    return picked.transpose("time", ...)


def quantiles_held(climatology: xr.Dataset, field: str) -> tuple[float, ...]:
    """The quantiles of a field that are scored and that a climatology has; empty if it has none."""
    if quantiles_name(field) not in climatology:
        return ()
    held = climatology["quantile"].values
    return tuple(q for q in EXTREMES.get(field, ()) if np.isclose(held, q).any())


def quantiles_at(
    climatology: xr.Dataset, path: str | Path, field: str, valid_times: np.ndarray
) -> Float[np.ndarray, "time quantile latitude longitude"]:
    """The quantiles `quantiles_held` of a field at each valid time. Raises InputError for an absent hour."""
    picked = climatology[quantiles_name(field)].sel(quantile=list(quantiles_held(climatology, field)), method="nearest")
    return _by_quantile_day(picked.transpose("hour", "quantile_day", "quantile", *HORIZONTAL), path, valid_times)


def _by_quantile_day(field: xr.DataArray, path: Place, valid_times: np.ndarray) -> Float[np.ndarray, "time ..."]:
    """A field (hour, quantile_day, ...) at each valid time. Each hour and day is read once."""
    hours, days = hour_and_day(valid_times)
    _require_held(field, "hour", hours, valid_times)
    nearest = days_apart(days, field.quantile_day.values.astype(np.int64)).argmin(axis=1)
    (some_hours, hour), (some_days, day) = (np.unique(values, return_inverse=True) for values in (hours, nearest))
    return read(field.sel(hour=some_hours).isel(quantile_day=some_days), path)[hour, day]


def has_seeps(climatology: xr.Dataset, field: str) -> bool:
    """True if a climatology has what SEEPS of a field needs."""
    return field in DRY and all(name in climatology for name in seeps_names(field))


def dry_fraction(climatology: xr.Dataset, path: Place, field: str) -> Float[np.ndarray, "latitude longitude"]:
    """The mean dry fraction over all hours and days. Raises InputError for values that are no fractions."""
    name, _ = seeps_names(field)
    dims = [dim for dim in climatology[name].dims if dim not in HORIZONTAL]
    values = np.asarray(climatology[name].astype(np.float64).mean(dims).values)
    if values.min() < -1e-6 or values.max() > 1 + 1e-6:
        raise InputError(f"{path}: {name} is {values.min():g} to {values.max():g}, expected fractions of 0 to 1")
    return values


def heavy_at(
    climatology: xr.Dataset, path: Place, field: str, valid_times: np.ndarray
) -> Float[np.ndarray, "time latitude longitude"]:
    """The threshold of heavy precipitation at each valid time, m; NaN where it was always dry."""
    name = seeps_names(field)[1]
    if "dayofyear" in climatology[name].dims:
        return read(climatology_at(climatology[[name]], valid_times)[name], path)
    return _by_quantile_day(climatology[name], path, valid_times)


def _require_held(
    climatology: xr.Dataset | xr.DataArray, name: str, wanted: np.ndarray, valid_times: np.ndarray
) -> None:
    held = climatology[name].values
    absent = ~np.isin(wanted, held)
    if absent.any():
        source = climatology.encoding.get("source", "climatology")
        raise InputError(
            f"{source}: does not cover {minute(valid_times[absent][0])} ({name} {wanted[absent][0]})"
            f"{f' and {absent.sum() - 1} more times' if absent.sum() > 1 else ''}; it holds {name} {_spans(held)}"
        )


def _spans(numbers: np.ndarray) -> str:
    """Numbers as ranges, such as `1 to 60, 306 to 366`."""
    numbers = np.sort(numbers)
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) != 1) + 1)
    return ", ".join(f"{run[0]:g} to {run[-1]:g}" if len(run) > 1 else f"{run[0]:g}" for run in runs)
