"""Stores of fields whose coordinates, dtypes, attributes or values are wrong."""

from collections.abc import Callable

import numpy as np

from tests.border.case import Case, changed
from tests.border.store_changes import Change, arithmetic, attribute, both, copied, metadata, put, removed, value

ALL = ("check", "stats", "train", "forecast from", "evaluate with", "plot with")
FIELD = ("check", "stats", "train", "evaluate with")


def _moved(index: int, by: float) -> Callable[[np.ndarray], np.ndarray]:
    def of(values: np.ndarray) -> np.ndarray:
        out = values.copy()
        out[index] += by
        return out

    return of


def _unitless(name: str, of: Callable[[np.ndarray], np.ndarray]) -> Change:
    return both(arithmetic(name, of), metadata(name, lambda text: text["attributes"].pop("units", None)))


_LAT, _LON = np.arange(8) * 22.5 - 78.75, np.arange(16) * 22.5
_TIME = {"units": "hours since 2000-11-01", "calendar": "proleptic_gregorian"}
_HOURS = np.arange(8) * 6

COORDINATES = [
    ("latitude complex", put("latitude", _LAT + 0j), ("latitude",)),
    ("latitude of text", put("latitude", np.array([f"{x}" for x in _LAT])), ("latitude",)),
    ("latitude of flags", put("latitude", _LAT > 0), ("latitude",)),
    ("latitude NaN", put("latitude", _moved(3, np.nan)), ("latitude",)),
    ("latitude beyond the pole", put("latitude", _LAT * 2), ("latitude",)),
    ("latitude north to south", put("latitude", _LAT[::-1].copy()), ("latitude",)),
    ("latitude uneven", put("latitude", _moved(2, 3.0)), ("latitude",)),
    ("latitude twice the same", put("latitude", _moved(2, -22.5)), ("latitude",)),
    ("latitude missing", removed("latitude"), ("latitude",)),
    ("latitude in radians", put("latitude", np.deg2rad(_LAT)), ("latitude",)),
    ("longitude infinite", put("longitude", _moved(3, np.inf)), ("longitude",)),
    ("longitude of text", put("longitude", np.array([f"{x}" for x in _LON])), ("longitude",)),
    ("longitude over half the globe", put("longitude", _LON / 2), ("longitude",)),
    ("longitude backwards", put("longitude", _LON[::-1].copy()), ("longitude",)),
    ("longitude from -180", put("longitude", _LON - 180), ("longitude",)),
    ("longitude missing", removed("longitude"), ("longitude",)),
    ("level of text", put("level", np.array(["500", "850"])), ("level",)),
    ("level NaN", put("level", np.array([500.0, np.nan])), ("level",)),
    ("level below zero", put("level", np.array([-500, 850])), ("level",)),
    ("level zero", put("level", np.array([0, 850])), ("level",)),
    ("level between hectopascals", put("level", np.array([500.5, 850.0])), ("level",)),
    ("level in Pa", put("level", np.array([50000, 85000])), ("level",)),
    ("level with units of metres", attribute("level", units="m"), ("level",)),
    ("level with a number for units", attribute("level", units=7), ("level",)),
    ("level falling", put("level", np.array([850, 500])), ("level",)),
    ("level twice the same", put("level", np.array([500, 500])), ("level",)),
    ("level complex", put("level", np.array([500 + 1j, 850])), ("level",)),
    ("level without coordinate", removed("level"), ("level",)),
    ("time twice the same", put("time", _moved(3, -6)), ("time",)),
    ("time backwards", put("time", _HOURS[::-1].copy(), attributes=_TIME), ("time",)),
    ("time NaT", put("time", np.where(_HOURS == 12, np.iinfo(np.int64).min, _HOURS), attributes=_TIME), ("time",)),
    ("time without units", put("time", _HOURS, attributes={}), ("time",)),
    ("time of text", put("time", np.array([f"day {h}" for h in _HOURS]), attributes={}), ("time",)),
    ("time since nonsense", put("time", _HOURS, attributes=_TIME | {"units": "hours since the flood"}), ("time",)),
    ("time in fortnights", put("time", _HOURS, attributes=_TIME | {"units": "fortnights since 2000-11-01"}), ("time",)),
    ("time with a number for units", put("time", _HOURS, attributes={"units": 7}), ("time",)),
    ("time in a calendar without leap days", put("time", _HOURS, attributes=_TIME | {"calendar": "noleap"}), ("time",)),
    ("time in a calendar of 360 days", put("time", _HOURS, attributes=_TIME | {"calendar": "360_day"}), ("time",)),
    ("time beyond all dates", put("time", _HOURS + 10**15, attributes=_TIME), ("time",)),
    ("time missing", removed("time"), ("time",)),
    ("time as durations", put("time", _HOURS, attributes={"units": "hours"}), ("time",)),
]

