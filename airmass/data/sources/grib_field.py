"""One field of a GRIB file: what its header says, its grid, and its values."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from airmass.core.errors import InputError
from airmass.data.formats.reading import error_line
from airmass.data.sources.grib_messages import Position
from airmass.fields.names import Names, Quantity

PRESSURE = {"isobaricInhPa": 1.0, "isobaricInPa": 0.01}
# Types of level of fields that are not on levels; others (hybrid, sigma, tropopause, layers) are other quantities.
_SINGLE = ("surface", "meanSea", "heightAboveGround")
_REGULAR, _REDUCED = ("regular_ll", "regular_gg"), ("reduced_ll", "reduced_gg")
_MISSING = 9.999e35
# Not every build of ecCodes may be used by several threads at once.
_ECCODES = threading.RLock()


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
    grid: str
    grid_name: str
    centre: str
    edition: int
    expver: str
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def on_levels(self) -> bool:
        return self.level_type in PRESSURE

    @property
    def described(self) -> str:
        return f"{self.short_name} ({self.level_type})"


@dataclass(frozen=True)
class Shape:
    """Dimensions, sizes and coordinates of a grid, and the axes along which its values are stored."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    coords: dict[str, Any]
    turned: bool = False


def require_eccodes(path: Path) -> Any:
    """The module of ecCodes; raises InputError with the extra that brings it."""
    try:
        import eccodes
    except (ImportError, RuntimeError) as error:
        raise InputError(
            f"{path}: a GRIB file, which needs ecCodes; install it with pip install 'airmass[grib]' ({error})"
        ) from None
    return eccodes


@contextmanager
def handle(message: bytes) -> Iterator[Any]:
    """A handle of ecCodes, released at the end; one thread at a time."""
    import eccodes

    with _ECCODES:
        found = eccodes.codes_new_from_message(message)
        try:
            yield found
        finally:
            eccodes.codes_release(found)


def field_of(path: Path, position: Position, message: bytes, names: Names) -> Field:
    """The header of a field; raises InputError for one that cannot be read."""
    where = f"{path}: message at byte {position.offset}"
    try:
        with handle(message) as held:
            return _field(held, position, names, where)
    except InputError:
        raise
    except Exception as error:  # ecCodes does not document what it raises for damaged headers
        raise InputError(f"{where} cannot be read: {error_line(error)}") from error


def geometry(path: Path, of: Field, message: bytes) -> Shape:
    """The grid of a field. Raises InputError for one that is neither regular nor reduced in latitude and longitude."""
    try:
        with handle(message) as held:
            return _geometry(held, f"{path}: {of.short_name} at byte {of.position.offset}")
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path}: the grid of {of.short_name} cannot be read: {error_line(error)}") from error


def values_of(message: bytes, shape: Shape) -> Float[np.ndarray, "*shape"]:
    """The values of a field as float32, NaN where its bitmap says missing."""
    import eccodes

    with handle(message) as held:
        eccodes.codes_set(held, "missingValue", _MISSING)
        values = eccodes.codes_get_values(held)
        masked = bool(_get(held, "bitmapPresent", 0))
    if values.size != np.prod(shape.shape):
        raise ValueError(f"{values.size} values, expected {np.prod(shape.shape)}")
    if masked:
        values[values == _MISSING] = np.nan
    stored = values.reshape(shape.shape[::-1] if shape.turned else shape.shape)
    with np.errstate(over="ignore"):
        return (stored.T if shape.turned else stored).astype(np.float32)


def _get(held: Any, key: str, default: Any = None) -> Any:
    import eccodes

    try:
        return eccodes.codes_get(held, key)
    except eccodes.KeyValueNotFoundError:
        return default


