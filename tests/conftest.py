"""A small synthetic store, healthy or with named faults, for every test that needs data.

`from tests.conftest import make_store, synthetic_dataset`, or take the fixture `store` (healthy, shared, read-only).
"""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import settings

from tests.shapes import check_shapes

check_shapes()  # before the first import of airmass

from airmass.fields.variables import COMPUTED, VARIABLES  # noqa: E402

# No timed tests: compiling takes as long as the machine is busy.
settings.register_profile("airmass", deadline=None)
settings.load_profile("airmass")

LEVELS = (300, 500, 850)
# Fields of cyclones and winds at 100 m are of WeatherNext 2 alone; no recipe reads the others.
_OF_ONE_MODEL = ("cyclone_", "100m_", "sea_ice", "2m_dewpoint", "2m_specific")
NAMES = tuple(name for name in VARIABLES if name not in COMPUTED and not name.startswith(_OF_ONE_MODEL))

# Mean and amplitude of the fields that are not on levels, in the units of the table.
_SURFACE = {
    "2m_temperature": (285.0, 20.0),
    "10m_u_component_of_wind": (0.0, 12.0),
    "10m_v_component_of_wind": (0.0, 12.0),
    "mean_sea_level_pressure": (1.012e5, 1500.0),
    "surface_pressure": (9.8e4, 3000.0),
    "total_precipitation_6hr": (0.0, 0.01),
    "total_precipitation_12hr": (0.0, 0.02),
    "sea_surface_temperature": (288.0, 12.0),
    "sea_ice_cover": (0.5, 0.5),
    "geopotential_at_surface": (0.0, 2.0e4),
    "land_sea_mask": (0.3, 0.9),
}
_ONE_SIDED = ("total_precipitation_6hr", "total_precipitation_12hr", "geopotential_at_surface")


def synthetic_dataset(
    days: float = 3,
    n_latitude: int = 8,
    n_longitude: int = 16,
    levels: tuple[int, ...] = LEVELS,
    start: str = "2000-11-01",
    step: int = 6,
    names: tuple[str, ...] = NAMES,
    seed: int = 0,
    poles: bool = False,
) -> xr.Dataset:
    """Smooth random travelling waves in physical ranges, float32, in the layout that `open_store` asks for.

    Sea surface temperature is NaN where `land_sea_mask` exceeds one half, at every time. The same seed gives the same
    field for a variable whatever else is asked for.
    """
    latitude = np.linspace(-90, 90, n_latitude) if poles else (np.arange(n_latitude) + 0.5) * 180 / n_latitude - 90
    longitude = np.arange(n_longitude) * 360 / n_longitude
    time = np.datetime64(start, "ns") + np.arange(round(days * 24 / step)) * np.timedelta64(step, "h")
    hours = (time - np.datetime64("2000-01-01", "ns")) / np.timedelta64(1, "h")
    land = _field("land_sea_mask", hours[:1], 1000, latitude, longitude, seed)[0]
    coords = {
        "time": time,
        "level": ("level", np.array(levels), {"units": "hPa"}),
        "latitude": ("latitude", latitude, {"units": "degrees_north"}),
        "longitude": ("longitude", longitude, {"units": "degrees_east"}),
    }
    fields = {}
    for name in names:
        variable = VARIABLES[name]
        dims: tuple[str, ...] = ("latitude", "longitude") if variable.static else ("time", "latitude", "longitude")
        if variable.on_levels:
            dims = ("time", "level", *dims[1:])
            values = np.stack([_field(name, hours, p, latitude, longitude, seed) for p in levels], axis=1)
        else:
            values = _field(name, hours, 1000, latitude, longitude, seed)
        values = values[0] if variable.static else values
        if variable.missing_over_land:
            values = np.where(land > 0.5, np.nan, values)
        fields[name] = (dims, values.astype(np.float32), variable.attributes)
    used = {dim for dims, _, _ in fields.values() for dim in dims}
    return xr.Dataset(fields, {k: v for k, v in coords.items() if k in used})


