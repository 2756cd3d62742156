"""Decoding of stored numbers, the same for every reader: missing values, scale, offset, dtype, order of dimensions.

xarray decodes the values that it reads. tensorstore, which is several times faster, returns the numbers as they are on
disk; `stored_array` pairs them with the same decoding and with the names of their dimensions. In Zarr format 2 an
array's fill value marks missing values, as in xarray and so in `data check`: where it is 0, zeros read as missing
(`store.fill_hint` says so, and `airmass data convert` restores them). In format 3, as in NetCDF, only the attributes
`_FillValue` and `missing_value` do.
"""

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from airmass.core.errors import InputError
from airmass.core.place import is_url
from airmass.data.formats.reading import error_line
from airmass.fields.variables import VARIABLES

_KNOWN = ("_FillValue", "missing_value", "scale_factor", "add_offset")
_Number = int | float | np.number


@dataclass(frozen=True)
class Encoding:
    """Decoding of numbers on disk to values of `dtype`, as in CF: NaN for `missing`, then scale and offset."""

    dtype: np.dtype
    missing: tuple[_Number, ...] = ()
    scale: _Number | None = None
    offset: _Number | None = None

    @classmethod
    def of(cls, field: xr.DataArray) -> "Encoding | None":
        """The encoding of a variable that xarray has opened; None for one with other attributes than these."""
        words = [field.encoding.get(name) for name in _KNOWN]
        if "_Unsigned" in field.encoding or any(np.asarray(word).dtype.kind not in "iufO" for word in words):
            return None
        fills = [fill for word in words[:2] if word is not None for fill in np.ravel(word)]
        scale, offset = words[2:]
        if any(not isinstance(number, _Number) for number in (*fills, scale, offset) if number is not None):
            return None
        return cls(field.dtype, tuple(fill for fill in fills if not np.isnan(fill)), scale, offset)

    @property
    def is_plain(self) -> bool:
        """True if values are the numbers on disk, without decoding."""
        return self.dtype.kind == "f" and not self.missing and self.scale is None and self.offset is None

    def decoded(self, numbers: np.ndarray) -> np.ndarray:
        """Values of numbers on disk, bit for bit those of xarray: with its order of operations and its casts."""
        values = numbers.astype(self.dtype)
        if self.missing:
            absent = np.logical_or.reduce([values == number for number in self.missing])
            values[absent] = np.nan
        if self.scale is not None:
            values *= self.scale
        if self.offset is not None:
            values += self.offset
        return values


@dataclass(frozen=True)
class StoredArray:
    """A variable of a Zarr store: a tensorstore of its numbers, labelled with its dimensions, and their encoding."""

    numbers: Any
    encoding: Encoding


def stored_array(
    field: xr.DataArray,
    path: str | Path,
    gaps: bool = False,
    names: Mapping[str, str] | None = None,
    context: Any = None,
) -> StoredArray | None:
    """A variable through tensorstore, None where only xarray can read it: a NetCDF file, a rare codec or encoding.

    `names` maps names of dimensions on disk to those of the field, where they differ. An absent chunk stands for a
    constant field. That is right for precipitation, which may be zero everywhere; for all other variables reading an
    absent chunk is an error, where tensorstore's default would be zeros. With `gaps`, absent chunks whose fill value is
    NaN are read as NaN. `context` is a tensorstore.Context, such as one with a cache of decoded chunks.
    """
    encoding = Encoding.of(field)
    if encoding is None or not is_zarr(field):
        return None
    try:
        numbers = _opened(str(field.name), path, gaps, names or {}, context)
    except Exception as error:  # whatever zarr and tensorstore raise for metadata
        raise InputError(f"{path}: {field.name} cannot be opened: {error_line(error)}") from error
    if numbers is None or dict(zip(numbers.domain.labels, numbers.shape, strict=True)) != dict(field.sizes):
        return None
    return StoredArray(numbers, encoding)


def is_zarr(field: xr.DataArray | xr.Variable) -> bool:
    """True for a variable that xarray has opened from a Zarr store."""
    return "chunks" in field.encoding


def chunk_problems(dataset: xr.Dataset) -> Iterator[tuple[str, str]]:
    """(variable, problem) for every variable of a Zarr store with chunks larger than this machine's memory."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for name, field in dataset.variables.items():
        if not is_zarr(field):
            continue
        shape = tuple(max(size) if isinstance(size, Iterable) else size for size in field.encoding["chunks"])
        size = math.prod(shape) * np.dtype(field.encoding.get("dtype", field.dtype)).itemsize
        if size > memory:
            found = f"has chunks of shape {shape}, {size / 2**30:.0f} GiB each"
            yield str(name), f"{found}; this machine has {memory / 2**30:.0f} GiB of memory"


def _opened(name: str, path: str | Path, gaps: bool, names: Mapping[str, str], context: Any):
    """The labelled tensorstore of an array on disk; None for one that tensorstore cannot read."""
    import tensorstore
    import zarr

    from airmass.data.formats.remote import RemoteStore, kvstore_spec

    source = RemoteStore(path) if is_url(path) else str(path)
    array = zarr.open_array(source, path=name, mode="r")
    about = array.metadata
    dims: Any = about.dimension_names if about.zarr_format == 3 else array.attrs.get("_ARRAY_DIMENSIONS")
    absent_is_nan = gaps and array.fill_value is not None and bool(np.isnan(array.fill_value))
    spec = {
        "driver": "zarr3" if about.zarr_format == 3 else "zarr",
        "kvstore": kvstore_spec(path, name),
        "fill_missing_data_reads": absent_is_nan or VARIABLES[name].accumulation_hours > 0,
    }
    try:
        numbers = tensorstore.open(spec, open=True, read=True, context=context).result()
    except ValueError:  # an unknown codec; xarray reports a broken file
        return None
    labels = [names.get(dim, dim) for dim in map(str, dims or ())]
    return numbers[tensorstore.d[:].label[labels]] if len(labels) == numbers.rank else None
