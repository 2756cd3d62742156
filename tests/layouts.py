"""One archive in the layouts in which people have it: CDS old and new, ARCO-ERA5, WeatherBench2, IFS, NCAR, CMIP."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr

from tests.grib import messages, write

SHORT = {
    "geopotential": "z", "temperature": "t", "u_component_of_wind": "u", "v_component_of_wind": "v",
    "vertical_velocity": "w", "specific_humidity": "q", "2m_temperature": "2t", "10m_u_component_of_wind": "10u",
    "10m_v_component_of_wind": "10v", "mean_sea_level_pressure": "msl", "sea_surface_temperature": "sst",
    "100m_u_component_of_wind": "100u", "100m_v_component_of_wind": "100v",
    "geopotential_at_surface": "z", "land_sea_mask": "lsm", "total_precipitation": "tp",
}  # fmt: skip
_CF = {"2t": "t2m", "10u": "u10", "10v": "v10", "100u": "u100", "100v": "v100"}
_UNITS = {"m2 s-2": "m**2 s**-2", "m s-1": "m s**-1", "kg kg-1": "kg kg**-1", "Pa s-1": "Pa s**-1", "1": "(0 - 1)"}


def _split(dataset: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
    """Fields on levels, and the others, as CDS delivers them."""
    on = [n for n, f in dataset.data_vars.items() if "level" in f.dims]
    return dataset[on], dataset.drop_vars(on).drop_vars("level", errors="ignore")


def _turned(dataset: xr.Dataset) -> xr.Dataset:
    turned = dataset.isel(latitude=slice(None, None, -1))
    return turned.isel(level=slice(None, None, -1)) if "level" in turned.dims else turned


def _named(dataset: xr.Dataset) -> xr.Dataset:
    short = {name: _CF.get(SHORT[name], SHORT[name]) for name in map(str, dataset.data_vars)}
    named = dataset.rename(short)
    for field in named.data_vars.values():
        units = field.attrs.get("units", "1")
        field.attrs = {"units": _UNITS.get(units, units)}
        field.encoding = {}
    return named


def _with_static_times(dataset: xr.Dataset) -> xr.Dataset:
    """Static fields at every time, as CDS gives them."""
    still = {n: f.expand_dims(time=dataset.time) for n, f in dataset.data_vars.items() if "time" not in f.dims}
    return dataset.assign(still) if "time" in dataset.coords else dataset


def cds_new(dataset: xr.Dataset, folder: Path) -> list[Path]:
    files = []
    for number, part in enumerate(_split(dataset)):
        if not part.data_vars:
            continue
        made = _named(_with_static_times(_turned(part))).rename(time="valid_time")
        made = made.rename(level="pressure_level") if "level" in made.dims else made
        made = made.assign_coords(number=0, expver=("valid_time", np.full(made.sizes["valid_time"], "0001")))
        files.append(folder / f"data_stream-{number}.nc")
        made.to_netcdf(files[-1], engine="h5netcdf")
    return files


def cds_old(dataset: xr.Dataset, folder: Path) -> list[Path]:
    """NetCDF 3 with 16-bit integers."""
    files = []
    for number, part in enumerate(_split(dataset)):
        if not part.data_vars:
            continue
        made = _named(_with_static_times(_turned(part)))
        encoding: dict = {"time": {"units": "hours since 1900-01-01 00:00:0.0", "dtype": "int32"}}
        for name, field in made.data_vars.items():
            low, high = float(field.min()), float(field.max())
            scale = max((high - low) / 65532, 1e-12)
            encoding[name] = {
                "dtype": "int16", "scale_factor": scale, "add_offset": (low + high) / 2, "_FillValue": np.int16(-32767),
            }  # fmt: skip
        files.append(folder / f"old-{number}.nc")
        made.to_netcdf(files[-1], engine="scipy", format="NETCDF3_64BIT", encoding=encoding)
    return files


def arco(dataset: xr.Dataset, folder: Path) -> list[Path]:
    """ARCO-ERA5: Zarr 2, long names, north to south."""
    made = dataset.isel(latitude=slice(None, None, -1))
    made = made.rename(
        {"geopotential_at_surface": "geopotential_at_surface"} if "geopotential_at_surface" in made else {}
    )
    made.to_zarr(folder / "arco.zarr", zarr_format=2, consolidated=True)
    return [folder / "arco.zarr"]


def weatherbench2(dataset: xr.Dataset, folder: Path) -> list[Path]:
    """WeatherBench2 at 64 x 32: (longitude, latitude), south to north."""
    dataset.transpose(..., "longitude", "latitude").to_zarr(folder / "wb2.zarr", zarr_format=2, consolidated=True)
    return [folder / "wb2.zarr"]


def weatherbench2_3(dataset: xr.Dataset, folder: Path) -> list[Path]:
    """WeatherBench2 in its other order, north to south, in Zarr 3 without consolidated metadata."""
    dataset.isel(latitude=slice(None, None, -1)).to_zarr(folder / "wb2.zarr", zarr_format=3, consolidated=False)
    return [folder / "wb2.zarr"]


def ifs(dataset: xr.Dataset, folder: Path) -> list[Path]:
    """GRIB 2 by ECMWF's names, one file a time."""
    names = {n: SHORT[n] for n in map(str, dataset.data_vars)}
    files = []
    for i, time in enumerate(dataset.time.values):
        part = dataset.sel(time=[time])
        kept = names if i == 0 else {n: s for n, s in names.items() if "time" in dataset[n].dims}
        files.append(write(folder / f"ifs-{i}.grib2", messages(part, kept)))
    return files


