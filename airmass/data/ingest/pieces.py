"""What a file or store holds: each field under the name of its quantity, on axes of known meaning, read lazily."""

import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float

from airmass.core.errors import InputError
from airmass.core.place import Place, is_url
from airmass.data.formats.layout import HECTOPASCALS, fill_hint, minute
from airmass.data.formats.opening import open_unchecked
from airmass.data.formats.reading import error_line
from airmass.data.formats.valid_time import TIMES, with_valid_time
from airmass.data.ingest.regrid import SourceGrid
from airmass.data.ingest.units import conversion
from airmass.data.sources.grib import HELD
from airmass.fields.names import Names, Quantity
from airmass.fields.variables import COMPUTED, VARIABLES

_HORIZONTAL = {"lat": "latitude", "lon": "longitude"}
_LEVELS = ("level", "pressure_level", "isobaricInhPa", "isobaricInPa", "plev", "lev", "isobaric", "pressure")
_MEMBERS = ("number", "realization", "ensemble", "member", "sample")
_SUFFIXES = (".nc", ".nc4", ".cdf", ".grib", ".grib2", ".grb", ".grb2", ".grib1")
_HOUR = np.timedelta64(1, "h")
_FIRST = np.datetime64("1800-01-01", "ns")
# A zip archive whose files are this many times its size is refused.
_MOST_GROWTH = 100


@dataclass(frozen=True, eq=False)
class Piece:
    """One quantity of one source.

    `field` has the dims ([time,] [number,] [expver,] [level,] latitude, longitude) in any order, or `values` for the
    points of a reduced grid. `levels` are in hPa, `windows` the intervals of sums and means that end at `times`.
    `centre` is WMO's name of the centre that made the fields, where the file tells.
    """

    place: Place
    name: str
    quantity: Quantity
    field: xr.DataArray
    times: np.ndarray
    levels: tuple[float, ...]
    numbers: tuple[int, ...]
    windows: np.ndarray | None
    factor: float
    offset: float
    centre: str = ""

    @property
    def described(self) -> str:
        return f"{self.place}: {self.name}"

    @property
    def has_time(self) -> bool:
        return "time" in self.field.dims

    @cached_property
    def grid(self) -> SourceGrid:
        """The grid; raises InputError for one that is not of the whole globe."""
        try:
            latitude, longitude = (_numbers_of(self.field[d]) for d in ("latitude", "longitude"))
            if "values" in self.field.dims:
                return SourceGrid.of_points(latitude, longitude)
            return SourceGrid.regular(latitude, longitude)
        except (InputError, TypeError, ValueError, KeyError) as error:
            raise InputError(f"{self.place}: {self.name}: {error_line(error)}") from error

    @property
    def first(self) -> np.datetime64 | None:
        """The first time, None without times."""
        return self.times[0] if self.has_time else None

    def has_levels(self, time: np.datetime64 | None, levels: Sequence[float]) -> list[float]:
        """Those of `levels` that the source has of this quantity, at this time."""
        held = self.field.encoding.get(HELD)
        found = [level for level in levels if level in self.levels]
        dims = [str(d) for d in self.field.dims if d in ("time", "number", "level")]
        if held is None or held.ndim != len(dims) or "level" not in dims:
            return found
        at: dict[str, Any] = {"time": 0 if time is None else self._at(time)}
        there = held[tuple(at.get(d, slice(None)) for d in dims)]
        there = there.all(axis=0) if "number" in dims else there
        return [level for level in found if there[self.levels.index(level)]]

    def _at(self, time: np.datetime64) -> int:
        return int(np.searchsorted(self.times, np.array(time, "datetime64[ns]")))

    def read(self, time: np.datetime64 | None, levels: Sequence[float], number: int | None) -> Float[np.ndarray, "..."]:
        """Values (level, point) or (point), float32, in the units of the table.

        Raises InputError, with variable and time, for values that cannot be read.
        """
        field = self.field
        if "time" in field.dims:
            field = field.isel(time=0 if time is None else self._at(time))
        if "number" in field.dims:
            field = field.isel(number=self.numbers.index(number if number is not None else self.numbers[0]))
        if "level" in field.dims:
            field = field.isel(level=[self.levels.index(level) for level in levels])
        last = ["values"] if "values" in field.dims else ["latitude", "longitude"]
        field = field.transpose(*(d for d in ("expver", "level") if d in field.dims), *last)
        values = self._values(field, time)
        if "expver" in field.dims:
            values = _one_version(values, self.described, "" if time is None else f" at {minute(time)}")
        return values.reshape(*values.shape[: "level" in field.dims], -1)

    def _values(self, field: xr.DataArray, time: np.datetime64 | None) -> np.ndarray:
        when = "" if time is None else f" at {minute(time)}"
        try:
            values = np.asarray(field.values)
        except InputError:
            raise
        except Exception as error:  # readers do not document what they raise for damaged data
            raise InputError(f"{self.described}{when} cannot be read: {error_line(error)}") from error
        if values.dtype.kind not in "fiu":
            raise InputError(f"{self.described} is {values.dtype}, expected numbers")
        known = VARIABLES.get(self.quantity.name)
        if fill_hint(self.field) and not (known and known.missing_over_land):
            values = np.where(np.isnan(values), values.dtype.type(0), values)
        if self.factor != 1 or self.offset:
            values = values.astype(np.float64) * self.factor + self.offset
        return values.astype(np.float32) if values.dtype != np.float32 else values


