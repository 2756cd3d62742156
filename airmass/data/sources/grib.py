"""GRIB files of editions 1 and 2, through ecCodes, which is started only when such a file is met.

A file becomes one dataset: fields that airmass knows (`fields.names`) on (time, [number,] [level or hybrid,] latitude,
longitude), or on the points of a reduced grid. Model levels are numbers along `hybrid`, with `a_half` and `b_half`.
`time` is the valid time where each occurs once; overlapping forecasts have the two axes `time` (reference time) and
`step`, as cfgrib's. A field that the file lacks raises InputError when it is read: fields of one file need not have the
same levels and times.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from xarray.backends.common import BackendArray
from xarray.core import indexing

from airmass.core.errors import InputError
from airmass.core.place import Place
from airmass.data.formats.kind import Kind
from airmass.data.sources.grib_field import MODEL, Field, Shape, field_of, geometry, half_levels, values_of
from airmass.data.sources.grib_messages import Position, message_of, positions
from airmass.data.sources.grib_process import DecodingError, require_eccodes
from airmass.fields.names import Names, known_names

_HOUR = np.timedelta64(1, "h")
# Key of a variable's encoding: booleans over its leading axes, True where the file has the field.
HELD = "held"

Key = tuple[Any, ...]  # values of the leading axes


class GribSource:
    """GRIB through ecCodes, which the extra `grib` brings."""

    kind = Kind.GRIB

    def open(self, place: Place, dask: bool) -> xr.Dataset:
        dataset = open_grib(Path(place), known_names())
        return dataset.chunk(dict.fromkeys(_leading(dataset), 1)) if dask else dataset


SOURCE = GribSource()


def open_grib(path: Path, names: Names) -> xr.Dataset:
    """The fields of a GRIB file that `names` knows. Raises InputError for a damaged file, and for mixed grids."""
    require_eccodes(path)
    index = _Index.of(path, names)
    shape = index.geometry
    axes = _axes([f for fields in index.fields.values() for f in fields])
    coords = _coordinates(axes, shape)
    data: dict[str, Any] = {}
    for name, fields in index.fields.items():
        dims = [d for d in axes if d not in ("level", MODEL) or d == fields[0].axis]
        cells = _cells(path, name, fields, dims, "step" in axes)
        array = _GribArray(path, name, dims, [axes[d] for d in dims], cells, shape)
        data[name] = xr.Variable((*dims, *shape.dims), indexing.LazilyIndexedArray(array), fields[0].attributes)
        data[name].encoding = {HELD: array.held, "source": str(path)}
        if any(f.window for f in fields):
            coords[f"{name}_window"] = _windows(fields, dims, axes)
    if index.half_levels.size:
        coords |= {name: ("half", values) for name, values in zip(("a_half", "b_half"), index.half_levels, strict=True)}
    return xr.Dataset(data, coords, {"GRIB_centre": index.centre, "GRIB_edition": index.edition})


@dataclass(frozen=True)
class _Index:
    """Known fields of a file by the name of their variable, and the one grid that all are on."""

    fields: dict[str, list[Field]]
    geometry: Shape
    half_levels: np.ndarray
    centre: str
    edition: int

    @classmethod
    def of(cls, path: Path, names: Names) -> "_Index":
        found: dict[str, list[Field]] = {}
        others: dict[str, None] = {}
        first: tuple[Field, bytes] | None = None
        halves = np.empty((2, 0))
        for position, message in positions(path):
            field = field_of(path, position, message, names)
            if field.quantity is None:
                others[field.described] = None
                continue
            first = first or (field, message)
            if field.grid != first[0].grid:
                one, other = (f"{f.short_name} on {f.grid_name}" for f in (first[0], field))
                raise InputError(f"{path}: fields on two grids, {one} and {other}; expected one grid a file")
            if field.axis == MODEL and not halves.size:
                halves = half_levels(path, field, message)
            found.setdefault(field.short_name, []).append(field)
        if first is None:
            raise InputError(f"{path}: no field that airmass knows; it holds {_some(list(others)) or 'no message'}")
        return cls(_by_window(_by_place(found)), geometry(path, *first), halves, first[0].centre, first[0].edition)


def _by_place(found: dict[str, list[Field]]) -> dict[str, list[Field]]:
    """Fields by variable. Where a name has fields on several axes, as `z`, they are `z`, `z_surface` and `z_hybrid`."""
    split: dict[str, list[Field]] = {}
    for name, fields in found.items():
        several = len({f.axis for f in fields}) > 1
        for f in fields:
            split.setdefault(f"{name}_{f.axis or 'surface'}" if several and f.axis != "level" else name, []).append(f)
    return split


def _by_window(found: dict[str, list[Field]]) -> dict[str, list[Field]]:
    """Fields by variable. Sums to one time over several windows are variables of their own: `tp`, `tp_2`, ..."""
    split: dict[str, list[Field]] = {}
    for name, fields in found.items():
        windows: dict[Key, set[float]] = {}
        for f in fields:
            windows.setdefault((f.reference, f.step), set()).add(f.window)
        for f in fields:
            rank = sorted(windows[f.reference, f.step]).index(f.window)
            split.setdefault(name if rank == 0 else f"{name}_{rank + 1}", []).append(f)
    return split


def _axes(fields: Sequence[Field]) -> dict[str, np.ndarray]:
    """Values of the leading axes of a file's variables, by name."""
    runs = {(f.reference, f.step) for f in fields}
    times = {reference + _span(step) for reference, step in runs}
    axes: dict[str, list] = {"time": sorted(times)}
    if len(times) < len(runs):
        axes = {"time": sorted({reference for reference, _ in runs}), "step": sorted({step for _, step in runs})}
    numbers = sorted({f.number for f in fields})
    if len(numbers) > 1:
        axes["number"] = numbers
    for axis in ("level", MODEL):
        if levels := sorted({f.level for f in fields if f.axis == axis}):
            axes[axis] = levels
    return {name: np.array(values) for name, values in axes.items()}


