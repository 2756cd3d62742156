"""Ways to write one malformed input, and the list of all of them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import xarray as xr

from tests.conftest import synthetic_dataset

NAMES = (
    "temperature",
    "2m_temperature",
    "geopotential",
    "sea_surface_temperature",
    "land_sea_mask",
    "specific_humidity",
    "mean_sea_level_pressure",
)

Maker = Callable[[Path], list[Path]]
CASES: dict[str, tuple[Maker, list[str], str]] = {}


def base() -> xr.Dataset:
    return synthetic_dataset(days=0.5, names=NAMES)


def case(name: str, said: str, *options: str) -> Callable[[Maker], Maker]:
    def add(maker: Maker) -> Maker:
        CASES[name] = (maker, list(options), said)
        return maker

    return add


def changed(name: str, said: str, change: Callable[[xr.Dataset], xr.Dataset], *options: str) -> None:
    """A NetCDF file of healthy fields with one change."""

    def make(folder: Path) -> list[Path]:
        change(base()).to_netcdf(folder / "a.nc", engine="h5netcdf")
        return [folder / "a.nc"]

    CASES[name] = (make, list(options), said)


def content(name: str, said: str, data: Callable[[], bytes], suffix: str = "nc", *options: str) -> None:
    """A file of these bytes."""

    def make(folder: Path) -> list[Path]:
        (folder / f"a.{suffix}").write_bytes(data())
        return [folder / f"a.{suffix}"]

    CASES[name] = (make, list(options), said)


def values(name: str, change: Callable[[np.ndarray], np.ndarray], **attrs) -> Callable[[xr.Dataset], xr.Dataset]:
    def put_in(dataset: xr.Dataset) -> xr.Dataset:
        field = dataset[name].copy(data=change(dataset[name].values).astype(np.float32))
        field.attrs = {**field.attrs, **attrs}
        field.attrs = {key: value for key, value in field.attrs.items() if value is not None}
        return dataset.assign({name: field})

    return put_in


def at(axis: str, new, **attrs) -> Callable[[xr.Dataset], xr.Dataset]:
    """The dataset with other values of a coordinate."""

    def put_in(dataset: xr.Dataset) -> xr.Dataset:
        given = new(dataset[axis].values) if callable(new) else new
        return dataset.assign_coords({axis: (axis, given, {**dataset[axis].attrs, **attrs})})

    return put_in


def spoiled(index: int, value: float) -> Callable[[np.ndarray], np.ndarray]:
    def put_in(field: np.ndarray) -> np.ndarray:
        field = field.copy()
        field.flat[index] = value
        return field

    return put_in