def _numbers_of(axis: xr.DataArray) -> np.ndarray:
    if axis.dtype.kind not in "fiu":
        raise InputError(f"{axis.name} is {axis.dtype}, expected numbers")
    return np.asarray(axis.values, float)


def _one_version(values: np.ndarray, described: str, when: str) -> np.ndarray:
    """The one version of ERA5 (1) and ERA5T (5) that has values at a time."""
    held = [version for version in values if np.isfinite(version).any()]
    if len(held) > 1:
        raise InputError(
            f"{described}{when} has values in {len(held)} versions of expver, expected exactly one, as ERA5 "
            "and ERA5T have: choose one version"
        )
    return held[0] if held else values[0]


@dataclass(frozen=True)
class Reading:
    """Choices in how sources are read.

    `accumulation` is the interval of sums, hours, where files do not tell; `lead` selects forecasts of one lead time.
    """

    names: Names
    accumulation: int | None = None
    lead: int | None = None


def pieces_of(place: Place, reading: Reading) -> list[Piece]:
    """The known quantities of a source, zip archive of CDS, or folder of files. Raises InputError if there is none."""
    found: list[Piece] = []
    others: list[str] = []
    for file in files_of(place):
        dataset = open_unchecked(file, dask=False)
        for name in map(str, dataset.data_vars):
            piece = _piece(file, dataset, name, reading)
            found += [piece] if piece is not None else []
            others += [name] if piece is None else []
    if not found:
        held = ", ".join(others[:12]) or "nothing"
        raise InputError(f"{place}: no quantity that airmass knows; it holds {held}; `airmass data names` lists them")
    return found


_UNPACKED: list[tempfile.TemporaryDirectory] = []


def is_unpacked(file: Place) -> bool:
    """True for a file that was unpacked from an archive."""
    return any(Path(folder.name) in Path(file).parents for folder in _UNPACKED)


def files_of(place: Place) -> list[Place]:
    """The files of a source: itself, or those inside a zip archive or a folder that is no store."""
    if is_url(place):
        return [place]
    path = Path(place)
    if path.is_dir() and not any((path / name).exists() for name in ("zarr.json", ".zgroup", ".zmetadata", ".zarray")):
        files = sorted(file for file in path.rglob("*") if file.suffix.lower() in _SUFFIXES and file.is_file())
        return list(files) or [place]
    if path.is_file() and path.stat().st_size > 4 and path.open("rb").read(4) == b"PK\3\4":
        return list(_unzipped(path))
    return [place]


