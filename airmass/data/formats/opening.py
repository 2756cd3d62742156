"""Opening stores and files of fields lazily, whatever their format."""

import xarray as xr

from airmass.core.place import Place
from airmass.data.formats.kind import kind_of
from airmass.data.sources import source_of


def open_unchecked(path: Place, dask: bool = True) -> xr.Dataset:
    """Open a store or file lazily, in any layout. Raises InputError if it cannot be read."""
    return source_of(kind_of(path)).open(path, dask)