def make_store(
    path: str | Path,
    dataset: xr.Dataset | None = None,
    *,
    zarr_format: int = 3,
    reversed_latitude: bool = False,
    swapped: bool = False,
    uneven_latitude: bool = False,
    units: dict[str, str] | None = None,
    nan: str | None = None,
    missing_variable: str | None = None,
    missing_level: int | None = None,
    duplicate_time: int | None = None,
    missing_time: int | None = None,
    corrupt_chunk: str | None = None,
    **options,
) -> Path:
    """Write a Zarr store with one time a chunk, and return its path. `options` go to `synthetic_dataset`.

    Faults: latitude north to south; dims (longitude, latitude); one row moved; other units by variable (or `level`);
    one NaN in the second frame of a variable; a variable or level left out; the frame at an index written twice or
    left out; the second chunk of a variable overwritten with bytes that do not decode.
    """
    dataset = synthetic_dataset(**options) if dataset is None else dataset.copy(deep=True)
    if nan:
        dataset[nan].values[1, ..., 2, 3] = np.nan
    for name, text in (units or {}).items():
        dataset[name].attrs["units"] = text
    if missing_variable:
        dataset = dataset.drop_vars(missing_variable)
    if missing_level:
        dataset = dataset.drop_sel(level=missing_level)
    if missing_time is not None:
        dataset = dataset.drop_isel(time=missing_time)
    if duplicate_time is not None:
        order = np.sort([*range(dataset.sizes["time"]), duplicate_time])
        dataset = dataset.isel(time=order)
    if uneven_latitude:
        latitude = dataset.latitude.values.copy()
        latitude[2] += 0.1 * (latitude[1] - latitude[0])
        dataset = dataset.assign_coords(latitude=("latitude", latitude, dataset.latitude.attrs))
    if reversed_latitude:
        dataset = dataset.isel(latitude=slice(None, None, -1))
    if swapped:
        dataset = dataset.transpose(..., "longitude", "latitude")
    _write(dataset, path, zarr_format)
    if corrupt_chunk:
        _corrupt(Path(path), corrupt_chunk, dataset[corrupt_chunk].ndim)
    return Path(path)


@pytest.fixture(scope="session")
def store(tmp_path_factory) -> Path:
    """A healthy store of three days on a 16 x 8 grid. Shared by all tests: read it, never write to it."""
    return make_store(tmp_path_factory.mktemp("store") / "healthy.zarr")


@pytest.fixture(scope="session")
def small_store(tmp_path_factory) -> Path:
    """Five healthy days, to train on. Shared too."""
    return make_store(tmp_path_factory.mktemp("small") / "store.zarr", days=5)


@pytest.fixture(scope="session")
def small_run(small_store, tmp_path_factory) -> Path:
    """The recipe `tests.training.small.SMALL` trained on `small_store`. Shared: to write into it, copy the folder."""
    from airmass.training.train import train
    from tests.training.small import SMALL

    run = tmp_path_factory.mktemp("small_run") / "run"
    train(SMALL, small_store, run)
    return run


def _field(name, hours, level, latitude, longitude, seed) -> np.ndarray:
    """One variable on one level: its mean and amplitude times a pattern within -1 to 1; [time, latitude, longitude]."""
    mean, amplitude = _scale(name, level)
    rng = np.random.default_rng([seed, *name.encode(), int(level)])
    phi, lam = np.deg2rad(latitude)[:, None], np.deg2rad(longitude)
    pattern = 0.3 * np.cos(2 * phi + rng.uniform(0, 2 * np.pi)) + np.zeros((len(hours), 1, 1))
    for wavenumber in (1, 2, 3):
        phase, tilt = rng.uniform(0, 2 * np.pi, 2)
        days_around = rng.uniform(8, 30)
        angle = 2 * np.pi * hours[:, None, None] / (24 * days_around) + phase
        pattern = pattern + 0.2 * np.cos(phi) ** wavenumber * np.cos(wavenumber * lam - angle + tilt * np.sin(phi))
    values = mean + amplitude * pattern
    if name in _ONE_SIDED:
        return np.maximum(values, 0)
    return np.clip(values, 0, 1) if name == "land_sea_mask" else values


def _scale(name: str, level: int) -> tuple[float, float]:
    if name in _SURFACE:
        return _SURFACE[name]
    height = 7400 * np.log(1013 / level)  # metres, in an atmosphere of constant scale height
    return {
        "geopotential": (9.81 * height, 1500.0),
        "temperature": (max(288 - 0.0065 * height, 215.0), 15.0),
        "u_component_of_wind": (8.0, 20.0),
        "v_component_of_wind": (0.0, 15.0),
        "vertical_velocity": (0.0, 0.5),
        "specific_humidity": (0.012 * (level / 1000) ** 3, 0.009 * (level / 1000) ** 3),
    }[name]


def _write(dataset: xr.Dataset, path: str | Path, zarr_format: int) -> None:
    encoding: dict = {}
    for name, field in dataset.data_vars.items():
        encoding[name] = {"chunks": tuple(1 if d == "time" else dataset.sizes[d] for d in field.dims)}
        if zarr_format == 3:
            encoding[name]["fill_value"] = np.nan
    dataset.to_zarr(path, mode="w-", zarr_format=zarr_format, consolidated=zarr_format == 2, encoding=encoding)


def _corrupt(path: Path, name: str, n_dims: int) -> None:
    chunk = path / name / "c" / "/".join(["1"] + ["0"] * (n_dims - 1))
    assert chunk.exists(), f"no chunk {chunk}: the fault needs zarr_format=3"
    chunk.write_bytes(b"these bytes do not decode")