def _unzipped(path: Path) -> list[Path]:
    """The files of a zip archive, as new CDS delivers, unpacked for as long as the process runs."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if m.filename.lower().endswith(_SUFFIXES)]
            if not members:
                raise InputError(f"{path}: a zip archive without NetCDF or GRIB files, expected some")
            if sum(m.file_size for m in members) > _MOST_GROWTH * path.stat().st_size + 2**20:
                raise InputError(f"{path}: a zip archive that unpacks to more than {_MOST_GROWTH} times its size")
            folder = tempfile.TemporaryDirectory(prefix="airmass-")
            _UNPACKED.append(folder)
            files = []
            for number, member in enumerate(members):
                target = Path(folder.name) / f"{number}" / Path(member.filename).name
                target.parent.mkdir()
                with archive.open(member) as packed, target.open("wb") as out:
                    while block := packed.read(2**20):
                        out.write(block)
                files.append(target)
            return files
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise InputError(f"{path}: a zip archive that cannot be unpacked: {error_line(error)}") from error


def _piece(place: Place, dataset: xr.Dataset, name: str, reading: Reading) -> Piece | None:
    """A variable as a piece, None if its quantity is unknown or computed from time."""
    if name in COMPUTED or name.endswith("_bnds"):
        return None
    field = _with_our_axes(dataset, name)
    on_levels = "level" in field.dims or "level" in field.coords
    attributes = field.attrs
    given = attributes.get("GRIB_paramId")
    param_id = int(given) if isinstance(given, int | np.integer) else None
    short = attributes.get("GRIB_shortName")
    names = reading.names
    quantity = names.find(name, on_levels, attributes.get("standard_name"), param_id)
    if quantity is None and isinstance(short, str):
        quantity = names.find(short, on_levels)
    if quantity is None and (ranked := re.fullmatch(r"(.+)_\d", name)) and f"{name}_window" in dataset.coords:
        quantity = names.find(ranked[1], on_levels)
    if quantity is None:
        return None
    dataset, field = _timed(place, dataset, field, name, reading)
    return _built(place, dataset, field, name, quantity, reading)


def _with_our_axes(dataset: xr.Dataset, name: str) -> xr.DataArray:
    """A field with this module's names of axes; a level by its name, or a pressure by its units."""
    field = dataset[name]
    renamed: dict[str, str] = {}
    for axis in map(str, (*field.dims, *field.coords)):
        if axis in _HORIZONTAL:
            renamed[axis] = _HORIZONTAL[axis]
        elif axis in _LEVELS or (axis in field.dims and axis in field.coords and _is_pressure(field[axis])):
            renamed[axis] = "level"
        elif axis in _MEMBERS and axis != "number":
            renamed[axis] = "number"
        elif axis in ("cell", "ncells", "points"):
            renamed[axis] = "values"
    renamed = {old: new for old, new in renamed.items() if old != new}
    if len(set(renamed.values())) < len(renamed) or set(renamed.values()) & {*map(str, field.dims)}:
        # Several axes of one meaning: the one that is a dimension counts.
        renamed = {old: new for old, new in renamed.items() if old in field.dims}
        field = field.drop_vars([c for c in field.coords if str(c) in renamed.values() and c not in field.dims])
    return field.rename(renamed)


def _is_pressure(axis: xr.DataArray) -> bool:
    return axis.attrs.get("units") in (*HECTOPASCALS, "Pa") and axis.attrs.get("standard_name", "air_pressure") in (
        "air_pressure",
        "",
    )