def _span(hours: float) -> np.timedelta64:
    return np.timedelta64(round(hours * 3600), "s").astype("timedelta64[ns]")


def _coordinates(axes: dict[str, np.ndarray], shape: Shape) -> dict[str, Any]:
    coords: dict[str, Any] = dict(shape.coords)
    coords["time"] = ("time", axes["time"].astype("datetime64[ns]"), {"standard_name": "time"})
    if "step" in axes:
        steps = np.array([_span(step) for step in axes["step"]])
        coords["time"] = ("time", axes["time"].astype("datetime64[ns]"), {"standard_name": "forecast_reference_time"})
        coords["step"] = ("step", steps)
        coords["valid_time"] = (("time", "step"), coords["time"][1][:, None] + steps)
    if "number" in axes:
        coords["number"] = ("number", axes["number"])
    if MODEL in axes:
        coords[MODEL] = (MODEL, axes[MODEL].astype(int), {"long_name": "model level number"})
    if "level" in axes:
        levels = axes["level"]
        whole = levels.astype(int) if np.all(levels == np.round(levels)) else levels
        coords["level"] = ("level", whole, {"units": "hPa"})
    return coords


def _cells(path: Path, name: str, fields: Sequence[Field], dims: Sequence[str], two: bool) -> dict[Key, Field]:
    """Fields by their values along `dims`; raises InputError for one that is there twice."""
    cells: dict[Key, Field] = {}
    for field in fields:
        key = _key(field, dims, two)
        if (other := cells.setdefault(key, field)) is not field:
            told = f" (expver {other.expver} and {field.expver})" if other.expver != field.expver else ""
            at = f"bytes {other.position.offset} and {field.position.offset}"
            raise InputError(f"{path}: {name}{_place(dims, key)} is there twice, at {at}{told}; expected once")
    return cells


