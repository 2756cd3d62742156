"""A small store of real fields, four times of it, and statistics of other real fields half a century older."""

from pathlib import Path

import numpy as np
import xarray as xr

from airmass.data.ingest.ingest import ingest
from airmass.data.ingest.request import IngestRequest
from airmass.data.preparation.statistics import compute_statistics
from tests.conftest import make_store

_REAL = Path(__file__).parents[1] / "real"
_GFS, _ERA5 = _REAL / "gfs_20110110T12_f120_2p5deg.grib2", _REAL / "era5_tl31_19590102T00.nc"
LEVELS = (200, 300, 500, 850, 925, 1000)


def january(folder: Path) -> xr.Dataset:
    """Fields of GFS valid on 15 January 2011 at 64 x 32, with the sea surface of ERA5, at four times six hours apart.

    The frames are one, turned by longitude against the ground, so that none repeats another.
    """
    names = ("z", "t", "u", "v", "q", "2t", "tp06", "land_sea_mask")
    dataset = _taken_in(_GFS, folder / "gfs.zarr", names, LEVELS)
    turned = _turned(dataset)
    sea = _taken_in(_ERA5, folder / "sea.zarr", ("sst",)).sea_surface_temperature.isel(time=[0] * 4)
    sea = sea.assign_coords(time=turned.time).where(dataset.land_sea_mask <= 0.5)
    return turned.assign(sea_surface_temperature=sea.astype("f4").assign_attrs(units="K"))


def statistics_of_era5(folder: Path) -> Path:
    """Statistics of ERA5's fields of 2 January 1959 at 64 x 32."""
    fields = _turned(_taken_in(_ERA5, folder / "era5.zarr", ("z", "t", "u", "v", "q"), LEVELS))
    store = make_store(folder / "turned.zarr", fields.drop_encoding())
    return compute_statistics(store, folder / "statistics", ("1959-01-02", "1959-01-02"))


def _turned(dataset: xr.Dataset) -> xr.Dataset:
    """The one frame of a dataset at four times of its day, each turned by a part of the circle."""
    changing = dataset.drop_vars("land_sea_mask", errors="ignore")
    first = changing.time.values[0].astype("datetime64[D]").astype("datetime64[ns]")
    frames = [
        changing.roll(longitude=16 * n).assign_coords(time=[first + n * np.timedelta64(6, "h")]) for n in range(4)
    ]
    return xr.concat(frames, "time").assign({n: dataset[n] for n in dataset if n not in changing})


def _taken_in(source: Path, out: Path, names: tuple[str, ...], levels: tuple[int, ...] = ()) -> xr.Dataset:
    ingest(IngestRequest((source,), variables=names, levels=levels, grid="64x32"), out)
    with xr.open_zarr(out, consolidated=False) as held:
        return held.load()