def _field(held: Any, position: Position, names: Names, where: str) -> Field:
    import eccodes

    level_type = str(_get(held, "typeOfLevel", "unknown"))
    on_levels = level_type in PRESSURE
    short_name, param_id = str(_get(held, "shortName", "unknown")), int(_get(held, "paramId", 0))
    known = on_levels or level_type in _SINGLE
    quantity = names.find(short_name, on_levels, param_id=param_id) if known else None
    start, end = _steps(held) if quantity is not None else (0.0, 0.0)
    summed = str(_get(held, "stepType", "instant")) in ("accum", "avg")
    return Field(
        position, quantity, short_name, level_type,
        float(_get(held, "level", 0)) * PRESSURE.get(level_type, 1.0),
        _date(held, where), end, end - start if summed else 0.0, int(_get(held, "number", 0) or 0),
        _digest(held), _grid_name(held), str(_get(held, "centre", "unknown")), int(eccodes.codes_get(held, "edition")),
        str(_get(held, "expver", "")), _attributes(held) if quantity is not None else {},
    )  # fmt: skip


def _attributes(held: Any) -> dict[str, Any]:
    said = {"units": "units", "name": "long_name", "shortName": "GRIB_shortName", "stepType": "GRIB_stepType"}
    return {name: str(value) for key, name in said.items() if (value := _get(held, key)) is not None}


def _steps(held: Any) -> tuple[float, float]:
    """Start and end of the field's interval, hours after the reference time."""
    import eccodes

    eccodes.codes_set(held, "stepUnits", "s")
    return eccodes.codes_get_long(held, "startStep") / 3600, eccodes.codes_get_long(held, "endStep") / 3600


def _date(held: Any, where: str) -> np.datetime64:
    day, time = int(_get(held, "dataDate", 0)), int(_get(held, "dataTime", 0))
    text = f"{day:08d}"
    try:
        date = np.datetime64(f"{text[:4]}-{text[4:6]}-{text[6:]}T{time // 100:02d}:{time % 100:02d}", "ns")
    except ValueError:
        raise InputError(f"{where} has the date {day} {time:04d}, expected a date") from None
    return date


def _digest(held: Any) -> str:
    """A text that differs between grids."""
    keys = ("gridType", "Ni", "Nj", "numberOfPoints", "latitudeOfFirstGridPoint", "longitudeOfFirstGridPoint",
            "latitudeOfLastGridPoint", "longitudeOfLastGridPoint", "jScansPositively", "iScansNegatively",
            "jPointsAreConsecutive")  # fmt: skip
    return hashlib.sha256(repr([_get(held, key) for key in keys]).encode()).hexdigest()


def _grid_name(held: Any) -> str:
    kind = str(_get(held, "gridType", "unknown"))
    return f"{kind} {_get(held, 'Ni', '?')} x {_get(held, 'Nj', '?')}" if kind in _REGULAR else kind


def _geometry(held: Any, where: str) -> Shape:
    import eccodes

    kind = str(_get(held, "gridType", "unknown"))
    if kind == "sh":
        raise InputError(f"{where} is in spherical harmonics, expected a grid: retrieve it with a grid")
    if kind not in (*_REGULAR, *_REDUCED):
        raise InputError(f"{where} is on the grid {kind}, expected one of {', '.join((*_REGULAR, *_REDUCED))}")
    if _get(held, "alternativeRowScanning", 0):
        raise InputError(f"{where} has rows in alternating directions, expected one direction")
    latitude, longitude = (eccodes.codes_get_array(held, key) for key in ("latitudes", "longitudes"))
    if kind in _REDUCED:
        coords = {"latitude": ("values", latitude), "longitude": ("values", longitude)}
        return Shape(("values",), latitude.shape, coords)
    rows, columns = int(_get(held, "Nj")), int(_get(held, "Ni"))
    turned = bool(_get(held, "jPointsAreConsecutive", 0))
    stored = (columns, rows) if turned else (rows, columns)
    grids = [a.reshape(stored).T if turned else a.reshape(stored) for a in (latitude, longitude)]
    if np.ptp(grids[0], axis=1).max() > 1e-6 or np.ptp(grids[1], axis=0).max() > 1e-6:
        raise InputError(f"{where} is on a {kind} grid whose rows are not of one latitude")
    coords = {"latitude": ("latitude", grids[0][:, 0]), "longitude": ("longitude", grids[1][0])}
    return Shape(("latitude", "longitude"), (rows, columns), coords, turned)
