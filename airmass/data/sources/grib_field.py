"""One field of a GRIB file: what its header says, its grid, and its values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from airmass.core.errors import InputError
from airmass.data.sources.grib_messages import Position
from airmass.data.sources.grib_process import DecodingError, ask
from airmass.fields.clock import YEARS
from airmass.fields.names import Names, Quantity

PRESSURE = {"isobaricInhPa": 1.0, "isobaricInPa": 0.01}
MODEL = "hybrid"
# Of one value in a column, though ECMWF files it under the first model level.
_SURFACE_ON_MODEL = "lnsp"
# Types of level of fields that are not on levels; others (sigma, tropopause, layers) are other quantities.
_SINGLE = ("surface", "meanSea", "heightAboveGround")
_REGULAR, _REDUCED = ("regular_ll", "regular_gg"), ("reduced_ll", "reduced_gg")
# Keys of the header whose values differ between grids.
_GRID = ("gridType", "Ni", "Nj", "numberOfPoints", "latitudeOfFirstGridPoint", "longitudeOfFirstGridPoint",
         "latitudeOfLastGridPoint", "longitudeOfLastGridPoint", "jScansPositively", "iScansNegatively",
         "jPointsAreConsecutive")  # fmt: skip
_ATTRIBUTES = {"units": "units", "name": "long_name", "shortName": "GRIB_shortName", "stepType": "GRIB_stepType"}
_MOST_HOURS = 24 * 3660

Header = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Field:
    """The header of one field. `step` and `window`, the interval of a sum or mean that ends there, are in hours."""

    position: Position
    quantity: Quantity | None
    short_name: str
    level_type: str
    level: float
    reference: np.datetime64
    step: float
    window: float
    number: int
    grid: tuple[Any, ...]
    grid_name: str
    centre: str
    edition: int
    expver: str
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def axis(self) -> str | None:
        """The vertical axis, None for a field at the surface."""
        if self.level_type in PRESSURE:
            return "level"
        return MODEL if self.level_type == MODEL and self.short_name != _SURFACE_ON_MODEL else None

    @property
    def described(self) -> str:
        return f"{self.short_name} ({self.level_type})"


@dataclass(frozen=True)
class Shape:
    """Dimensions, sizes and coordinates of a grid; `turned` if its columns are stored one after another."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    coords: dict[str, Any]
    turned: bool = False


def field_of(path: Path, position: Position, message: bytes, names: Names) -> Field:
    """The header of a field; raises InputError for one that cannot be read."""
    where = f"{path}: message at byte {position.offset}"
    try:
        said = ask("header", message)[0]
    except DecodingError as error:
        raise InputError(f"{where} cannot be read: {error}") from error
    level_type = str(said["typeOfLevel"])
    short_name, param_id = str(said["shortName"]), int(said["paramId"] or 0)
    on_levels = level_type in PRESSURE or (level_type == MODEL and short_name != _SURFACE_ON_MODEL)
    known = on_levels or level_type in (*_SINGLE, MODEL)
    quantity = names.find(short_name, on_levels, param_id=param_id) if known else None
    start, end = _hours(said, where) if quantity is not None else (0.0, 0.0)
    return Field(
        position, quantity, short_name, level_type,
        float(said["level"] or 0) * PRESSURE.get(level_type, 1.0), _date(said, where),
        end, end - start if said["stepType"] in ("accum", "avg") else 0.0, int(said["number"] or 0),
        tuple(said[key] for key in _GRID), _grid_name(said), str(said["centre"]), int(said["edition"]),
        str(said["expver"] or ""), {name: str(said[key]) for key, name in _ATTRIBUTES.items() if said[key] is not None},
    )  # fmt: skip


