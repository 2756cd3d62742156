"""Opening a Zarr store or NetCDF file of fields, with all checks of its layout."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import xarray as xr

from airmass.core.errors import InputError
from airmass.data.formats.layout import axis_problem, every, minute, problems
from airmass.data.formats.opening import open_unchecked
from airmass.data.formats.reading import error_line
from airmass.fields.variables import VARIABLES


def open_store(path: str | Path, dask: bool = True) -> xr.Dataset:
    """Open a store lazily and check coordinates, order of dimensions and units of every known variable.

    The layout is WeatherBench2's: dims ([time,] [level,] latitude, longitude), latitude south to north, level in hPa
    rising. Without `dask`, values are read on access, which is several times faster for block-wise reading. Raises
    InputError with the file, the variable, found and expected.
    """
    return checked(open_unchecked(path, dask), path)


def checked(dataset: xr.Dataset, path: str | Path) -> xr.Dataset:
    """The dataset itself; raises InputError for its first deviation from the layout of `open_store`."""
    for where, problem in problems(dataset):
        raise InputError(f"{path}: {where} {problem}")
    return dataset


def read(field: xr.DataArray, path: str | Path) -> np.ndarray:
    """The values of a lazy field; raises InputError naming file, variable and time if they cannot be read."""
    try:
        return field.values
    except Exception as error:
        raise InputError(f"{path}: {field.name} cannot be read{_span(field)}: {error_line(error)}") from error


def _span(field: xr.DataArray) -> str:
    times = np.atleast_1d(field.time.values) if "time" in field.coords else np.array([])
    return f" between {minute(times[0])} and {minute(times[-1])}" if times.size and times.dtype.kind == "M" else ""


def require(dataset: xr.Dataset, path: str | Path, names: Iterable[str], levels: Iterable[int] = ()) -> None:
    """Raise InputError unless the dataset has all these variables and, for those on levels, all levels."""
    names, levels = list(names), list(levels)
    missing = [name for name in names if name not in dataset.data_vars]
    if missing:
        held = ", ".join(sorted(map(str, dataset.data_vars)))
        raise InputError(f"{path}: missing variable {', '.join(missing)}; the store holds {held}")
    if levels and any(VARIABLES[name].on_levels for name in names):
        if "level" in dataset.coords and (problem := axis_problem(dataset, "level")):
            raise InputError(f"{path}: level {problem}")
        held_levels = [float(level) for level in np.atleast_1d(dataset.level.values)] if "level" in dataset else []
        absent = [level for level in levels if level not in held_levels]
        if absent:
            held = f"[{', '.join(f'{level:g}' for level in held_levels)}]"
            raise InputError(f"{path}: missing level {absent} hPa; the store holds {held}")


def require_times(dataset: xr.Dataset, path: str | Path, times: Iterable[np.datetime64]) -> None:
    """Raise InputError, with the first absent time and the store's span, unless every time is in the store."""
    wanted = np.asarray(list(times), "datetime64[ns]")
    held = dataset.time.values.astype("datetime64[ns]")
    absent = wanted[~np.isin(wanted, held)]
    if absent.size:
        span = f"{minute(held[0])} to {minute(held[-1])}{every(held)}" if held.size else "no times"
        raise InputError(
            f"{path}: missing time {minute(absent[0])}"
            + (f" and {absent.size - 1} more" if absent.size > 1 else "")
            + f"; the store holds {span}"
        )


def require_finite(dataset: xr.Dataset, path: str | Path, names: Iterable[str]) -> None:
    """Raise InputError for the first variable with NaN or infinite values, except those missing over land.

    The message has the variable, the first such time and the number of values. Reads the data.
    """
    for name in names:
        if VARIABLES[name].missing_over_land:
            continue
        bad = ~np.isfinite(read(dataset[name], path))
        if not bad.any():
            continue
        where = ""
        if "time" in dataset[name].dims:
            by_time = np.moveaxis(bad, dataset[name].dims.index("time"), 0).reshape(dataset.sizes["time"], -1)
            where = f", first at {minute(dataset.time.values[np.argmax(by_time.any(axis=1))])}"
        raise InputError(f"{path}: {name} has {int(bad.sum())} NaN or infinite values{where}; expected none")


def fingerprint(dataset: xr.Dataset, path: str | Path) -> str:
    """16 hex digits that change with variables, coordinates or any value of the first, middle or last frame.

    A sample of frames, so that a store of terabytes takes seconds; equal digits do not prove that all frames are equal.
    """
    digest = hashlib.sha256()
    for name in sorted(map(str, dataset.coords)):
        digest.update(f"{name}{dataset.sizes.get(name)}".encode())
        digest.update(np.ascontiguousarray(dataset[name].values).tobytes())
    for name in sorted(map(str, dataset.data_vars)):
        field = dataset[name]
        if "time" in field.dims:
            last = field.sizes["time"] - 1
            field = field.isel(time=sorted({0, last // 2, last}))
        digest.update(f"{name}{field.dims}".encode())
        digest.update(np.ascontiguousarray(read(field, path)).tobytes())
    return digest.hexdigest()[:16]
