"""Opening a Zarr store or NetCDF file of fields, with every promise that the rest relies on checked once."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from airmass.core.errors import InputError
from airmass.data.formats.valid_time import with_valid_time
from airmass.fields.grid import LatLonGrid, check_latitude, check_longitude
from airmass.fields.variables import VARIABLES, same_units

HORIZONTAL = ("latitude", "longitude")
HECTOPASCALS = ("hPa", "millibars", "mbar", "mb")

# What xarray, zarr and their codecs raise when bytes on disk do not decode.
_UNREADABLE = (OSError, RuntimeError, ValueError, KeyError)


def open_store(path: str | Path, dask: bool = True) -> xr.Dataset:
    """Open a store lazily and check coordinates, order of dimensions and units of every known variable.

    The layout is WeatherBench2's: dims ([time,] [level,] latitude, longitude), latitude south to north, level in hPa
    rising. Without `dask`, values are read where they are asked for, which is several times faster block by block.
    Raises InputError naming the file, the variable, what was found and what was expected.
    """
    return checked(open_unchecked(path, dask), path)


def checked(dataset: xr.Dataset, path: str | Path) -> xr.Dataset:
    """The dataset itself; raises InputError at the first breach of the layout that `open_store` promises."""
    for where, problem in problems(dataset):
        raise InputError(f"{path}: {where} {problem}")
    return dataset


def open_unchecked(path: str | Path, dask: bool = True) -> xr.Dataset:
    """Open a store lazily, whatever its layout. Raises InputError when it cannot be read at all."""
    text = str(path)
    if "://" not in text and not Path(path).exists():
        raise InputError(f"{path}: no such file or folder")
    chunks: dict | None = {} if dask else None
    try:
        if is_netcdf(path):
            return xr.open_dataset(text, engine="h5netcdf", chunks=chunks, decode_timedelta=True)
        return _open_zarr(text, chunks)
    except InputError:
        raise
    except (*_UNREADABLE, TypeError) as error:
        raise InputError(f"{path}: cannot be read as a Zarr store or NetCDF file: {_one_line(error)}") from error


def _open_zarr(text: str, chunks: dict | None) -> xr.Dataset:
    import zarr

    source: Any = text
    if "://" in text:
        from airmass.data.formats.remote import RemoteStore

        source = RemoteStore(text)
    # Asked for outright: left to guess, xarray warns about every Zarr v3 store, which has none by the standard.
    consolidated = zarr.open_group(source, mode="r").metadata.consolidated_metadata is not None
    if "://" in text and not consolidated:
        raise InputError(f"{text}: has no consolidated metadata, which a remote store needs, as it cannot be listed")
    return xr.open_zarr(source, chunks=chunks, decode_timedelta=True, consolidated=consolidated)


def is_netcdf(path: str | Path) -> bool:
    """Whether a path is taken for a NetCDF file, by its suffix."""
    return str(path).endswith((".nc", ".nc4", ".netcdf"))


def problems(dataset: xr.Dataset) -> Iterator[tuple[str, str]]:
    """Every breach of the layout that `open_store` promises: (coordinate or variable, what is wrong with it)."""
    yield from _grid_problems(dataset)
    yield from _level_problems(dataset)
    yield from _time_problems(dataset)
    for name in map(str, dataset.data_vars):
        if name in VARIABLES:
            yield from _field_problems(dataset, name)


def grid_of(dataset: xr.Dataset, path: str | Path) -> LatLonGrid:
    """The grid of a dataset; raises InputError that names `path`."""
    for where, problem in _grid_problems(dataset):
        raise InputError(f"{path}: {where} {problem}")
    return LatLonGrid(dataset.latitude.values, dataset.longitude.values)


def read(field: xr.DataArray, path: str | Path) -> np.ndarray:
    """The values of a lazy field; raises InputError naming file, variable and time if they cannot be read."""
    try:
        return field.values
    except _UNREADABLE as error:
        times = np.atleast_1d(field.time.values) if "time" in field.coords else np.array([])
        span = f" between {minute(times[0])} and {minute(times[-1])}" if times.size else ""
        raise InputError(f"{path}: {field.name} cannot be read{span}: {_one_line(error)}") from error


def require(dataset: xr.Dataset, path: str | Path, names: Iterable[str], levels: Iterable[int] = ()) -> None:
    """Raise InputError unless the dataset holds all these variables and, where they are on levels, all levels."""
    names, levels = list(names), list(levels)
    missing = [name for name in names if name not in dataset.data_vars]
    if missing:
        held = ", ".join(sorted(map(str, dataset.data_vars)))
        raise InputError(f"{path}: missing variable {', '.join(missing)}; the store holds {held}")
    if levels and any(VARIABLES[name].on_levels for name in names):
        held_levels = [float(level) for level in np.atleast_1d(dataset.level.values)] if "level" in dataset else []
        absent = [level for level in levels if level not in held_levels]
        if absent:
            held = f"[{', '.join(f'{level:g}' for level in held_levels)}]"
            raise InputError(f"{path}: missing level {absent} hPa; the store holds {held}")


def require_times(dataset: xr.Dataset, path: str | Path, times: Iterable[np.datetime64]) -> None:
    """Raise InputError unless every time is in the store, naming the first absent one and the span held."""
    wanted = np.asarray(list(times), "datetime64[ns]")
    held = dataset.time.values.astype("datetime64[ns]")
    absent = wanted[~np.isin(wanted, held)]
    if absent.size:
        span = f"{minute(held[0])} to {minute(held[-1])}" if held.size else "no times"
        raise InputError(
            f"{path}: missing time {minute(absent[0])}"
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

    A sample, so that a store of terabytes can be told apart in seconds; not proof that all its frames are the same.
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


def minute(time: np.datetime64) -> str:
    """A time as text, to the minute."""
    return str(np.datetime_as_string(time, "m"))


def _grid_problems(dataset: xr.Dataset) -> Iterator[tuple[str, str]]:
    for name, check in zip(HORIZONTAL, (check_latitude, check_longitude), strict=True):
        if name not in dataset.coords:
            yield name, f"is missing; coordinates found: {', '.join(map(str, dataset.coords)) or 'none'}"
            continue
        values = np.asarray(dataset[name].values, np.float64)
        if missing := int(np.isnan(values).sum()):
            yield name, f"has {missing} missing values of {values.size}{fill_hint(dataset[name])}"
            continue
        if problem := _refusal(check, values):
            mendable = _refusal(check, np.sort(values % 360 if name == "longitude" else values)) is None
            hint = "; `airmass data convert` rewrites a store in this order" if mendable else ""
            yield name, problem.removeprefix(f"{name} ") + hint


def _refusal(check: Callable[[np.ndarray], None], values: np.ndarray) -> str | None:
    try:
        check(values)
    except InputError as error:
        return str(error)
    return None


def fill_hint(field: xr.DataArray) -> str:
    """Why values may be missing that were written: Zarr v2 arrays whose fill_value, 0, readers take for missing."""
    if "chunks" in field.encoding and field.encoding.get("_FillValue") == 0:
        return " (its Zarr v2 fill_value is 0, so zeros read as missing; `airmass data convert` restores them)"
    return ""


def _level_problems(dataset: xr.Dataset) -> Iterator[tuple[str, str]]:
    if "level" not in dataset.coords:
        return
    levels = np.atleast_1d(dataset.level.values)
    units = dataset.level.attrs.get("units")
    if units is not None and units not in HECTOPASCALS:
        yield "level", f"has units {units!r}, expected 'hPa'"
    elif levels.max() > 2000:
        yield "level", f"runs to {levels.max():g}, expected hPa: are these Pa?"
    if np.any(np.diff(levels) <= 0):
        yield "level", f"is {[float(x) for x in levels]}, expected rising, each once"


def _time_problems(dataset: xr.Dataset) -> Iterator[tuple[str, str]]:
    if "time" not in dataset.dims:
        return
    times = dataset.time.values
    if not np.issubdtype(times.dtype, np.datetime64):
        yield "time", f"is {times.dtype}, expected dates"
        return
    yield from _valid_time_problems(dataset)
    steps = np.diff(times)
    if np.any(twice := steps == np.timedelta64(0)):
        more = f", and {twice.sum() - 1} more such" if twice.sum() > 1 else ""
        yield "time", f"{minute(times[1:][twice][0])} appears twice{more}"
    if np.any(back := steps < np.timedelta64(0)):
        yield "time", f"runs backwards after {minute(times[:-1][back][0])}"


def _valid_time_problems(dataset: xr.Dataset) -> Iterator[tuple[str, str]]:
    """Where other coordinates say that `time` is not the time of the fields."""
    try:
        said = with_valid_time(dataset.drop_vars(list(dataset.data_vars)), "")[1]
    except InputError as error:
        yield "time", f"is not certain: {str(error).removeprefix(': ')}"
    else:
        for text in said:
            yield "time", f"is not the valid time ({text}); `airmass data convert` takes that"


def _field_problems(dataset: xr.Dataset, name: str) -> Iterator[tuple[str, str]]:
    field, variable = dataset[name], VARIABLES[name]
    expected: tuple[str, ...] = HORIZONTAL if variable.static else ("time", *HORIZONTAL)
    if variable.on_levels:
        expected = (*expected[:-2], "level", *HORIZONTAL)
    found = tuple(str(d) for d in field.dims)
    if found != expected:
        hint = (
            "; `airmass data convert` rewrites a store in this order" if _arrangeable(dataset, found, expected) else ""
        )
        yield name, f"has dimensions {found}, expected {expected}{hint}"
    units = field.attrs.get("units")
    if units is not None and not same_units(units, variable.units):
        yield name, f"has units {units!r}, expected {variable.units!r}"


def _arrangeable(dataset: xr.Dataset, found: tuple[str, ...], expected: tuple[str, ...]) -> bool:
    """Whether conversion makes these dimensions the expected ones: in another order, or with axes of length 1."""
    lacking, more = set(expected) - set(found), set(found) - set(expected)
    single = all(name in dataset.coords and dataset[name].ndim == 0 for name in lacking & {"time", "level"})
    return lacking <= {"time", "level"} and single and all(dataset.sizes[name] == 1 for name in more)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
