"""The valid time of fields, from all time coordinates of a file.

Archives store it in many ways: `valid_time` beside the reference time `time` and a `step` (cfgrib, CDS), a reference
time and a lead time (`initial_time`, `forecast_reference_time`; `prediction_timedelta`), a duration `time` and
`datetime` (DeepMind's example files). Each way gives valid times; all ways found in a file must agree.
"""

from collections.abc import Iterator

import numpy as np
import xarray as xr

from airmass.core.errors import InputError

_STATED = ("valid_time", "datetime")
_REFERENCES = ("forecast_reference_time", "reference_time", "initial_time", "init_time")
_LEADS = ("step", "prediction_timedelta", "lead_time", "forecast_period", "leadtime")
TIMES = ("time", *_STATED, *_REFERENCES, *_LEADS)
_HOUR = np.timedelta64(1, "h")


def with_valid_time(dataset: xr.Dataset, path: object) -> tuple[xr.Dataset, list[str]]:
    """The dataset with its valid times as `time` and no other time coordinate, and a description of the changes.

    A file with only `time`, or without times, is returned unchanged. Raises InputError for coordinates that contradict
    one another, a lead time without reference time, and reference times and lead times as two axes.
    """
    if not any(name in dataset.coords or name in dataset.variables for name in TIMES[1:]):
        if _kind(dataset, "time") == "m":
            raise InputError(f"{path}: time is a duration, and there is no datetime to say from when")
        return dataset, []
    dataset = dataset.set_coords([name for name in TIMES if name in dataset.variables])
    single = [d for d in TIMES if dataset.sizes.get(d) == 1]
    squeezed = dataset.squeeze(single) if single else dataset
    found = dict(_valid_times(squeezed, path))
    if not found:
        raise InputError(f"{path}: {_listed(squeezed)} tell no valid time; expected a reference time and a lead time")
    (first, valid), *others = found.items()
    for name, other in others:
        _require_same(path, first, valid, name, other)
    if valid.ndim > 1:
        raise InputError(
            f"{path}: {' and '.join(f'{d} ({valid.sizes[d]})' for d in valid.dims)} are two axes of time, expected "
            "one; choose one reference time or one lead time"
        )
    return _replaced(dataset, squeezed, valid, first)


def _valid_times(dataset: xr.Dataset, path: object) -> Iterator[tuple[str, xr.DataArray]]:
    """The name and valid times of each way in which a dataset gives them."""
    for name in _STATED:
        if name in dataset.coords:
            yield name, _dates(dataset, name, path)
    leads = [name for name in _LEADS if name in dataset.coords]
    references = [name for name in _REFERENCES if name in dataset.coords]
    stated = any(name in dataset.coords for name in _STATED)
    if _kind(dataset, "time") == "M":
        time = dataset["time"]
        if _is_reference(dataset, references, leads, stated, path):
            references = [*references, "time"]
        else:
            yield "time", time
    for reference in references:
        for lead in leads:
            yield f"{reference} + {lead}", _dates(dataset, reference, path) + _durations(dataset, lead, path)


def _is_reference(dataset: xr.Dataset, references: list[str], leads: list[str], stated: bool, path: object) -> bool:
    """True if `time` is the reference time of a forecast rather than the valid time."""
    time = dataset["time"]
    if time.attrs.get("standard_name") == "forecast_reference_time" or "init" in str(time.attrs.get("long_name", "")):
        return True
    if references:  # a reference time of another name: `time` is the valid time unless the two are equal
        return bool(leads) and all(_equal(dataset[name], time) for name in references)
    if stated:  # beside a `valid_time`, `time` is the reference time unless the two are equal
        return not any(_equal(dataset[name], time) for name in _STATED if name in dataset.coords)
    if leads and time.attrs.get("standard_name") == "time" and not _all_zero(dataset, leads, path):
        raise InputError(
            f"{path}: time has standard_name 'time' beside {leads[0]}, so it may be the reference time or the valid "
            "time; expected valid_time or forecast_reference_time"
        )
    return bool(leads)


def _replaced(
    dataset: xr.Dataset, squeezed: xr.Dataset, valid: xr.DataArray, source: str
) -> tuple[xr.Dataset, list[str]]:
    """The dataset with the dimension of `valid`, or a new one of length 1, as `time`, and the changes."""
    dim = str(valid.dims[0]) if valid.ndim else None
    had = dataset["time"].values if "time" in dataset.coords else None
    bare = squeezed.drop_vars([name for name in TIMES if name in squeezed.coords])
    if dim is None:
        changing = [name for name, field in dataset.data_vars.items() if set(field.dims) & set(TIMES)]
        # If no field has a time dimension, as in a file of one frame, static fields cannot be told apart.
        bare = bare.assign({name: bare[name].expand_dims("time") for name in changing or dataset.data_vars})
    elif dim != "time":
        bare = bare.rename({dim: "time"})
    values = np.atleast_1d(valid.values).astype("datetime64[ns]")
    result = bare.assign_coords(time=("time", values))
    if had is not None and np.array_equal(np.atleast_1d(had), values):
        return result, []
    return result, [f"time taken from {source}: {_minute(values[0])} to {_minute(values[-1])}"]


def _require_same(path: object, first: str, valid: xr.DataArray, name: str, other: xr.DataArray) -> None:
    if _equal(valid, other):
        return
    one, two = (np.atleast_1d(v.values).ravel() for v in (valid, other))
    at = int(np.argmax(one != two)) if one.shape == two.shape else 0
    raise InputError(
        f"{path}: {first} is {_minute(one[at])}, but {name} is {_minute(two[at])}; expected one valid time"
    )


def _equal(a: xr.DataArray, b: xr.DataArray) -> bool:
    return a.dims == b.dims and np.array_equal(a.values, b.values)


def _all_zero(dataset: xr.Dataset, leads: list[str], path: object) -> bool:
    return all(bool((_durations(dataset, name, path) == np.timedelta64(0)).all()) for name in leads)


def _dates(dataset: xr.Dataset, name: str, path: object) -> xr.DataArray:
    values = dataset[name]
    if values.dtype.kind != "M" or np.isnat(values.values).any():
        raise InputError(f"{path}: {name} has type {values.dtype}, expected dates, none missing")
    return xr.DataArray(values.values.astype("datetime64[ns]"), dims=values.dims)


def _durations(dataset: xr.Dataset, name: str, path: object) -> xr.DataArray:
    """Lead times as durations; raises InputError for numbers without units."""
    values = dataset[name]
    if values.dtype.kind != "m":
        raise InputError(f"{path}: {name} has type {values.dtype}, expected durations with units such as 'hours'")
    return xr.DataArray(values.values.astype("timedelta64[ns]"), dims=values.dims)


def _kind(dataset: xr.Dataset, name: str) -> str:
    return dataset[name].dtype.kind if name in dataset.coords else ""


def _listed(dataset: xr.Dataset) -> str:
    return ", ".join(name for name in TIMES if name in dataset.coords) or "the coordinates"


def _minute(time: np.datetime64) -> str:
    return str(np.datetime_as_string(time, "m"))
