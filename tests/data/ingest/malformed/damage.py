"""Whole files damaged afterwards: cut, flipped bytes, lost chunks; and numbers packed or masked wrongly."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import xarray as xr

from tests.conftest import make_store
from tests.data.ingest.malformed.case import at, base, case, changed, values

T2 = "2m_temperature"


def saved(path: Path, **encoding) -> Path:
    """Surface fields as NetCDF 4, the temperature with this encoding."""
    base()[[T2, "mean_sea_level_pressure"]].to_netcdf(path, engine="h5netcdf", encoding={T2: encoding})
    return path


def cut(path: Path) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return path


def flipped(path: Path, place: int) -> Path:
    data = bytearray(path.read_bytes())
    data[place] ^= 0xFF
    path.write_bytes(bytes(data))
    return path


def in_chunk(path: Path) -> int:
    """A byte within the first chunk of the temperature."""
    with h5py.File(path) as file:
        chunk = file[T2].id.get_chunk_info(0)
        return chunk.byte_offset + chunk.size // 2


@case("NetCDF 4 cut in half", "a.nc.* (truncated|cannot be read|damaged)")
def _(folder: Path) -> list[Path]:
    return [cut(saved(folder / "a.nc"))]


@case("NetCDF 3 cut in half", "a.nc.* (truncated|cannot be read|damaged|holds)")
def _(folder: Path) -> list[Path]:
    base()[[T2]].astype("f4").to_netcdf(folder / "a.nc", engine="scipy")
    return [cut(folder / "a.nc")]


@case("a byte flipped in a compressed chunk", "2m_temperature.* cannot be read")
def _(folder: Path) -> list[Path]:
    path = saved(folder / "a.nc", zlib=True)
    return [flipped(path, in_chunk(path))]


@case("a byte flipped under a checksum", "2m_temperature.* cannot be read")
def _(folder: Path) -> list[Path]:
    path = saved(folder / "a.nc", fletcher32=True, chunksizes=(1, 8, 16))
    return [flipped(path, in_chunk(path))]


@case("a chunk lost from a store", "2m_temperature at 2000-11-01T06:00 has 128 NaN or infinite values of 128")
def _(folder: Path) -> list[Path]:
    path = make_store(folder / "a.zarr", base()[[T2]])
    (path / T2 / "c" / "1" / "0" / "0").unlink()
    return [path]


@case("a store's metadata cut", "a.zarr.* cannot be (read|opened)")
def _(folder: Path) -> list[Path]:
    path = make_store(folder / "a.zarr", base()[[T2]])
    for file in (path / "zarr.json", path / T2 / "zarr.json"):
        cut(file)
    return [path]


@case("a packed value masked", "2m_temperature at 2000-11-01T00:00 has 1 NaN or infinite values of 128")
def _(folder: Path) -> list[Path]:
    held = base()[[T2]]
    held[T2].values[0, 3, 4] = np.nan
    packed = {"dtype": "i2", "scale_factor": 0.01, "add_offset": 280.0, "_FillValue": np.int16(-32767)}
    held.to_netcdf(folder / "a.nc", engine="h5netcdf", encoding={T2: packed})
    return [folder / "a.nc"]


@case("a scale factor of 0", "2m_temperature.*has the value 0, expected 160 to 345 K")
def _(folder: Path) -> list[Path]:
    path = saved(folder / "a.nc")
    with h5py.File(path, "a") as file:
        file[T2].attrs["scale_factor"] = 0.0
    return [path]


@case("a scale factor of text", "a.nc.*scale_factor|a.nc.* cannot be read")
def _(folder: Path) -> list[Path]:
    path = saved(folder / "a.nc")
    with h5py.File(path, "a") as file:
        file[T2].attrs["scale_factor"] = "ten"
    return [path]


@case("a wrong offset", "2m_temperature.*has the value .*expected 160 to 345 K")
def _(folder: Path) -> list[Path]:
    path = saved(folder / "a.nc")
    with h5py.File(path, "a") as file:
        file[T2].attrs["add_offset"] = 273.15
    return [path]


def in_zone(zone: str) -> Callable[[Path], list[Path]]:
    """A file whose times are told in a time zone."""

    def make(folder: Path) -> list[Path]:
        base()[[T2]].to_netcdf(
            folder / "a.nc", engine="h5netcdf", encoding={"time": {"units": "hours since 2000-01-01"}}
        )
        with h5py.File(folder / "a.nc", "a") as file:
            file["time"].attrs["units"] = f"hours since 2000-01-01 00:00:00 {zone}"
        return [folder / "a.nc"]

    return make


case("local time by the name of a zone", "time has units 'hours since 2000-01-01 00:00:00 CEST', expected UTC")(
    in_zone("CEST")
)
case("local time by an offset without a sign", "time has units '.* 5:30', expected UTC, or an offset such as")(
    in_zone("5:30")
)
changed("complex numbers", "2m_temperature is complex64, expected numbers",
        lambda d: d.assign({T2: d[T2].astype("c8")}))  # fmt: skip
changed("longitudes in radians", "longitude runs 0 to .* expected the whole circle", at("longitude", np.deg2rad))
changed("latitudes in radians", "latitude", at("latitude", np.deg2rad))
changed("two variables exchanged", "has the value", lambda d: d.assign({
    T2: d[T2].copy(data=d["mean_sea_level_pressure"].values),
    "mean_sea_level_pressure": d["mean_sea_level_pressure"].copy(data=d[T2].values),
}))  # fmt: skip
changed("levels of geopotential turned", "are the levels in another order",
        values("geopotential", lambda v: v[:, ::-1]))  # fmt: skip
changed(
    "humidity far below zero",
    r"specific_humidity .*has the value -0\.99.*, expected -0\.002 to",
    values("specific_humidity", lambda v: v - 1),
)
changed("a constant of another planet", "mean_sea_level_pressure.*has the value 600",
        values("mean_sea_level_pressure", lambda v: v * 0 + 600))  # fmt: skip


@case("a level without values", "temperature at 500 hPa at 2000-11-01T00:00 has 128 NaN")
def _(folder: Path) -> list[Path]:
    held: xr.Dataset = base()[["temperature"]]
    held.temperature.values[:, 1] = np.nan
    held.to_netcdf(folder / "a.nc", engine="h5netcdf")
    return [folder / "a.nc"]