def _timed(
    place: Place, dataset: xr.Dataset, field: xr.DataArray, name: str, reading: Reading
) -> tuple[xr.Dataset, xr.DataArray]:
    """The field with its valid times as `time`, and the dataset of its times."""
    windows = [c for c in dataset.coords if c == f"{name}_window"]
    held = field.to_dataset(name=name).assign_coords({c: dataset[c] for c in windows}).assign_attrs(dataset.attrs)
    held = held.assign_coords({t: dataset[t] for t in TIMES if t in dataset.variables and t not in held.variables})
    if "batch" in held.dims and held.sizes["batch"] == 1:
        held = held.isel(batch=0, drop=True)
    if reading.lead is not None:
        held = _of_one_lead(place, held, reading.lead)
    axes = [t for t in TIMES if held.sizes.get(t, 1) > 1]
    if len(axes) > 1:
        raise InputError(
            f"{place}: {name} has the two axes of time {' and '.join(axes)}; choose forecasts of one lead time with "
            "--lead"
        )
    encoding = field.encoding
    held = with_valid_time(held, place)[0]
    field = held[name]
    field.encoding = encoding
    return held, field


def _of_one_lead(place: Place, held: xr.Dataset, lead: int) -> xr.Dataset:
    for axis in ("step", "prediction_timedelta", "lead_time", "forecast_period", "leadtime"):
        if axis in held.dims:
            steps = held[axis].values
            wanted = np.timedelta64(lead, "h").astype("timedelta64[ns]")
            if steps.dtype.kind != "m" or wanted not in steps:
                raise InputError(f"{place}: {axis} has no {lead} h")
            return held.isel({axis: int(np.flatnonzero(steps == wanted)[0])})
    return held


def _built(
    place: Place, dataset: xr.Dataset, field: xr.DataArray, name: str, quantity: Quantity, reading: Reading
) -> Piece:
    horizontal = ("values",) if "values" in field.dims else ("latitude", "longitude")
    axes = ("time", "number", "expver", "level", *horizontal)
    encoding, coords = field.encoding, field.coords
    spare = [d for d in field.dims if d not in axes and field.sizes[d] == 1]
    field = field.squeeze(spare, drop=True) if spare else field
    if other := [str(d) for d in field.dims if d not in axes]:
        raise InputError(
            f"{place}: {name} has the axis {other[0]} of length {field.sizes[other[0]]}, expected none such"
        )
    if lacking := [d for d in horizontal if d not in field.dims] or [
        d for d in ("latitude", "longitude") if d not in coords
    ]:
        raise InputError(f"{place}: {name} has no {lacking[0]}, expected fields of latitude and longitude")
    if "level" in coords and "level" not in field.dims and quantity.on_levels:
        field = field.expand_dims("level")
    if "time" in coords and "time" not in field.dims and field.time.dtype.kind == "M":
        field = field.expand_dims("time")
    if "expver" in field.dims and field.sizes["expver"] == 1:
        field = field.isel(expver=0, drop=True)
    if quantity.on_levels and "level" not in field.dims:
        raise InputError(f"{place}: {name} has a level axis without values, expected pressures")
    field.encoding = encoding
    try:
        factor, offset = conversion(field.attrs.get("units"), quantity.units)
    except InputError as error:
        raise InputError(f"{place}: {name} {error}") from None
    times = _times(place, field, name)
    return Piece(
        place, name, quantity, field, times, _pressures(place, field, name), _numbers(field),
        _windows(place, dataset, field, name, quantity, reading, len(times)), factor, offset,
        str(dataset.attrs.get("GRIB_centre", "")),
    )  # fmt: skip


def _times(place: Place, field: xr.DataArray, name: str) -> np.ndarray:
    """Valid times, rising; raises InputError for others."""
    if "time" not in field.dims:
        return np.array([], "datetime64[ns]")
    times = field.time.values if "time" in field.coords else np.array([])
    if times.dtype.kind != "M":
        raise InputError(f"{place}: {name} {_no_dates(field, times)}")
    times = times.astype("datetime64[ns]")
    if np.isnat(times).any():
        raise InputError(f"{place}: {name} has {np.isnat(times).sum()} missing times of {times.size}")
    if times.size and times.min() < _FIRST:
        raise InputError(f"{place}: {name} has the time {minute(times.min())}, expected from {minute(_FIRST)} on")
    steps = np.diff(times)
    if (twice := steps == np.timedelta64(0)).any():
        raise InputError(f"{place}: {name} has the time {minute(times[1:][twice][0])} twice, expected once")
    if (steps < np.timedelta64(0)).any():
        after = minute(times[:-1][steps < np.timedelta64(0)][0])
        raise InputError(f"{place}: {name} has times that run backwards after {after}")
    return times