def geometry(path: Path, of: Field, message: bytes) -> Shape:
    """The grid of a field. Raises InputError for one that is neither regular nor reduced in latitude and longitude."""
    where = f"{path}: {of.short_name} at byte {of.position.offset}"
    said = dict(zip(_GRID, of.grid, strict=True))
    if (kind := said["gridType"]) == "sh":
        raise InputError(f"{where} is in spherical harmonics, expected a grid: retrieve it with a grid")
    if kind not in (*_REGULAR, *_REDUCED):
        raise InputError(f"{where} is on the grid {kind}, expected one of {', '.join((*_REGULAR, *_REDUCED))}")
    try:
        header, points = ask("header", message)[0], ask("grid", message)[1]
    except DecodingError as error:
        raise InputError(f"{where} is on a grid that cannot be read: {error}") from error
    if header["alternativeRowScanning"]:
        raise InputError(f"{where} has rows in alternating directions, expected one direction")
    latitude, longitude = np.split(points, 2)
    if kind in _REDUCED:
        coords: dict[str, Any] = {"latitude": ("values", latitude), "longitude": ("values", longitude)}
        return Shape(("values",), latitude.shape, coords)
    return _regular(where, said, latitude, longitude)


def half_levels(path: Path, of: Field, message: bytes) -> Float[np.ndarray, "2 half"]:
    """Coefficients a (Pa) and b of half levels from the header of a field on model levels; empty if it has none."""
    try:
        held = ask("coefficients", message)[1] if int(ask("header", message)[0]["NV"] or 0) else np.empty(0)
    except DecodingError as error:
        where = f"{path}: {of.short_name} at byte {of.position.offset}"
        raise InputError(f"{where} has coefficients of levels that cannot be read: {error}") from error
    return held[: held.size // 2 * 2].reshape(2, -1)


def values_of(message: bytes, shape: Shape) -> Float[np.ndarray, "*shape"]:
    """The values of a field as float32, NaN where its bitmap says missing; raises DecodingError for damaged bytes."""
    values = ask("values", message)[1]
    if values.size != np.prod(shape.shape):
        raise DecodingError(f"{values.size} values, expected {np.prod(shape.shape)}")
    stored = values.reshape(shape.shape[::-1] if shape.turned else shape.shape)
    with np.errstate(over="ignore"):
        return (stored.T if shape.turned else stored).astype(np.float32)


def _regular(where: str, said: Header, latitude: np.ndarray, longitude: np.ndarray) -> Shape:
    rows, columns, turned = int(said["Nj"] or 0), int(said["Ni"] or 0), bool(said["jPointsAreConsecutive"])
    if rows * columns != latitude.size or not latitude.size:
        raise InputError(f"{where} is on a grid of {columns} x {rows} that has {latitude.size} points")
    stored = (columns, rows) if turned else (rows, columns)
    grids = [a.reshape(stored).T if turned else a.reshape(stored) for a in (latitude, longitude)]
    if np.ptp(grids[0], axis=1).max() > 1e-6 or np.ptp(grids[1], axis=0).max() > 1e-6:
        raise InputError(f"{where} is on a {said['gridType']} grid whose rows are not of one latitude")
    coords = {"latitude": ("latitude", grids[0][:, 0]), "longitude": ("longitude", grids[1][0])}
    return Shape(("latitude", "longitude"), (rows, columns), coords, turned)


def _hours(said: Header, where: str) -> tuple[float, float]:
    """Start and end of the field's interval, hours after the reference time."""
    if said["start"] is None:
        raise InputError(f"{where} tells no step of a forecast that can be read")
    start, end = said["start"] / 3600, said["end"] / 3600
    if not -_MOST_HOURS < start <= end < _MOST_HOURS:
        raise InputError(f"{where} is of the hours {start:g} to {end:g} of a forecast")
    return start, end


def _date(said: Header, where: str) -> np.datetime64:
    day, time = int(said["dataDate"] or 0), int(said["dataTime"] or 0)
    try:
        # Not from text: numpy reads an hour of 127 as 12 o'clock in a time zone, with a warning.
        date = datetime(day // 10000, day // 100 % 100, day % 100, time // 100, time % 100)
    except ValueError:
        date = datetime.min
    if date.year not in YEARS:
        raise InputError(f"{where} has the date {day} {time:04d}, expected a date from {YEARS[0]} to {YEARS[-1]}")
    return np.datetime64(date, "ns")


def _grid_name(said: Header) -> str:
    kind = str(said["gridType"])
    return f"{kind} {said['Ni']} x {said['Nj']}" if kind in _REGULAR else kind
