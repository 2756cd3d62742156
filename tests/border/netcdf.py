"""NetCDF files of fields that are cut off, or wrong in coordinates, values or structure."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr

from tests.border.case import Case, Make
from tests.border.healthy import Home, dataset


def netcdf(change: Callable[[xr.Dataset], xr.Dataset], engine: str = "h5netcdf", **options) -> Make:
    """A NetCDF file of the healthy fields with a change."""

    def make(home: Home, folder: Path) -> Path:
        options.setdefault("invalid_netcdf", True) if engine == "h5netcdf" else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of what is invalid, which is the point
            change(dataset()).to_netcdf(folder / "bad.nc", engine=engine, **options)
        return folder / "bad.nc"

    return make


def _cut(home: Home, folder: Path) -> Path:
    data = home.netcdf.read_bytes()
    (folder / "bad.nc").write_bytes(data[: len(data) - 4096])
    return folder / "bad.nc"


def _hdf5(write: Callable) -> Make:
    def make(home: Home, folder: Path) -> Path:
        import h5py

        with h5py.File(folder / "bad.nc", "w") as file:
            write(file)
        return folder / "bad.nc"

    return make


def _outside(file) -> None:
    """A variable whose values lie in another file, which a reader must not open for it."""
    file.create_dataset("2m_temperature", (4,), "f4", external=[("/etc/hostname", 0, 16)])


_READERS = ("check", "stats", "forecast from")
CASES = [
    Case("NetCDF 4 cut off", _cut, (*_READERS, "evaluate with")),
    Case("NetCDF 4 without latitude", netcdf(lambda d: d.drop_vars("latitude")), _READERS, ("latitude",)),
    Case("NetCDF 4 north to south", netcdf(lambda d: d.isel(latitude=slice(None, None, -1))), _READERS, ("latitude",)),
    Case(
        "NetCDF 4 of complex values",
        netcdf(lambda d: d.assign({"2m_temperature": d["2m_temperature"] + 0j})),
        _READERS,
        ("2m_temperature",),
    ),
    Case("NetCDF 4 without times", netcdf(lambda d: d.isel(time=slice(0))), ("check", "stats"), ("time",)),
    Case("HDF5 of nothing", _hdf5(lambda file: None), _READERS),
    Case("HDF5 of groups", _hdf5(lambda file: file.create_group("a/b")), _READERS),
    Case("HDF5 that names another file", _hdf5(_outside), _READERS),
    Case("HDF5 without dimensions", _hdf5(lambda f: f.create_dataset("2m_temperature", data=np.ones(3))), _READERS),
    Case(
        "NetCDF 3 north to south",
        netcdf(lambda d: d.isel(latitude=slice(None, None, -1)), "scipy"),
        _READERS,
        ("latitude",),
    ),
    Case(
        "NetCDF 3 in Celsius",
        netcdf(lambda d: d.assign({"2m_temperature": d["2m_temperature"].assign_attrs(units="C")}), "scipy"),
        _READERS,
        ("2m_temperature",),
    ),
    Case(
        "NetCDF 3 with one value of 9.999e20",
        netcdf(lambda d: _spoilt(d), "scipy"),
        ("check", "stats", "forecast from"),
        ("2m_temperature",),
    ),
]


def _spoilt(fields: xr.Dataset) -> xr.Dataset:
    fields["2m_temperature"].values[1, 2, 3] = 9.999e20
    return fields