FIELDS = [
    ("field complex", put("2m_temperature", lambda v: v + 0j), ("2m_temperature",)),
    ("field of text", put("2m_temperature", lambda v: v.astype(str)), ("2m_temperature",)),
    ("field of flags", put("2m_temperature", lambda v: v > 0), ("2m_temperature",)),
    (
        "field of dates",
        put("2m_temperature", lambda v: v.astype(np.int64), attributes={"units": "days since 2000-01-01"}),
        ("2m_temperature",),
    ),
    ("field with units of Celsius", attribute("2m_temperature", units="degC"), ("2m_temperature", "degc")),
    ("field with a number for units", attribute("2m_temperature", units=7), ("2m_temperature", "units")),
    ("field with a list for units", attribute("2m_temperature", units=["K"]), ("2m_temperature", "units")),
    ("scale factor of text", attribute("2m_temperature", scale_factor="1.0"), ("2m_temperature", "scale_factor")),
    ("scale factor zero", attribute("2m_temperature", scale_factor=0.0), ("2m_temperature",)),
    ("scale factor null", attribute("2m_temperature", scale_factor=None), ("2m_temperature", "scale_factor")),
    ("scale factor of two", attribute("2m_temperature", scale_factor=[1.0, 2.0]), ("2m_temperature", "scale_factor")),
    ("offset of text", attribute("2m_temperature", add_offset="warm"), ("2m_temperature", "add_offset")),
    ("offset below absolute zero", attribute("2m_temperature", add_offset=-500.0), ("2m_temperature",)),
    ("fill value of text", attribute("2m_temperature", _FillValue="none"), ()),
    (
        "dimensions in another order",
        put("2m_temperature", lambda v: v.transpose(0, 2, 1), ("time", "longitude", "latitude")),
        ("2m_temperature",),
    ),
    (
        "a dimension of members",
        put("2m_temperature", lambda v: np.stack([v, v]), ("number", "time", "latitude", "longitude")),
        ("2m_temperature",),
    ),
    ("a dimension too few", put("2m_temperature", lambda v: v[0], ("latitude", "longitude")), ("2m_temperature",)),
    (
        "a level where none belongs",
        put("2m_temperature", lambda v: np.stack([v, v], 1), ("time", "level", "latitude", "longitude")),
        ("2m_temperature",),
    ),
    ("dimensions without names", put("2m_temperature", lambda v: v, (None, None, None)), ("2m_temperature",)),
    ("dimensions of one name", put("2m_temperature", lambda v: v, ("time", "latitude", "latitude")), ()),
    ("dimensions of another length", put("2m_temperature", lambda v: v[:, :4]), ()),
    ("no values along time", put("2m_temperature", lambda v: v[:0], ("time", "latitude", "longitude")), ()),
]

# Without units, as in the published samples, or with the right ones over wrong numbers.
VALUES = [
    ("one value of 9.999e20", value("2m_temperature", 9.999e20), ("2m_temperature", "2000-11-01t06")),
    ("one infinite value", value("2m_temperature", np.inf), ("2m_temperature", "2000-11-01t06")),
    ("one NaN", value("2m_temperature", np.nan), ("2m_temperature", "2000-11-01t06")),
    ("one value of -32767", value("2m_temperature", -32767.0), ("2m_temperature", "2000-11-01t06")),
    ("Celsius without units", _unitless("2m_temperature", lambda v: v - 273.15), ("2m_temperature",)),
    ("Celsius called kelvin", arithmetic("2m_temperature", lambda v: v - 273.15), ("2m_temperature",)),
    ("heights for geopotential", _unitless("geopotential", lambda v: v / 9.80665), ("geopotential",)),
    ("millimetres of rain", _unitless("total_precipitation_6hr", lambda v: v * 1000), ("total_precipitation_6hr",)),
    ("a mask in percent", _unitless("land_sea_mask", lambda v: v * 100), ("land_sea_mask",)),
    ("a mask of NaN", value("land_sea_mask", np.nan), ("land_sea_mask",)),
    ("upper air in Celsius", _unitless("temperature", lambda v: v - 273.15), ("temperature",)),
    ("a surface of NaN", value("geopotential_at_surface", np.nan, everywhere=True), ("geopotential_at_surface",)),
]
_READ = {
    "heights for geopotential": ("stats", "train", "forecast from"),
    "a mask in percent": ("check", "train", "forecast from"),
    "millimetres of rain": ("check", "stats", "train"),
    "a mask of NaN": ("check", "train", "forecast from"),
    "a surface of NaN": ("check", "train", "forecast from"),
}


_CONVERTIBLE = ("level in Pa", "latitude north to south", "longitude from -180", "longitude backwards")
_ARE_CONVERTED = (*_CONVERTIBLE, "level falling", "time backwards")
CASES = [
    *changed("store", copied, COORDINATES, ALL[:4]),
    *changed("store", copied, FIELDS, FIELD),
    *(
        Case(f"store: {name}", case.make, _READ.get(name, ("check", "stats", "train", "forecast from")), words)
        for (name, _, words), case in zip(VALUES, changed("store", copied, VALUES, ()), strict=True)
    ),
]
# What convert must refuse too, rather than write what no reader takes.
CASES += [
    Case(f"to convert: {name}", case.make, ("convert",), case.words)
    for (name, *_), case in zip(COORDINATES, changed("", copied, COORDINATES, ()), strict=True)
    if name not in _ARE_CONVERTED and name.split()[-1] not in ("hectopascals",)
]