def ncar(dataset: xr.Dataset, folder: Path) -> list[Path]:
    """ERA5 of NCAR's research data archive."""
    capital = {
        n: {"2t": "VAR_2T", "10u": "VAR_10U", "10v": "VAR_10V", "sst": "SSTK"}.get(s, s.upper())
        for n, s in SHORT.items()
    }
    files = []
    for name in map(str, dataset.data_vars):
        made = _turned(dataset[[name]]).rename({name: capital[name]})
        made[capital[name]].attrs = {"units": dataset[name].attrs["units"], "short_name": SHORT[name]}
        files.append(folder / f"{name}.nc")
        made.to_netcdf(files[-1], engine="h5netcdf")
    return files


def cmip(dataset: xr.Dataset, folder: Path) -> list[Path]:
    """CMOR names, pressure in Pa, longitudes from -180."""
    names = {"temperature": "ta", "u_component_of_wind": "ua", "v_component_of_wind": "va", "specific_humidity": "hus",
             "geopotential": "zg", "2m_temperature": "tas", "mean_sea_level_pressure": "psl", "land_sea_mask": "sftlf",
             "vertical_velocity": "wap", "10m_u_component_of_wind": "uas", "10m_v_component_of_wind": "vas",
             "geopotential_at_surface": "orog"}  # fmt: skip
    made = dataset[[n for n in dataset.data_vars if n in names]].copy()
    for name, factor, units in (
        ("geopotential", 9.80665, "m"),
        ("geopotential_at_surface", 9.80665, "m"),
        ("land_sea_mask", 0.01, "%"),
    ):
        if name in made:
            made[name] = (made[name].astype("float64") / factor).assign_attrs(units=units)
    half = made.sizes["longitude"] // 2
    made = made.roll(longitude=half, roll_coords=True)
    east = (made.longitude.values + 180) % 360 - 180
    made = made.assign_coords(longitude=("longitude", east))
    if "level" in made.dims:
        made = made.assign_coords(
            level=("level", made.level.values * 100.0, {"units": "Pa", "standard_name": "air_pressure"})
        )
        made = made.rename(level="plev")
    made = made.rename({n: s for n, s in names.items() if n in made}).rename(latitude="lat", longitude="lon")
    made.to_netcdf(folder / "cmip.nc", engine="h5netcdf")
    return [folder / "cmip.nc"]


def herbie(dataset: xr.Dataset, folder: Path) -> list[Path]:
    """What Herbie and cfgrib give of forecasts of 6 h: a file a time and type of level, times beside the fields."""
    files = []
    for i, time in enumerate(dataset.time.values):
        for number, part in enumerate(_split(dataset)):
            made = _named(_turned(part.sel(time=time, drop=True)))
            made = (
                made.rename(level="isobaricInhPa")
                if "level" in made.dims
                else made.assign_coords(heightAboveGround=2.0)
            )
            step = np.timedelta64(6, "h").astype("timedelta64[ns]")
            made = made.assign_coords(time=time - step, step=step, valid_time=time)
            files.append(folder / f"herbie-{i}-{number}.nc")
            made.to_netcdf(files[-1], engine="h5netcdf")
    return files


Layout = Callable[[xr.Dataset, Path], list[Path]]
LAYOUTS: dict[str, Layout] = {
    "CDS, new": cds_new, "CDS, old": cds_old, "ARCO-ERA5": arco, "WeatherBench2": weatherbench2,
    "WeatherBench2, other order": weatherbench2_3, "IFS": ifs,
    "NCAR": ncar, "CMIP": cmip, "Herbie": herbie,
}  # fmt: skip
