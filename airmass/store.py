"""Opening a Zarr store or NetCDF file of fields, with every promise that the rest relies on checked once."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import xarray as xr

from airmass.errors import InputError
from airmass.grid import LatLonGrid
from airmass.variables import VARIABLES, same_units

HORIZONTAL = ("latitude", "longitude")


def open_store(path: str | Path) -> xr.Dataset:
    """Open a store lazily and check coordinates, order of dimensions and units of every known variable.

    The layout is WeatherBench2's: dims ([time,] [level,] latitude, longitude), latitude south to north, level in hPa
    rising. Raises InputError naming the file, the variable, what was found and what was expected.
    """
    dataset = _open(path)
    grid_of(dataset, path)
    _check_levels(dataset, path)
    _check_times(dataset, path)
    for name in dataset.data_vars:
        if name in VARIABLES:
            _check_field(dataset, str(name), path)
    return dataset


def grid_of(dataset: xr.Dataset, path: str | Path) -> LatLonGrid:
    """The grid of a dataset; raises InputError that names `path`."""
    for name in HORIZONTAL:
        if name not in dataset.coords:
            found = ", ".join(map(str, dataset.coords)) or "none"
            raise InputError(f"{path}: no coordinate {name!r}; coordinates found: {found}")
    try:
        return LatLonGrid(dataset.latitude.values, dataset.longitude.values)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def require(dataset: xr.Dataset, path: str | Path, names: Iterable[str], levels: Iterable[int] = ()) -> None:
    """Raise InputError unless the dataset holds all these variables and, where they are on levels, all levels."""
    missing = [name for name in names if name not in dataset.data_vars]
    if missing:
        held = ", ".join(sorted(map(str, dataset.data_vars)))
        raise InputError(f"{path}: missing variable {', '.join(missing)}; the store holds {held}")
    levels = list(levels)
    if levels and any(VARIABLES[name].on_levels for name in names):
        held_levels = [int(level) for level in dataset.level.values] if "level" in dataset.coords else []
        absent = [level for level in levels if level not in held_levels]
        if absent:
            raise InputError(f"{path}: missing level {absent} hPa; the store holds {held_levels}")


def require_times(dataset: xr.Dataset, path: str | Path, times: Iterable[np.datetime64]) -> None:
    """Raise InputError unless every time is in the store, naming the first absent one and the span held."""
    wanted = np.asarray(list(times), "datetime64[ns]")
    held = dataset.time.values.astype("datetime64[ns]")
    absent = wanted[~np.isin(wanted, held)]
    if absent.size:
        span = f"{_minute(held[0])} to {_minute(held[-1])}" if held.size else "no times"
        raise InputError(
            f"{path}: missing time {_minute(absent[0])}"
            + (f" and {absent.size - 1} more" if absent.size > 1 else "")
            + f"; the store holds {span}"
        )


def require_finite(dataset: xr.Dataset, path: str | Path, names: Iterable[str]) -> None:
    """Raise InputError at the first variable with NaN or infinite values where it must have none.

    Says the variable, the first time it happens and how many values are affected. Reads the data.
    """
    for name in names:
        if VARIABLES[name].missing_over_land:
            continue
        bad = ~np.isfinite(dataset[name])
        count = int(bad.sum())
        if not count:
            continue
        where = ""
        if "time" in bad.dims:
            first = dataset.time.values[np.argmax(bad.any([d for d in bad.dims if d != "time"]).values)]
            where = f", first at {_minute(first)}"
        raise InputError(f"{path}: {name} has {count} NaN or infinite values{where}; expected none")


def _open(path: str | Path) -> xr.Dataset:
    text = str(path)
    if "://" not in text and not Path(path).exists():
        raise InputError(f"{path}: no such file or folder")
    try:
        if text.endswith((".nc", ".nc4", ".netcdf")):
            return xr.open_dataset(text, engine="h5netcdf", chunks={}, decode_timedelta=True)
        return xr.open_zarr(text, chunks={}, decode_timedelta=True)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: cannot be read as a Zarr store or NetCDF file: {error}") from error


def _check_levels(dataset: xr.Dataset, path: str | Path) -> None:
    if "level" not in dataset.coords:
        return
    levels = dataset.level.values
    units = dataset.level.attrs.get("units")
    if units is not None and units not in ("hPa", "millibars", "mbar", "mb"):
        raise InputError(f"{path}: level has units {units!r}, expected 'hPa'")
    if levels.max() > 2000:
        raise InputError(f"{path}: level runs to {levels.max():g}, expected hPa: are these Pa?")
    if np.any(np.diff(levels) <= 0):
        raise InputError(f"{path}: level is {[float(x) for x in levels]}, expected rising, each once")


def _check_times(dataset: xr.Dataset, path: str | Path) -> None:
    if "time" not in dataset.dims:
        return
    times = dataset.time.values
    if not np.issubdtype(times.dtype, np.datetime64):
        raise InputError(f"{path}: time is {times.dtype}, expected dates")
    steps = np.diff(times)
    if np.any(steps == np.timedelta64(0)):
        twice = times[1:][steps == np.timedelta64(0)][0]
        raise InputError(f"{path}: time {_minute(twice)} appears twice")
    if np.any(steps < np.timedelta64(0)):
        raise InputError(f"{path}: time runs backwards after {_minute(times[:-1][steps < np.timedelta64(0)][0])}")


def _check_field(dataset: xr.Dataset, name: str, path: str | Path) -> None:
    field, variable = dataset[name], VARIABLES[name]
    expected: tuple[str, ...] = HORIZONTAL if variable.static else ("time", *HORIZONTAL)
    if variable.on_levels:
        expected = (*expected[:-2], "level", *HORIZONTAL)
    found = tuple(str(d) for d in field.dims)
    if found != expected:
        raise InputError(
            f"{path}: {name} has dimensions {found}, expected {expected}; "
            f"`airmass data convert` rewrites a store in this order"
        )
    units = field.attrs.get("units")
    if units is not None and not same_units(units, variable.units):
        raise InputError(f"{path}: {name} has units {units!r}, expected {variable.units!r}")


def _minute(time: np.datetime64) -> str:
    return str(np.datetime64(time, "m"))
