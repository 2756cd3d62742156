"""Forecast files and climatologies that cannot be judged by, or against."""

from pathlib import Path

import numpy as np
import zarr

from tests.border.case import Case, changed
from tests.border.healthy import Home
from tests.border.store_changes import (
    Change,
    arithmetic,
    attribute,
    both,
    copy_of,
    metadata,
    put,
    removed,
    value,
)

JUDGES = ("evaluate", "plot", "view")
_HOURS = {"units": "hours"}
_INIT = {"units": "hours since 2000-11-01", "calendar": "proleptic_gregorian"}
_T2 = "2m_temperature"


_forecast, _ensemble, _climatology = copy_of("forecast"), copy_of("ensemble"), copy_of("climatology")


def faults(field: str) -> list[tuple]:
    """Faults of a forecast, those of values in `field`."""
    return [
        ("no initial times", removed("init_time"), ("init_time",)),
        ("no lead times", removed("lead_time"), ("lead_time",)),
        (
            "initial time NaT",
            put("init_time", np.array([np.iinfo(np.int64).min, 18]), attributes=_INIT),
            ("init_time",),
        ),
        ("initial times falling", put("init_time", np.array([18, 6]), attributes=_INIT), ("init_time",)),
        ("initial times of numbers", put("init_time", np.array([6, 18]), attributes={}), ("init_time",)),
        ("initial times of text", put("init_time", np.array(["a", "b"]), attributes={}), ("init_time",)),
        ("lead times of numbers", put("lead_time", np.array([6, 12]), attributes={}), ("lead",)),
        ("lead times of dates", put("lead_time", np.array([6, 12]), attributes=_INIT), ("lead_time",)),
        ("lead times twice", put("lead_time", np.array([6, 6]), attributes=_HOURS), ("lead_time",)),
        ("lead times below zero", put("lead_time", np.array([-6, 12]), attributes=_HOURS), ("lead_time",)),
        ("valid times of another day", put("valid_time", lambda v: v + 24), ("valid_time",)),
        (
            "another grid",
            both(put("latitude", np.arange(8) * 20.0 - 70), put("longitude", np.arange(16) * 22.5)),
            ("latitude",),
        ),
        ("levels of text", put("level", np.array(["500", "850"])), ("level",)),
        ("field complex", put(field, lambda v: v + 0j), (field,)),
        ("field of text", put(field, lambda v: v.astype(str)), (field,)),
        ("field of flags", put(field, lambda v: v > 0), (field,)),
        ("units of Celsius", attribute(field, units="degC"), (field,)),
        ("units a number", attribute(field, units=3), (field,)),
        ("infinite values", value(field, np.inf, everywhere=True), (field,)),
        ("values of 9.999e20", value(field, 9.999e20, everywhere=True), (field,)),
        ("Celsius called kelvin", arithmetic(field, lambda v: v - 273.15), (field,)),
        ("a scale factor of text", attribute(field, scale_factor="2"), (field, "scale_factor")),
        ("dates before the truth", put("init_time", np.array([-600, -588]), attributes=_INIT), ()),
    ]


_FORECASTS = faults(_T2)


def _called(system: object) -> Change:
    return metadata("", lambda text: text["attributes"].update(airmass_system=system))


# What the system is called is no matter to maps.
_SYSTEMS = [
    ("a system of two", _called(["a", "b"]), ("airmass_system",)),
    ("a system called truth", _called("truth"), ("truth",)),
    ("a system called persistence", _called("persistence"), ("persistence",)),
    ("a system that is a number", _called(7), ("airmass_system",)),
    ("a system without a name", _called(""), ("airmass_system",)),
]
_ENSEMBLES = [
    ("a member twice", put("number", np.array([0, 1, 1])), ("number",)),
    ("a member of NaN", lambda store: _spoil_member(store, np.nan), (_T2,), ("evaluate",)),
]

_CLIMATOLOGIES = [
    ("no hours", removed("hour"), ("hour",)),
    ("no days", removed("dayofyear"), ("dayofyear",)),
    ("hours of text", put("hour", np.array(["0", "6", "12", "18"])), ("hour",)),
    ("hours NaN", put("hour", np.array([0.0, np.nan, 12, 18])), ("hour",)),
    ("hours beyond a day", put("hour", np.array([0, 6, 12, 99])), ("hour",)),
    ("hours twice", put("hour", np.array([0, 6, 6, 18])), ("hour",)),
    ("days from 0", put("dayofyear", np.arange(366)), ("dayofyear",)),
    ("days twice", put("dayofyear", lambda v: np.where(v == 307, 306, v)), ("dayofyear",)),
    ("infinite values", lambda store: _spoil_climatology(store, np.inf), (_T2,)),
    ("Celsius called kelvin", arithmetic(_T2, lambda v: v - 273.15), (_T2,)),
    ("heights for geopotential", arithmetic("geopotential", lambda v: v / 9.80665), ("geopotential",)),
    ("units of Celsius", attribute(_T2, units="degC"), (_T2,)),
    ("field of text", put(_T2, lambda v: v[:, :2].astype(str), ("hour", "few", "latitude", "longitude")), (_T2,)),
    ("field complex", put(_T2, lambda v: v + 0j), (_T2,)),
    (
        "a dimension too many",
        put(_T2, lambda v: v[None], ("member", "hour", "dayofyear", "latitude", "longitude")),
        (_T2,),
    ),
    ("a dimension too few", put(_T2, lambda v: v[:, 0], ("hour", "latitude", "longitude")), (_T2,)),
    ("another grid", put("latitude", np.arange(8) * 20.0 - 70), ("latitude",)),
    ("a variable missing", removed(_T2), (_T2,)),
    ("a level missing", lambda store: _one_level(store), ("level",)),
]


def _spoil_member(store: Path, number: float) -> None:
    array = zarr.open_group(store, mode="r+")[_T2]
    array[:, 1] = number


def _spoil_climatology(store: Path, number: float) -> None:
    """On the days that are looked up."""
    array = zarr.open_group(store, mode="r+")[_T2]
    array[:, 300:310] = number


def _one_level(store: Path) -> None:
    group = zarr.open_group(store, mode="r")
    names = [name for name in ("geopotential", "temperature") if name in group]
    for name in names:
        put(name, lambda v: v[:, :, :1])(store)
    put("level", np.array([500]))(store)


CASES = [
    *changed("forecast", _forecast, _FORECASTS, JUDGES),
    *changed("forecast", _forecast, _SYSTEMS, ("evaluate",)),
    *changed("ensemble", _ensemble, _ENSEMBLES, JUDGES),
    *changed("climatology", _climatology, _CLIMATOLOGIES, ("climatology",)),
    Case("climatology for plumes: no hours", lambda h, f: _changed(h, f, removed("hour")), ("plumes",), ("hour",)),
    Case(
        "climatology for plumes: another grid",
        lambda h, f: _changed(h, f, put("latitude", np.arange(8) * 20.0 - 70)),
        ("plumes",),
        ("latitude",),
    ),
]


def _changed(home: Home, folder: Path, change) -> Path:
    bad = _climatology(home, folder)
    change(bad)
    return bad
