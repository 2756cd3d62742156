"""`airmass initial` from fields on model levels, with ECMWF's table of half levels beside them."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from airmass.commands.main import main
from airmass.fields.grid import LatLonGrid
from tests.border.healthy import Home, _write_model
from tests.conftest import make_store, synthetic_dataset
from tests.training.small import SMALL

GRID = LatLonGrid.equiangular(8, 16, poles=False)
TIMES = np.array(["2000-11-01", "2000-11-01T06"], "datetime64[ns]")
R, G, WARM = 287.0597, 9.80665, 265.0
# Sixty-one half levels, pressure at the top and terrain at the bottom.
HALF = np.r_[0.0, np.exp(np.linspace(np.log(0.01), 0, 60))]
B_HALF = np.clip((HALF - 0.1) / 0.9, 0, 1) ** 1.2
A_HALF = 1e5 * (HALF - B_HALF)


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Home:
    home = Home(tmp_path_factory.mktemp("home"))
    fields = synthetic_dataset(days=2, levels=(500, 850), names=(*SMALL.task.targets, *SMALL.task.static))
    make_store(home.store, fields)
    _write_model(home)
    return home


def surface_pressure() -> np.ndarray:
    """Below 850 hPa in a quarter of the globe."""
    return np.broadcast_to(9.2e4 + 9e3 * np.cos(np.deg2rad(GRID.longitude)), GRID.shape)


def sources(home: Home, folder: Path) -> list[Path]:
    """A dry atmosphere of one temperature on model levels over flat ground, what else is read, and the table."""
    shape, levels = (2, 60, *GRID.shape), ("valid_time", "model_level", "latitude", "longitude")
    one = ("valid_time", "first", "latitude", "longitude")
    held = {
        "t": (levels, np.full(shape, WARM, "f4"), {"units": "K"}),
        "q": (levels, np.zeros(shape, "f4"), {"units": "kg kg**-1"}),
        "lnsp": (one, np.log(np.stack([surface_pressure()] * 2))[:, None], {"units": "~"}),
        "z": (one, np.full((2, 1, *GRID.shape), 500 * G, "f4"), {"units": "m**2 s**-2"}),
    }
    coords = {"valid_time": TIMES, "latitude": GRID.latitude, "longitude": GRID.longitude}
    made = xr.Dataset(held, {**coords, "model_level": np.arange(1, 61)})
    made[["t", "q"]].to_netcdf(folder / "ml.nc", engine="h5netcdf")
    ground = made[["lnsp", "z"]].rename(first="model_level").assign_coords(model_level=[1])
    ground.to_netcdf(folder / "ground.nc", engine="h5netcdf")
    with xr.open_zarr(home.store, consolidated=False) as store:
        store[["2m_temperature", "land_sea_mask"]].to_netcdf(folder / "surface.nc", engine="h5netcdf")
    rows = [f"{n},{a!r},{b!r}" for n, (a, b) in enumerate(zip(A_HALF.tolist(), B_HALF.tolist(), strict=True))]
    (folder / "table.csv").write_text("\n".join(["n,a [Pa],b", *rows]))
    return [folder / name for name in ("ml.nc", "ground.nc", "surface.nc")]


def test_model_levels_become_the_pressures_that_a_checkpoint_reads(home, tmp_path, capsys):
    files, out = sources(home, tmp_path), tmp_path / "i.nc"
    words = ["initial", *map(str, files), "--checkpoint", str(home.model), "--out", str(out)]
    assert main(words) == 2
    assert "give a and b of the half levels with --half-levels" in capsys.readouterr().err
    words += ["--half-levels", str(tmp_path / "table.csv")]
    assert main(words) == 2
    points = int((surface_pressure() < 8.5e4).sum())
    line = capsys.readouterr().err
    assert f"at 850 hPa at 2000-11-01T00:00 is below the ground at {points} points" in line
    assert "give --below-ground extrapolate" in line and line.count("\n") == 1 and not out.exists()
    assert main([*words, "--below-ground", "extrapolate"]) == 0
    made = xr.load_dataset(out)
    above = 0.95 * surface_pressure() > 8.5e4  # over the lowest model level
    np.testing.assert_allclose(made.temperature.sel(level=500), WARM, rtol=1e-6)
    np.testing.assert_allclose(made.temperature.sel(level=850).values[:, above], WARM, rtol=1e-6)
    expected = 500 * G + R * WARM * np.log(surface_pressure() / 5e4)
    np.testing.assert_allclose(made.geopotential.sel(level=500), np.stack([expected] * 2), atol=0.1)
    assert "from model levels, linear in log pressure, extended below ground" in made.temperature.attrs["history"]
