"""What a file or store holds: each field under the name of its quantity, on axes of known meaning, read lazily."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float

from airmass.core.errors import InputError
from airmass.core.place import Place, is_url
from airmass.data.formats.layout import fill_hint, minute
from airmass.data.formats.opening import open_unchecked
from airmass.data.formats.reading import error_line
from airmass.data.formats.valid_time import TIMES
from airmass.data.ingest.axes import members_of, pressures_of, timed, times_of, windows_of, with_our_axes
from airmass.data.ingest.files import files_of
from airmass.data.ingest.model_levels import HalfLevels, ModelLevels, model_axis, model_levels
from airmass.data.ingest.regrid import SourceGrid
from airmass.data.ingest.units import conversion
from airmass.data.sources.grib import HELD
from airmass.fields.names import Names, Quantity
from airmass.fields.variables import COMPUTED, VARIABLES


@dataclass(frozen=True, eq=False)
class Piece:
    """One quantity of one source.

    `field` has the dims ([time,] [number,] [expver,] [level,] latitude, longitude) in any order, or `values` for the
    points of a reduced grid. `levels` are in hPa; on `model` levels there are none, and any can be had. `windows` are
    the intervals of sums and means that end at `times`.
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
    model: ModelLevels | None = None

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

    @property
    def own_levels(self) -> set[float]:
        """The levels that the source has of this quantity at any time, of any member."""
        held = self.field.encoding.get(HELD)
        dims = [str(d) for d in self.field.dims if d in ("time", "number", "level")]
        if held is None or held.ndim != len(dims) or "level" not in dims:
            return set(self.levels)
        there = held.any(axis=tuple(i for i, d in enumerate(dims) if d != "level"))
        return {level for level, found in zip(self.levels, there, strict=True) if found}

    def has_levels(self, time: np.datetime64 | None, levels: Sequence[float]) -> list[float]:
        """The `levels` that the source has of this quantity, at this time."""
        held = self.field.encoding.get(HELD)
        found = list(levels) if self.model is not None else [level for level in levels if level in self.levels]
        dims = [str(d) for d in self.field.dims if d in ("time", "number", "level")]
        if held is None or held.ndim != len(dims) or "level" not in dims:
            return found
        at: dict[str, Any] = {"time": 0 if time is None else self._at(time)}
        there = held[tuple(at.get(d, slice(None)) for d in dims)]
        there = there.all(axis=0) if "number" in dims else there
        if self.model is not None:
            return found if there.all() else []
        return [level for level in found if there[self.levels.index(level)]]

    def _at(self, time: np.datetime64) -> int:
        return int(np.searchsorted(self.times, np.array(time, "datetime64[ns]")))

    def read(self, time: np.datetime64 | None, levels: Sequence[float], number: int | None) -> Float[np.ndarray, "..."]:
        """Values (level, point) or (point), float32, in the units of the table; on model levels, of all of them.

        Raises InputError, with variable and time, for values that cannot be read.
        """
        field = self.field
        if "time" in field.dims:
            field = field.isel(time=0 if time is None else self._at(time))
        if "number" in field.dims:
            field = field.isel(number=self.numbers.index(number if number is not None else self.numbers[0]))
        if "level" in field.dims and self.model is None:
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
    `half_levels` has the coefficients of model levels where files do not tell.
    What is left out is put into `notes`.
    """

    names: Names
    accumulation: int | None = None
    lead: int | None = None
    half_levels: HalfLevels | None = None
    notes: list[str] = field(default_factory=list)


def pieces_of(place: Place, reading: Reading) -> list[Piece]:
    """The known quantities of a source, zip archive of CDS, or folder of files. Raises InputError if there is none."""
    found: list[Piece] = []
    others: list[str] = []
    for file in files_of(place):
        dataset = open_unchecked(file, dask=False)
        for name in map(str, dataset.data_vars):
            piece = _piece(file, dataset, name, reading)
            found += [piece] if piece is not None else []
            others += [name] if piece is None and dataset[name].ndim > 1 else []
    if not found:
        held = ", ".join(others[:12]) or "nothing"
        raise InputError(f"{place}: no quantity that airmass knows; it holds {held}; `airmass data names` lists them")
    if unknown := [name for name in dict.fromkeys(others) if name not in COMPUTED]:
        reading.notes.append(f"{place}: left out, as not known: {', '.join(unknown)}")
    return found


def _piece(place: Place, dataset: xr.Dataset, name: str, reading: Reading) -> Piece | None:
    """A variable as a piece, None if its quantity is unknown or computed from time."""
    if name in COMPUTED or name.endswith("_bnds"):
        return None
    dataset, model = _on_our_levels(dataset, name, reading, place)
    field = with_our_axes(dataset, name)
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
    if wrong := [d for d in field.dims if not isinstance(d, str)]:
        raise InputError(f"{place}: {name} has the dimension {wrong[0]!r}, expected a name")
    dataset, field = timed(place, dataset, field, name, reading.lead)
    return _built(place, dataset, field, name, quantity, reading, model)


def _on_our_levels(
    dataset: xr.Dataset, name: str, reading: Reading, place: Place
) -> tuple[xr.Dataset, ModelLevels | None]:
    """The dataset with the model levels of a variable along `level`, and their coefficients.

    ECMWF files the logarithm of surface pressure and surface geopotential under the first model level alone.
    """
    axis = model_axis(dataset[name])
    if axis is not None and dataset.sizes[axis] == 1 and reading.names.find(name, False):
        return dataset.assign({name: dataset[name].isel({axis: 0}, drop=True)}), None
    if (found := model_levels(dataset, name, reading.half_levels, f"{place}: {name}")) is None:
        return dataset, None
    axis, model = found
    kept = {name, *map(str, dataset[name].dims), *TIMES}
    alone = dataset[[name]].drop_vars([c for c in dataset[name].coords if axis in dataset[c].dims])
    alone = alone.drop_vars("level", errors="ignore").rename({axis: "level"})
    times = {c: dataset[c] for c in map(str, dataset.variables) if c in kept and c not in alone.variables and c != axis}
    return alone.assign_coords({c: v for c, v in times.items() if axis not in v.dims}), model


def _built(
    place: Place,
    dataset: xr.Dataset,
    field: xr.DataArray,
    name: str,
    quantity: Quantity,
    reading: Reading,
    model: ModelLevels | None,
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
    times, levels = times_of(place, field, name), pressures_of(place, field, name) if model is None else ()
    return Piece(
        place, name, quantity, field, times, levels, members_of(field),
        windows_of(place, dataset, field, name, quantity, reading.accumulation, len(times)), factor, offset,
        str(dataset.attrs.get("GRIB_centre", "")), model,
    )  # fmt: skip


def by_quantity(pieces: Iterator[Piece] | Sequence[Piece]) -> dict[str, list[Piece]]:
    """Pieces under the names of their quantities."""
    found: dict[str, list[Piece]] = {}
    for piece in pieces:
        found.setdefault(piece.quantity.name, []).append(piece)
    return found


def placed(value: Any) -> str:
    """A source in the words of an attribute: its last name, or its address."""
    return str(value) if is_url(value) else Path(value).name