def _key(field: Field, dims: Sequence[str], two: bool) -> Key:
    time = field.reference if two else field.reference + _span(field.step)
    values = {"time": time, "step": field.step, "number": field.number, "level": field.level, MODEL: field.level}
    return tuple(values[d] for d in dims)


def _place(dims: Sequence[str], key: Key) -> str:
    """The place of a field in words, such as ` at 500 hPa at 2017-01-01T00:00`."""
    values = dict(zip(dims, key, strict=True))
    return (
        (f" at {values['level']:g} hPa" if "level" in values else "")
        + (f" on model level {values[MODEL]:g}" if MODEL in values else "")
        + (f" of member {values['number']}" if "number" in values else "")
        + f" at {np.datetime_as_string(values['time'], 'm')}"
        + (f" + {values['step']:g} h" if "step" in values else "")
    )


def _windows(fields: Sequence[Field], dims: Sequence[str], axes: dict[str, np.ndarray]) -> tuple[list[str], np.ndarray]:
    """Lengths of the intervals of sums or means, along the axes of time; NaT where the file has no field."""
    over = [d for d in dims if d in ("time", "step")]
    windows = np.full([len(axes[d]) for d in over], np.timedelta64("NaT", "ns"))
    for field in fields:
        key = _key(field, over, "step" in axes)
        at = tuple(int(np.flatnonzero(axes[d] == value)[0]) for d, value in zip(over, key, strict=True))
        windows[at] = _span(field.window)
    return over, windows


def _leading(dataset: xr.Dataset) -> Iterator[str]:
    yield from (str(d) for d in dataset.dims if d in ("time", "step", "number", "level", MODEL))


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more


class _GribArray(BackendArray):
    """Fields of one variable, float32, each decoded when it is read."""

    dtype = np.dtype(np.float32)

    def __init__(
        self, path: Path, name: str, dims: list[str], axes: list[np.ndarray], cells: dict[Key, Field], shape: Shape
    ):
        self._path, self._name, self._dims, self._axes, self._geometry = path, name, dims, axes, shape
        keys = [list(map(_plain, axis)) for axis in axes]
        self._places: dict[tuple[int, ...], Position] = {}
        for key, field in cells.items():
            at = tuple(axis.index(_plain(value)) for axis, value in zip(keys, key, strict=True))
            self._places[at] = field.position
        self.held = np.zeros([len(axis) for axis in axes], bool)
        for at in self._places:
            self.held[at] = True
        self.shape = (*self.held.shape, *shape.shape)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> np.ndarray:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key: tuple) -> np.ndarray:
        lead = [np.atleast_1d(np.arange(n)[k]) for n, k in zip(self.held.shape, key, strict=False)]
        inner = key[len(lead) :]
        out = np.empty([*map(len, lead), *self._geometry.shape], np.float32)
        for at in np.ndindex(*map(len, lead)):
            out[at] = self._field(tuple(int(axis[i]) for axis, i in zip(lead, at, strict=True)))
        single = tuple(0 if isinstance(k, int | np.integer) else slice(None) for k in key[: len(lead)])
        for axis, k in enumerate(inner):
            before: list[Any] = [slice(None)] * (len(lead) + axis)
            out = out[(*before, [k] if isinstance(k, int | np.integer) else k)]
        last = tuple(0 if isinstance(k, int | np.integer) else slice(None) for k in inner)
        return out[(*single, *last)]

    def _field(self, at: tuple[int, ...]) -> np.ndarray:
        if at not in self._places:
            key = tuple(axis[i] for axis, i in zip(self._axes, at, strict=True))
            raise InputError(f"{self._path}: {self._name} is not there{_place(self._dims, key)}")
        try:
            return values_of(message_of(self._path, self._places[at]), self._geometry)
        except DecodingError as error:
            where = f"{self._name} at byte {self._places[at].offset}"
            raise InputError(f"{self._path}: {where} cannot be decoded: {error}") from error


def _plain(value: Any) -> Any:
    return int(np.array(value, "datetime64[ns]").astype(int)) if isinstance(value, np.datetime64) else float(value)
