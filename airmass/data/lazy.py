"""A variable of a store, read in parts and into place: tensorstore for Zarr, xarray for NetCDF and packed integers."""

from pathlib import Path
from typing import Protocol

import numpy as np
import xarray as xr

from airmass.errors import InputError
from airmass.store import is_netcdf, read
from airmass.variables import VARIABLES


class Pending(Protocol):
    def result(self): ...


class LazyArray(Protocol):
    def into(self, place: np.ndarray, key: tuple) -> Pending:
        """Start to read the part `key` (a slice or indices for each leading dimension) into the array `place`.

        The result raises ValueError that says which file or time cannot be read.
        """


def lazy_array(field: xr.DataArray, path: str | Path) -> LazyArray:
    """A lazy array of a variable of the store at `path`."""
    packed = "scale_factor" in field.encoding or "add_offset" in field.encoding or field.dtype.kind != "f"
    return _Labelled(field, path) if packed or is_netcdf(path) else _Chunked(field, path)


class _Chunked:
    def __init__(self, field: xr.DataArray, path: str | Path):
        import tensorstore
        import zarr

        from airmass.kvstore import RemoteStore, kvstore_spec

        source = RemoteStore(str(path)) if "://" in str(path) else str(path)
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
        self._stored = stored if stored.dtype == tensorstore.float32 else tensorstore.cast(stored, tensorstore.float32)

    def into(self, place: np.ndarray, key: tuple) -> Pending:
        import tensorstore

        part = self._stored
        for axis, chosen in enumerate(key):  # one by one: index arrays given together would be paired
            part = part[(slice(None),) * axis + (chosen,)]
        return tensorstore.array(place, copy=False).write(part)


class _Labelled:
    def __init__(self, field: xr.DataArray, path: str | Path):
        self._field, self._path = field, path

    def into(self, place: np.ndarray, key: tuple) -> Pending:
        return _Later(self._field[key], self._path, place)


class _Later:
    """Read when asked for: xarray has no other way."""

    def __init__(self, field: xr.DataArray, path: str | Path, place: np.ndarray):
        self._field, self._path, self._place = field, path, place

    def result(self) -> None:
        try:
            self._place[...] = read(self._field, self._path)
        except InputError as error:
            raise ValueError(str(error.__cause__ or error)) from error
