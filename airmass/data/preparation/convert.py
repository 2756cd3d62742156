"""Conversion of stores: a rewrite of the usual layouts of archives into the layout that airmass reads."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr

import airmass
from airmass.core.errors import InputError
from airmass.core.files import new_output, refuse_existing
from airmass.data.formats.layout import HECTOPASCALS, fill_hint, problems
from airmass.data.formats.opening import open_unchecked
from airmass.data.formats.valid_time import TIMES, with_valid_time
from airmass.fields.variables import COMPUTED, VARIABLES, same_units, summed_without_hours, table_name

_NAMES = {
    "lat": "latitude",
    "lon": "longitude",
    "pressure_level": "level",
    "isobaricInhPa": "level",
    "plev": "level",
}
_DIMENSIONS = ("time", "level", "latitude", "longitude")
_MEMBERS = ("number", "realization", "ensemble", "member", "sample")
_UNITS = {"latitude": "degrees_north", "longitude": "degrees_east", "level": "hPa"}

Change = tuple[xr.Dataset, list[str]]


def convert(source: str | Path, out: str | Path) -> list[str]:
    """Rewrite `source` as the Zarr v3 store `out` in the layout of `open_store`; returns the changes, in words.

    Renames coordinates and variables, takes valid times as `time`, drops axes of length 1, merges ERA5 with ERA5T,
    turns latitude south to north and longitude to 0..360, sorts levels and takes them from Pa to hPa, orders
    dimensions, restores zeros that Zarr v2 arrays with fill_value 0 read as missing, and stores float32 in chunks of
    one time. Refuses, with nothing written, whatever then still breaks the layout: units other than the table's, uneven
    grids, repeated times, ensembles, files without a variable that is known.
    """
    refuse_existing(out, source)
    dataset = open_unchecked(source)
    changes: list[str] = []
    steps: tuple[Callable[[xr.Dataset], Change], ...] = (
        _names, _variables, _expver, _single, lambda d: with_valid_time(d, source), _one_time,
        _coordinates, _zeros, _latitude, _longitude, _levels, _static, _dimensions, _attributes, _precision,
    )  # fmt: skip
    for step in steps:
        try:
            dataset, said = step(dataset)
        except InputError as error:
            text = str(error)
            raise InputError(text if text.startswith(str(source)) else f"{source}: {text}") from error
        changes += said
    for where, problem in problems(dataset):
        raise InputError(f"{source}: {where} {problem.partition('; `airmass')[0]}; conversion cannot mend this")
    _write(dataset, source, out)
    return changes


def _names(dataset: xr.Dataset) -> Change:
    renamed = {
        old: new for old, new in _NAMES.items() if old in (*dataset.variables, *dataset.dims) and new not in dataset
    }
    return dataset.rename(renamed), [f"{old} renamed to {new}" for old, new in renamed.items()]


def _variables(dataset: xr.Dataset) -> Change:
    """The variables under the table's names; raises InputError if none is known.

    Computed and ambiguous variables are left out, unknown ones are kept, all with a note.
    """
    held = ", ".join(map(str, dataset.data_vars)) or "none"
    computed = [str(name) for name in dataset.data_vars if name in COMPUTED]
    changes = [f"left out, as computed from time and grid: {', '.join(computed)}"] if computed else []
    dataset = dataset.drop_vars(computed)
    names: dict[str, str] = {}
    for name in map(str, dataset.data_vars):
        found = _table_name(dataset, name)
        if found is not None and found not in (name, *dataset.variables, *names.values()):
            names[name] = found
        elif summed_without_hours(name):
            dataset = dataset.drop_vars(name)
            changes.append(f"{name} left out: nothing says that it is of 6 or 12 hours; ERA5's is of one hour")
    dataset = dataset.rename(names)
    changes += [f"{old} renamed to {new}" for old, new in names.items()]
    unknown = [str(name) for name in dataset.data_vars if name not in VARIABLES]
    if len(unknown) == len(dataset.data_vars):
        known = ", ".join(f"{name} ({v.short_name})" for name, v in VARIABLES.items() if name not in COMPUTED)
        raise InputError(f"no variable that airmass can use; variables found: {held}; expected some of {known}")
    changes += [f"not known, kept as they are: {', '.join(unknown)}"] if unknown else []
    return dataset, changes


def _table_name(dataset: xr.Dataset, name: str) -> str | None:
    if name in VARIABLES and name != "geopotential":
        return name
    field = dataset[name]
    return table_name(name, "level" in field.dims or "level" in field.coords, _hours_summed(field))


def _hours_summed(field: xr.DataArray) -> int | None:
    """Hours of accumulation of a field from its attributes, None without them.

    A lead time does not tell: after six hours ERA5's sum is over the last hour, IFS's over all six.
    """
    if said := re.search(r"sum\b.*?interval: (\d+) ?h", str(field.attrs.get("cell_methods", ""))):
        return int(said[1])
    if said := re.fullmatch(r"(\d+)-(\d+)", str(field.attrs.get("GRIB_stepRange", ""))):
        return int(said[2]) - int(said[1])
    return None


def _expver(dataset: xr.Dataset) -> Change:
    """ERA5 (expver 1) merged with preliminary ERA5T (5): at each time exactly one of them has values."""
    if "expver" not in dataset.dims:
        return dataset, []
    merged = {}
    for name, field in dataset.data_vars.items():
        if "expver" not in field.dims:
            continue
        axes = [d for d in field.dims if d not in ("expver", "time", "valid_time")]
        held = field.notnull().any(axes)
        if bool((held.sum("expver") > 1).any()):
            raise InputError(
                f"expver has {field.sizes['expver']} versions, and {name} has values in more than one of them at one "
                "time; expected exactly one, as ERA5 and ERA5T have: choose one version"
            )
        # The version that has values at a time gives the whole frame, including its NaN.
        merged[name] = field.isel(expver=held.argmax("expver").compute()).drop_vars("expver", errors="ignore")
    dataset = dataset.assign(merged)
    return dataset.drop_dims("expver"), ["expver merged: at each time the version that has values"]


def _single(dataset: xr.Dataset) -> Change:
    """The dataset without axes of length 1 that the layout lacks; raises InputError for longer ones, as of members."""
    known = [field for name, field in dataset.data_vars.items() if name in VARIABLES]
    dims = dict.fromkeys(str(d) for field in known for d in field.dims if d not in (*_DIMENSIONS, *TIMES))
    for name in dims:
        if (length := dataset.sizes[name]) > 1:
            what = "an ensemble" if name in _MEMBERS else "an axis"
            raise InputError(
                f"{name} is {what} of length {length}, expected one; choose one before converting, with xarray's isel"
            )
    return dataset.squeeze([*dims], drop=True), [f"{name}, of length 1, dropped" for name in dims]


def _coordinates(dataset: xr.Dataset) -> Change:
    """The dataset with the layout's coordinates only."""
    others = [str(name) for name in dataset.coords if name not in _DIMENSIONS and name not in dataset.dims]
    return dataset.drop_vars(others), [f"coordinates left out: {', '.join(others)}"] if others else []


