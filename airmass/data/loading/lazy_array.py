"""Variables of a store, read in parts into given arrays, with dimensions by name and levels by value.

Read through tensorstore where possible, otherwise through xarray, with the same decoding
(`airmass.data.formats.decoding`).
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import xarray as xr

from airmass.core.errors import InputError
from airmass.data.formats.decoding import Encoding, StoredArray, stored_array
from airmass.data.formats.layout import with_dims
from airmass.data.formats.reading import error_line
from airmass.fields.variables import VARIABLES

AROUND_CYCLONES = frozenset(name for name, variable in VARIABLES.items() if variable.around_cyclones)
Index = slice | np.ndarray


class Pending(Protocol):
    def result(self): ...


class LazyArray(Protocol):
    """Fields [time, level, latitude, longitude] that are read on demand; single-level fields have one level."""

    size: int  # levels

    def into(self, place: np.ndarray, times: Index, latitudes: slice) -> Pending:
        """Start reading all levels at these times and rows into the array `place`.

        The `result` of the returned object waits; it raises InputError, with the reason and the file if known, if the
        values cannot be read.
        """


def lazy_array(field: xr.DataArray, path: str | Path, levels: Sequence[int] = ()) -> LazyArray:
    """A lazy array of a variable of the store at `path`, of these levels in hPa if it has any.

    Its dimensions may be in any order. Raises InputError for dimensions other than time, level, latitude and
    longitude, for an absent level, and for values that are not real numbers.
    """
    expected = ("time", *(("level",) if levels else ()), "latitude", "longitude")
    ordered = with_dims(field, expected, path)
    places = _places(field, path, levels) if levels else None
    # Where no cyclone is, a chunk has nothing but NaN, and many writers leave it out.
    stored = stored_array(field, path, gaps=field.name in AROUND_CYCLONES)
    if stored is None:
        return _Labelled(ordered, places, len(levels) or 1)
    if stored.encoding.is_plain:
        return _Plain.of(stored, places)
    return _Encoded(_ordered(stored, places), stored.encoding)


def concatenated(arrays: Sequence[LazyArray]) -> LazyArray:
    """One array with the levels of several arrays, with one request for adjacent plain ones."""
    parts: list[LazyArray] = []
    for kind, group in groupby(arrays, type):
        found = list(group)
        parts += [_Plain.concatenated(found)] if kind is _Plain else found
    return parts[0] if len(parts) == 1 else _Several(parts)


def as_slice(indices: np.ndarray) -> Index:
    """Evenly spaced indices as a slice, which tensorstore reads faster; other indices unchanged."""
    steps = np.diff(indices)
    if len(steps) and (np.any(steps != steps[0]) or steps[0] < 1):
        return indices
    step = int(steps[0]) if len(steps) else 1
    return slice(int(indices[0]), int(indices[-1]) + 1, step)


def _places(field: xr.DataArray, path: str | Path, levels: Sequence[int]) -> Index:
    """The indices of levels, by their values."""
    held = np.atleast_1d(field["level"].values)
    found = [np.flatnonzero(held == level) for level in levels]
    for level, places in zip(levels, found, strict=True):
        if len(places) != 1:
            raise InputError(f"{path}: {field.name} has level {level} hPa {len(places)} times, expected once")
    return as_slice(np.concatenate(found))


def _ordered(stored: StoredArray, places: Index | None) -> Any:
    """Numbers as [time, level, latitude, longitude], without labels and with origin 0, ready to be concatenated."""
    import tensorstore

    numbers, rest = stored.numbers, ["latitude", "longitude"]
    if places is None:
        numbers = numbers.transpose(["time", *rest])[:, tensorstore.newaxis]
    else:
        numbers = numbers.transpose(["time", "level", *rest])[:, places]
    return numbers[tensorstore.d[:].label["", "", "", ""].translate_to[0]]


def _part(numbers: Any, times: Index, latitudes: slice) -> Any:
    part = numbers[times]  # one index at a time: several index arrays would be paired
    return part if latitudes == slice(0, numbers.shape[2]) else part[:, :, latitudes]


class _Plain:
    """An array whose values are the numbers on disk: tensorstore copies them to their place."""

    def __init__(self, numbers: Any):
        self._numbers, self.size = numbers, numbers.shape[1]

    @classmethod
    def of(cls, stored: StoredArray, places: Index | None) -> "_Plain":
        import tensorstore

        numbers = _ordered(stored, places)
        return cls(numbers if numbers.dtype == tensorstore.float32 else tensorstore.cast(numbers, tensorstore.float32))

    @classmethod
    def concatenated(cls, arrays: "Iterable[Any]") -> "_Plain":
        import tensorstore

        return cls(tensorstore.concat([array._numbers for array in arrays], axis=1))  # type: ignore[attr-defined]

    def into(self, place: np.ndarray, times: Index, latitudes: slice) -> Pending:
        import tensorstore

        return _Reading(tensorstore.array(place, copy=False).write(_part(self._numbers, times, latitudes)))


class _Encoded:
    """An array whose numbers are decoded after reading."""

    def __init__(self, numbers: Any, encoding: Encoding):
        self._numbers, self._encoding, self.size = numbers, encoding, numbers.shape[1]

    def into(self, place: np.ndarray, times: Index, latitudes: slice) -> Pending:
        return _Reading(_part(self._numbers, times, latitudes).read(), place, self._encoding)


class _Reading:
    """A pending read of tensorstore; with an encoding, `result` decodes the numbers into place."""

    def __init__(self, pending: Pending, place: np.ndarray | None = None, encoding: Encoding | None = None):
        self._pending, self._place, self._encoding = pending, place, encoding

    def result(self) -> None:
        try:
            numbers = self._pending.result()
        except Exception as error:  # of any type: from a file, a server, a codec
            raise InputError(error_line(error)) from error
        if self._place is not None and self._encoding is not None:
            self._place[...] = self._encoding.decoded(numbers)


class _Labelled:
    """An array that xarray reads, with dimensions in order."""

    def __init__(self, field: xr.DataArray, places: Index | None, size: int):
        self._field, self._places, self.size = field, places, size

    def into(self, place: np.ndarray, times: Index, latitudes: slice) -> Pending:
        field = self._field.isel(time=times, latitude=latitudes)
        if self._places is None:
            return _Later(field, place[:, 0])
        return _Later(field.isel(level=self._places), place)


class _Later:
    """A field that is read by `result`: xarray has no asynchronous reads."""

    def __init__(self, field: xr.DataArray, place: np.ndarray):
        self._field, self._place = field, place

    def result(self) -> None:
        try:
            values = self._field.values
        except Exception as error:  # of any type: from zarr, HDF5, a codec
            raise InputError(error_line(error)) from error
        self._place[...] = values


class _Several:
    def __init__(self, arrays: Sequence[LazyArray]):
        self._arrays, self.size = arrays, sum(array.size for array in arrays)

    def into(self, place: np.ndarray, times: Index, latitudes: slice) -> Pending:
        """Start reading all arrays before waiting for any."""
        stops = np.cumsum([array.size for array in self._arrays])
        return _All(
            [
                array.into(place[:, stop - array.size : stop], times, latitudes)
                for array, stop in zip(self._arrays, stops, strict=True)
            ]
        )


class _All(list):
    def result(self) -> None:
        for pending in self:
            pending.result()
