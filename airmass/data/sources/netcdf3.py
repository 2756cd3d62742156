"""NetCDF 3 files, the classic format, with packed integers in old files of CDS."""

import warnings
from functools import partial
from pathlib import Path
from typing import Any

import xarray as xr

from airmass.core.place import Place
from airmass.data.formats.kind import Kind
from airmass.data.formats.reading import reading
from airmass.data.sources.base import opened, require_distinct_dimensions, require_short_axis

# scipy closes a NetCDF 3 file only when its last array is deleted, and warns each time; this is harmless.
warnings.filterwarnings("ignore", "Cannot close a netcdf_file opened with mmap=True", RuntimeWarning)


class NetCDF3Source:
    """NetCDF 3 through scipy."""

    kind = Kind.NETCDF3

    def open(self, place: Place, dask: bool) -> xr.Dataset:
        import scipy.io

        file = str(Path(place).absolute())
        with reading(place), scipy.io.netcdf_file(file, mmap=True) as held:
            axes = {name: tuple(held.variables[name].shape) for name in held.dimensions if name in held.variables}
            dims = {str(name): variable.dimensions for name, variable in held.variables.items()}
        for name, shape in axes.items():
            require_short_axis(place, str(name), shape)
        for name, names in dims.items():
            require_distinct_dimensions(place, name, names)
        options: dict[str, Any] = {"chunks": {} if dask else None, "decode_timedelta": True}
        opener = partial(xr.open_dataset, file, engine="scipy", **options)
        return opened(opener, place, lambda: map(str, opener(decode_cf=False).variables))


SOURCE = NetCDF3Source()