def _one_time(dataset: xr.Dataset) -> Change:
    """A single date beside the fields as a dimension of those that change in time."""
    if "time" not in dataset.coords or dataset.time.ndim or dataset.time.dtype.kind != "M":
        return dataset, []
    changing = [name for name in dataset.data_vars if not (name in VARIABLES and VARIABLES[str(name)].static)]
    expanded = {name: dataset[name].expand_dims("time") for name in changing}
    static = dataset.drop_vars([*changing, "time"])
    return static.assign(expanded), ["time, a single value, made a dimension"]


def _zeros(dataset: xr.Dataset) -> Change:
    """The dataset with zeros restored that read as missing because of a Zarr v2 fill_value of 0."""
    changes = []
    for name in map(str, dataset.variables):
        over_land = name in VARIABLES and VARIABLES[name].missing_over_land
        if not fill_hint(dataset[name]) or over_land or not bool(dataset[name].isnull().any()):
            continue
        restored = dataset[name].fillna(0)
        # A dimension's own coordinate is an index, which only assignment rebuilds.
        dataset = (
            dataset.assign_coords({name: restored}) if name in dataset.coords else dataset.assign({name: restored})
        )
        changes.append(f"{name}: zeros restored that its Zarr v2 fill_value made read as missing")
    return dataset, changes


def _numbers(dataset: xr.Dataset, name: str) -> bool:
    """True if a coordinate has finite numbers, and can be reversed, rolled or sorted; others are refused later."""
    values = dataset.indexes[name].values if name in dataset.indexes else np.array("")
    return values.dtype.kind in "fiu" and bool(np.isfinite(values).all())


def _latitude(dataset: xr.Dataset) -> Change:
    if not _numbers(dataset, "latitude") or not np.all(np.diff(dataset.latitude.values) < 0):
        return dataset, []
    return dataset.isel(latitude=slice(None, None, -1)), ["latitude turned to run south to north"]


def _longitude(dataset: xr.Dataset) -> Change:
    if not _numbers(dataset, "longitude"):
        return dataset, []
    longitude = dataset.longitude.values.astype(np.float64)
    if not (np.any(longitude < 0) or np.any(np.diff(longitude) < 0) or np.any(longitude >= 360)):
        return dataset, []
    # -1e-6 and 359.99999 are 0 in float32 coordinates, so round before the modulo.
    rounded = np.round(longitude, 4)
    east = rounded % 360
    twice = len(east) - len(np.unique(east))
    if twice:
        raise InputError(
            f"longitude runs {longitude[0]:g} to {longitude[-1]:g} and holds {twice} meridian twice, such as "
            f"{_first_twice(east):g}; expected each once: leave out the last column"
        )
    order = np.argsort(east, kind="stable")
    exact = (longitude - (rounded - east))[order]
    dataset = dataset.isel(longitude=order).assign_coords(longitude=("longitude", exact, dataset.longitude.attrs))
    return dataset, [f"longitude {longitude[0]:g} to {longitude[-1]:g} rolled to {exact[0]:g} to {exact[-1]:g}"]


