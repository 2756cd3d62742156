"""The explicit rewrite that error messages recommend: any usual arrangement of a store into the one that is read."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr

import airmass
from airmass.core.errors import InputError
from airmass.core.files import new_output, refuse_existing
from airmass.data.formats.store import HECTOPASCALS, fill_hint, open_unchecked, problems
from airmass.fields.variables import VARIABLES, same_units

_NAMES = {
    "lat": "latitude",
    "lon": "longitude",
    "pressure_level": "level",
    "isobaricInhPa": "level",
    "plev": "level",
    "valid_time": "time",
}
_UNITS = {"latitude": "degrees_north", "longitude": "degrees_east", "level": "hPa"}

Change = tuple[xr.Dataset, list[str]]


def convert(source: str | Path, out: str | Path) -> list[str]:
    """Rewrite `source` as the Zarr v3 store `out` in the layout of `open_store`; returns what was changed, in words.

    Renames coordinates, turns latitude south to north and longitude to 0..360, sorts levels and takes them from Pa to
    hPa, orders dimensions, restores zeros that Zarr v2 arrays with fill_value 0 read as missing, and stores float32 in
    chunks of one time. Refuses, with nothing written, whatever then still breaks the layout: units other than the
    table's, uneven grids, repeated times.
    """
    refuse_existing(out)
    dataset = open_unchecked(source)
    changes: list[str] = []
    steps: tuple[Callable[[xr.Dataset], Change], ...] = (
        _names, _zeros, _latitude, _longitude, _levels, _static, _dimensions, _attributes, _precision,
    )  # fmt: skip
    for step in steps:
        dataset, said = step(dataset)
        changes += said
    for where, problem in problems(dataset):
        raise InputError(f"{source}: {where} {problem}; conversion cannot mend this")
    _write(dataset, source, out)
    return changes


def _names(dataset: xr.Dataset) -> Change:
    renamed = {
        old: new for old, new in _NAMES.items() if old in (*dataset.variables, *dataset.dims) and new not in dataset
    }
    return dataset.rename(renamed), [f"{old} renamed to {new}" for old, new in renamed.items()]


def _zeros(dataset: xr.Dataset) -> Change:
    """Zarr v2's fill_value is what an unwritten chunk holds, which readers take for a mark of missing values."""
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


def _latitude(dataset: xr.Dataset) -> Change:
    if "latitude" not in dataset.indexes or not np.all(np.diff(dataset.latitude.values) < 0):
        return dataset, []
    return dataset.isel(latitude=slice(None, None, -1)), ["latitude turned to run south to north"]


def _longitude(dataset: xr.Dataset) -> Change:
    if "longitude" not in dataset.indexes:
        return dataset, []
    longitude = dataset.longitude.values.astype(np.float64)
    if not (np.any(longitude < 0) or np.any(np.diff(longitude) < 0)):
        return dataset, []
    # -1e-6 and 359.9999 are 0 in float32 coordinates, so round before the modulo.
    east = np.round(longitude, 4) % 360
    order = np.argsort(east, kind="stable")
    exact = np.where(longitude < 0, longitude + 360, longitude)[order]
    dataset = dataset.isel(longitude=order).assign_coords(longitude=("longitude", exact, dataset.longitude.attrs))
    return dataset, [f"longitude {longitude[0]:g} to {longitude[-1]:g} rolled to {exact[0]:g} to {exact[-1]:g}"]


def _levels(dataset: xr.Dataset) -> Change:
    if "level" not in dataset.coords:
        return dataset, []
    if "level" not in dataset.dims:
        return _one_level(dataset)
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
    """Drop the time of static fields, if they are the same at all times; leave others to be refused."""
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
    order = [d for d in ("time", "level", "latitude", "longitude") if d in dataset.dims]
    turned = [
        str(name)
        for name, field in dataset.data_vars.items()
        if [d for d in order if d in field.dims] != list(field.dims)
    ]
    changes = [f"dimensions ordered as ([time,] [level,] latitude, longitude): {', '.join(turned)}"] if turned else []
    return dataset.transpose(*order, ...), changes


def _attributes(dataset: xr.Dataset) -> Change:
    """Our attributes where units are the table's or not given; other units stay, for the check to refuse."""
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
    """Write in chunks of one time, block by block, aside and then renamed."""
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
