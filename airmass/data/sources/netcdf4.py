"""NetCDF 4 files, which are HDF5."""

from functools import partial
from pathlib import Path
from typing import Any

import xarray as xr

from airmass.core.place import Place
from airmass.data.formats.kind import Kind
from airmass.data.formats.reading import reading
from airmass.data.sources.base import opened, require_distinct_dimensions, require_short_axis

# Names for the dimensions of HDF5 files that name none; without them, opening warns.
_PHONY = "sort"


class NetCDF4Source:
    """NetCDF 4 through h5netcdf."""

    kind = Kind.NETCDF4

    def open(self, place: Place, dask: bool) -> xr.Dataset:
        import h5netcdf

        file = str(Path(place).absolute())
        with reading(place), h5netcdf.File(file, phony_dims=_PHONY) as held:
            axes = {name: tuple(held.variables[name].shape) for name in held.dimensions if name in held.variables}
            dims = {str(name): variable.dimensions for name, variable in held.variables.items()}
        for name, shape in axes.items():
            require_short_axis(place, str(name), shape)
        for name, names in dims.items():
            require_distinct_dimensions(place, name, names)
        options: dict[str, Any] = {"chunks": {} if dask else None, "phony_dims": _PHONY, "decode_timedelta": True}
        opener = partial(xr.open_dataset, file, engine="h5netcdf", **options)
        return opened(opener, place, lambda: map(str, opener(decode_cf=False).variables))


SOURCE = NetCDF4Source()