def _first_twice(values: np.ndarray) -> float:
    unique, counts = np.unique(values, return_counts=True)
    return float(unique[counts > 1][0])


def _levels(dataset: xr.Dataset) -> Change:
    if "level" not in dataset.coords:
        return dataset, []
    if "level" not in dataset.dims:
        return _one_level(dataset)
    if not _numbers(dataset, "level"):
        return dataset, []
    changes = []
    levels = dataset.level.values.astype(np.float64)
    units = dataset.level.attrs.get("units")
    if units == "Pa" or (units is None and levels.max() > 2000):
        levels = levels / 100
        changes.append("level taken from Pa to hPa")
    elif units is not None and units not in HECTOPASCALS:
        return dataset, []
    attributes = {**dataset.level.attrs, "units": "hPa"}
    whole = levels.astype(np.int64) if np.all(levels == np.round(levels)) else levels
    dataset = dataset.assign_coords(level=("level", whole, attributes))
    if np.any(np.diff(levels) < 0):
        dataset = dataset.isel(level=np.argsort(levels, kind="stable"))
        changes.append("level sorted to rise")
    return dataset, changes


def _one_level(dataset: xr.Dataset) -> Change:
    on_levels = [name for name in dataset.data_vars if name in VARIABLES and VARIABLES[str(name)].on_levels]
    expanded = dataset.assign({name: dataset[name].expand_dims("level") for name in on_levels})
    dataset, changes = _levels(expanded)
    return dataset, ["level, a single value, made a dimension", *changes]


def _static(dataset: xr.Dataset) -> Change:
    """The dataset with static fields without time, if they are constant; others are refused later."""
    changes = []
    for name in map(str, dataset.data_vars):
        if name not in VARIABLES or not VARIABLES[name].static or "time" not in dataset[name].dims:
            continue
        first = dataset[name].isel(time=0, drop=True)
        if bool(((dataset[name] == first) | (dataset[name].isnull() & first.isnull())).all()):
            dataset = dataset.assign({name: first})
            changes.append(f"{name}: the same at all times, so written once")
    return dataset, changes


def _dimensions(dataset: xr.Dataset) -> Change:
    order = [d for d in _DIMENSIONS if d in dataset.dims]
    turned = [
        str(name)
        for name, field in dataset.data_vars.items()
        if [d for d in order if d in field.dims] != list(field.dims)
    ]
    changes = [f"dimensions ordered as ([time,] [level,] latitude, longitude): {', '.join(turned)}"] if turned else []
    return dataset.transpose(*order, ...), changes


def _attributes(dataset: xr.Dataset) -> Change:
    """The dataset with the table's attributes where units agree or are absent; other units are refused later."""
    assumed = []
    dataset = dataset.copy()
    for name, field in dataset.data_vars.items():
        if name not in VARIABLES:
            continue
        variable = VARIABLES[str(name)]
        units = field.attrs.get("units")
        if units is None:
            assumed.append(f"{name} {variable.units}")
        if units is None or same_units(units, variable.units):
            field.attrs = variable.attributes
    for name, units in _UNITS.items():
        if name in dataset.coords:
            dataset[name].attrs.setdefault("units", units)
    dataset.attrs["airmass_version"] = airmass.__version__
    return dataset, [f"units not given, taken to be {', '.join(assumed)}"] if assumed else []


def _precision(dataset: xr.Dataset) -> Change:
    double = [str(n) for n, f in dataset.data_vars.items() if f.dtype.kind in "fiu" and f.dtype != np.float32]
    changes = [f"stored as float32: {', '.join(double)}"] if double else []
    return dataset.assign({name: dataset[name].astype(np.float32) for name in double}), changes


def _write(dataset: xr.Dataset, source: str | Path, out: str | Path) -> None:
    """Write the store in chunks of one time, to a temporary path that is then renamed."""
    dataset = dataset.chunk({d: 1 if d == "time" else -1 for d in dataset.dims})
    encoding: dict = {}
    for name, field in dataset.variables.items():
        field.encoding = {}
        if name in dataset.data_vars and field.dtype == np.float32:
            encoding[name] = {"fill_value": np.nan}
    with new_output(out) as aside:
        try:
            dataset.to_zarr(aside, mode="w-", zarr_format=3, consolidated=False, encoding=encoding)
        except (RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{source}: cannot be read: {reason}; `airmass data check` names the chunk") from error
