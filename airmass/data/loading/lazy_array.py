"""Variables of a store, read in parts and into place: tensorstore for Zarr, xarray for NetCDF and packed integers."""

from pathlib import Path
from typing import Protocol

import numpy as np
import xarray as xr

from airmass.core.errors import InputError
from airmass.core.place import is_url
from airmass.data.formats.store import is_netcdf, read
from airmass.fields.variables import VARIABLES

Index = slice | np.ndarray


class Pending(Protocol):
    def result(self): ...


class LazyArray(Protocol):
    """Fields [time, level, latitude, longitude]; those on the surface have one level."""

    size: int  # levels

    def into(self, place: np.ndarray, times: Index, latitudes: slice) -> Pending:
        """Start to read all levels at these times on these rows into the array `place`.

        The result raises ValueError that says which file or time cannot be read.
        """


def lazy_array(field: xr.DataArray, path: str | Path, levels: Index | None) -> LazyArray:
    """A lazy array of a variable of the store at `path`, of the levels at these places if it has any."""
    packed = "scale_factor" in field.encoding or "add_offset" in field.encoding or field.dtype.kind != "f"
    return (_Labelled if packed or is_netcdf(path) else _Chunked).of(field, path, levels)


def joined(arrays: list[LazyArray]) -> LazyArray:
    """The levels of several arrays one after another, in one request where all can be had so."""
    if all(isinstance(array, _Chunked) for array in arrays):
        import tensorstore

        return _Chunked(tensorstore.concat([array.stored for array in arrays], axis=1))  # type: ignore[attr-defined]
    return _Several(arrays)


class _Chunked:
    def __init__(self, stored):
        self.stored, self.size = stored, stored.shape[1]

    @classmethod
    def of(cls, field: xr.DataArray, path: str | Path, levels: Index | None) -> "_Chunked":
        import tensorstore
        import zarr

        from airmass.data.formats.remote import RemoteStore, kvstore_spec

        source = RemoteStore(path) if is_url(path) else str(path)
        version = zarr.open_group(source, mode="r").metadata.zarr_format
        # A chunk that is not there stands for a constant field: rain may be zero everywhere, nothing else is. Left to
        # itself, a lost file would be read as zeros.
        constant = VARIABLES[str(field.name)].accumulation_hours > 0
        spec = {
            "driver": "zarr3" if version == 3 else "zarr",
            "kvstore": kvstore_spec(path, str(field.name)),
            "fill_missing_data_reads": constant,
        }
        stored = tensorstore.open(spec, open=True, read=True).result()
        stored = stored if stored.dtype == tensorstore.float32 else tensorstore.cast(stored, tensorstore.float32)
        part = stored[:, tensorstore.newaxis] if levels is None else stored[:, levels]
        # Without names, and from 0 on, so that variables can be joined.
        return cls(part[tensorstore.d[:].label["", "", "", ""].translate_to[0]])

    def into(self, place: np.ndarray, times: Index, latitudes: slice) -> Pending:
        import tensorstore

        part = self.stored[times]  # one by one: index arrays given together would be paired
        if latitudes != slice(0, self.stored.shape[2]):
            part = part[:, :, latitudes]
        return tensorstore.array(place, copy=False).write(part)


class _Labelled:
    def __init__(self, field: xr.DataArray, path: str | Path, levels: Index | None, size: int):
        self._field, self._path, self._levels, self.size = field, path, levels, size

    @classmethod
    def of(cls, field: xr.DataArray, path: str | Path, levels: Index | None) -> "_Labelled":
        return cls(field, path, levels, 1 if levels is None else len(np.arange(field.shape[1])[levels]))

    def into(self, place: np.ndarray, times: Index, latitudes: slice) -> Pending:
        if self._levels is None:
            return _Later(self._field[times, latitudes], self._path, place[:, 0])
        return _Later(self._field[times, self._levels, latitudes], self._path, place)


class _Later:
    """Read when asked for: xarray has no other way."""

    def __init__(self, field: xr.DataArray, path: str | Path, place: np.ndarray):
        self._field, self._path, self._place = field, path, place

    def result(self) -> None:
        try:
            self._place[...] = read(self._field, self._path)
        except InputError as error:
            raise ValueError(str(error.__cause__ or error)) from error


class _Several:
    def __init__(self, arrays: list[LazyArray]):
        self._arrays, self.size = arrays, sum(array.size for array in arrays)

    def into(self, place: np.ndarray, times: Index, latitudes: slice) -> Pending:
        """All are asked for before any is waited for."""
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