def _no_dates(field: xr.DataArray, times: np.ndarray) -> str:
    """The words for times that are no dates of the standard calendar within those of nanoseconds."""
    if times.dtype != object:
        return "has times without dates, expected dates of the standard calendar"
    calendar = field.time.encoding.get("calendar", "another")
    if calendar in ("standard", "gregorian", "proleptic_gregorian") and times.size:
        return f"has times such as {times.flat[-1]}, expected dates from {minute(_FIRST)} to 2262"
    return f"has times in the calendar {calendar!r}, expected dates of the standard calendar"


def _pressures(place: Place, field: xr.DataArray, name: str) -> tuple[float, ...]:
    if "level" not in field.dims:
        return ()
    if "level" not in field.coords:
        raise InputError(f"{place}: {name} has a level axis without values, expected pressures")
    axis = field.level
    levels = np.asarray(axis.values)
    if levels.dtype.kind not in "fiu" or not np.isfinite(levels.astype(float)).all():
        raise InputError(f"{place}: {name} has levels {levels.dtype}, expected pressures in hPa")
    levels = levels.astype(np.float64)
    units = axis.attrs.get("units")
    if units == "Pa" or (units is None and levels.max() > 2000):
        levels = levels / 100
    elif units is not None and units not in HECTOPASCALS:
        raise InputError(f"{place}: {name} has levels in {units!r}, expected hPa or Pa")
    if levels.max() > 1100 or levels.min() <= 0:
        raise InputError(f"{place}: {name} has levels from {levels.min():g} to {levels.max():g} hPa: are they in Pa?")
    if len(np.unique(levels)) < len(levels):
        raise InputError(f"{place}: {name} has a level twice, expected each once: {levels.tolist()}")
    return tuple(np.round(levels, 6).tolist())


def _numbers(field: xr.DataArray) -> tuple[int, ...]:
    if "number" not in field.dims:
        return ()
    values = field.number.values if "number" in field.coords else np.arange(field.sizes["number"])
    return tuple(int(v) for v in values)


def _windows(
    place: Place, dataset: xr.Dataset, field: xr.DataArray, name: str, quantity: Quantity, reading: Reading, n: int
) -> np.ndarray | None:
    """Intervals of sums and means by time; None for fields of one instant."""
    if not quantity.name.startswith("total_precipitation"):
        return None
    if f"{name}_window" in dataset.coords:
        return np.atleast_1d(dataset[f"{name}_window"].values).astype("timedelta64[ns]")
    hours = _hours_told(field, quantity)
    hours = reading.accumulation if hours is None else hours
    return None if hours is None else np.full(max(n, 1), np.timedelta64(hours, "h")).astype("timedelta64[ns]")


def _hours_told(field: xr.DataArray, quantity: Quantity) -> int | None:
    if quantity.name in VARIABLES:
        return VARIABLES[quantity.name].accumulation_hours
    methods = str(field.attrs.get("cell_methods", ""))
    if told := re.search(r"(?:sum|mean)\b.*?interval: (\d+) ?h", methods):
        return int(told[1])
    if told := re.fullmatch(r"(\d+)-(\d+)", str(field.attrs.get("GRIB_stepRange", ""))):
        return int(told[2]) - int(told[1])
    return None


Opened = Mapping[str, list[Piece]]
Told = Callable[[str], None]


def by_quantity(pieces: Iterator[Piece] | Sequence[Piece]) -> dict[str, list[Piece]]:
    """Pieces under the names of their quantities."""
    found: dict[str, list[Piece]] = {}
    for piece in pieces:
        found.setdefault(piece.quantity.name, []).append(piece)
    return found


def placed(value: Any) -> str:
    """A source in the words of an attribute: its last name, or its address."""
    return str(value) if is_url(value) else Path(value).name
