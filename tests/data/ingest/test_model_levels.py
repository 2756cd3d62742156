"""Fields on hybrid and sigma levels come to pressures: exact where they are linear in log pressure."""

from collections.abc import Callable
from pathlib import Path

import eccodes
import numpy as np
import pytest
import xarray as xr

from airmass.commands.main import main
from airmass.fields.grid import LatLonGrid
from tests.grib import message

GRID = LatLonGrid.equiangular(8, 16, poles=False)
TIMES = np.array(["2020-01-01", "2020-01-01T06"], "datetime64[ns]")
# Ten levels: pressure at the top, terrain at the bottom.
_HALF = np.linspace(0, 1, 11)
B_HALF = np.clip((_HALF - 0.3) / 0.7, 0, 1) ** 1.5
A_HALF = 1e5 * _HALF**1.5 - B_HALF * 1e5 * _HALF**1.5
A, B = (A_HALF[1:] + A_HALF[:-1]) / 2, (B_HALF[1:] + B_HALF[:-1]) / 2
Way = Callable[[Path], tuple[Path, list[str]]]
LEVELS = (100, 300, 500, 700, 850, 1000)


def surface_pressure() -> np.ndarray:
    phi, lam = np.deg2rad(GRID.latitude)[:, None], np.deg2rad(GRID.longitude)
    return (9.2e4 + 9e3 * np.cos(phi) * np.cos(lam)) * np.array([1, 1.005])[:, None, None]


def temperature(p: np.ndarray) -> np.ndarray:
    """Linear in log pressure, other at each point; [..., latitude, longitude]."""
    phi = np.deg2rad(GRID.latitude)[:, None]
    return 250 + 15 * np.log(p / 5e4) + 10 * np.cos(phi)


def hybrid(a: np.ndarray = A, b: np.ndarray = B) -> xr.Dataset:
    ps = surface_pressure()
    p = a[:, None, None] + b[:, None, None] * ps[:, None]
    coords = {"time": TIMES, "latitude": GRID.latitude, "longitude": GRID.longitude}
    fields = {
        "t": (("time", "lev", "latitude", "longitude"), temperature(p).astype("f4"), {"units": "K"}),
        "u": (("time", "lev", "latitude", "longitude"), (p / 1e4).astype("f4"), {"units": "m s**-1"}),
        "sp": (("time", "latitude", "longitude"), ps.astype("f4"), {"units": "Pa"}),
    }
    return xr.Dataset(fields, coords)


def by_formula(folder: Path) -> tuple[Path, list[str]]:
    """As CMIP models give them: `ap`, `b` and the formula."""
    axis = {"standard_name": "atmosphere_hybrid_sigma_pressure_coordinate", "formula_terms": "ap: ap b: b ps: sp"}
    held = hybrid().assign_coords(lev=("lev", A / 1e5 + B, axis))
    held = held.assign(ap=("lev", A, {"units": "Pa"}), b=("lev", B))
    held.to_netcdf(folder / "cmip.nc", engine="h5netcdf")
    return folder / "cmip.nc", []


def of_cesm(folder: Path) -> tuple[Path, list[str]]:
    """As the Community Earth System Model gives them, upside down, with `lev` in hPa, which are no pressures."""
    axis = {"standard_name": "atmosphere_hybrid_sigma_pressure_coordinate", "units": "hPa"}
    axis["formula_terms"] = "a: hyam b: hybm p0: P0 ps: PS"
    held = hybrid().assign_coords(lev=("lev", 1000 * (A / 1e5 + B), axis)).isel(lev=slice(None, None, -1))
    held = held.assign(hyam=("lev", A[::-1] / 1e5), hybm=("lev", B[::-1]), P0=((), 1e5, {"units": "Pa"}))
    held.rename(t="T", u="U", sp="PS").to_netcdf(folder / "cesm.nc", engine="h5netcdf")
    return folder / "cesm.nc", []


def by_table(folder: Path) -> tuple[Path, list[str]]:
    """Numbers of model levels, the logarithm of surface pressure on the first, and ECMWF's table."""
    held = hybrid().rename(lev="level")
    held = held.assign_coords(level=("level", np.arange(1, 11), {"long_name": "model_level_number"}))
    ground = np.log(held.sp).expand_dims(model_level=[1], axis=1).assign_attrs(units="~")
    held.drop_vars("sp").assign(lnsp=ground).to_netcdf(folder / "era5.nc", engine="h5netcdf")
    rows = [f"{n},{a!r},{b!r},0" for n, (a, b) in enumerate(zip(A_HALF.tolist(), B_HALF.tolist(), strict=True))]
    (folder / "table.csv").write_text("\n".join(["n,a [Pa],b,ph [hPa]", *rows]))
    return folder / "era5.nc", ["--half-levels", str(folder / "table.csv")]


def in_grib(edition: int) -> Way:
    def write(folder: Path) -> tuple[Path, list[str]]:
        """Hybrid levels with coefficients in each message, `lnsp` on the first."""
        held, parts = hybrid().isel(latitude=slice(None, None, -1)), []
        for i, time in enumerate(TIMES):
            stamp = str(time.astype("datetime64[m]"))
            dated = {"dataDate": int(stamp[:10].replace("-", "")), "dataTime": int(stamp[11:].replace(":", ""))}
            for name in ("t", "u"):
                for k in range(10):
                    keys = {"shortName": name, "typeOfLevel": "hybrid", "level": k + 1, **dated}
                    parts.append(_with_coefficients(message(held[name].values[i, k], keys, True, edition)))
            keys = {"shortName": "lnsp", "typeOfLevel": "hybrid", "level": 1, **dated}
            parts.append(_with_coefficients(message(np.log(held.sp.values[i]), keys, True, edition)))
        (folder / "ml.grib").write_bytes(b"".join(parts))
        return folder / "ml.grib", []

    return write


def _with_coefficients(held: bytes) -> bytes:
    handle = eccodes.codes_new_from_message(held)
    eccodes.codes_set(handle, "PVPresent", 1)
    eccodes.codes_set_array(handle, "pv", np.r_[A_HALF, B_HALF])
    try:
        return eccodes.codes_get_message(handle)
    finally:
        eccodes.codes_release(handle)


WAYS = {"formula": by_formula, "cesm": of_cesm, "table": by_table, "grib1": in_grib(1), "grib2": in_grib(2)}


def ingested(place: Path, out: Path, *options: str) -> xr.Dataset:
    levels = [str(level) for level in LEVELS]
    assert (
        main(["data", "ingest", str(place), "--out", str(out), "--variables", "t", "u", "--levels", *levels, *options])
        == 0
    )
    return xr.open_zarr(out)


@pytest.mark.parametrize("way", WAYS)
def test_fields_linear_in_log_pressure_come_back_and_are_missing_below_ground(way, tmp_path):
    place, options = WAYS[way](tmp_path)
    made = ingested(place, tmp_path / "out.zarr", *options)
    p, ps = 100.0 * np.array(LEVELS)[:, None, None], surface_pressure()
    below = p > ps[:, None]
    lowest = A[-1] + B[-1] * ps[:, None]
    assert 0 < below[:, 3:].mean() < 1
    np.testing.assert_array_equal(np.isnan(made.temperature.values), below)
    inside = np.broadcast_to((p <= lowest) & ~below, made.temperature.shape)
    tolerance = 2e-3 if way == "grib1" else 3e-4  # 24 bits of pv and surface pressure; float32
    expected = np.broadcast_to(temperature(p), made.temperature.shape)
    np.testing.assert_allclose(made.temperature.values[inside], expected[inside], atol=tolerance, rtol=0)
    assert "from model levels, linear in log pressure, missing below ground" in made.temperature.attrs["history"]


def test_by_another_route_column_by_column(tmp_path):
    """Winds that are not linear in log pressure: numpy's interpolation of each column."""
    made = ingested(by_formula(tmp_path)[0], tmp_path / "out.zarr")
    held, ps = hybrid(), surface_pressure()
    for i, j, k in np.ndindex(2, 8, 16):
        log = np.log(A + B * ps[i, j, k])
        there = 100.0 * np.array(LEVELS) <= ps[i, j, k]
        expected = np.interp(np.log(100.0 * np.array(LEVELS)), log, held.u.values[i, :, j, k])[there]
        np.testing.assert_allclose(made.u_component_of_wind.values[i, there, j, k], expected, rtol=2e-6)


def test_sigma_levels(tmp_path):
    sigma, top = np.linspace(0.05, 0.97, 12), 1000.0
    axis = {"standard_name": "atmosphere_sigma_coordinate", "formula_terms": "sigma: lev ps: sp ptop: ptop"}
    held = hybrid(top * (1 - sigma), sigma).assign_coords(lev=("lev", sigma, axis))
    held.assign(ptop=((), top, {"units": "Pa"})).to_netcdf(tmp_path / "sigma.nc", engine="h5netcdf")
    made = ingested(tmp_path / "sigma.nc", tmp_path / "out.zarr")
    p = 100.0 * np.array(LEVELS)[:, None, None]
    inside = np.broadcast_to(p < (top * (1 - 0.97) + 0.97 * surface_pressure())[:, None], made.temperature.shape)
    expected = np.broadcast_to(temperature(p), inside.shape)
    np.testing.assert_allclose(made.temperature.values[inside], expected[inside], atol=3e-4, rtol=0)


def test_below_ground_fields_go_on_when_asked(tmp_path):
    made = ingested(by_formula(tmp_path)[0], tmp_path / "out.zarr", "--below-ground", "extrapolate")
    held, ps = hybrid(), surface_pressure()
    p, lowest = 100.0 * np.array(LEVELS)[:, None, None], A[-1] + B[-1] * ps[:, None]
    under = np.broadcast_to(p > lowest, made.temperature.shape)
    ratio = (p / lowest) ** (287.0597 * 0.0065 / 9.80665)
    expected = held.t.values[:, -1:] * ratio
    np.testing.assert_allclose(made.temperature.values[under], expected[under], rtol=1e-6)
    wind = np.broadcast_to(held.u.values[:, -1:], under.shape)
    np.testing.assert_allclose(made.u_component_of_wind.values[under], wind[under], rtol=1e-6)


@pytest.mark.parametrize("lapse", [0.0, 0.0065])
def test_geopotential_is_integrated_from_the_ground(lapse, tmp_path):
    """Of an atmosphere with a constant lapse rate (no water), in closed form; exact without one."""
    ps, ground = surface_pressure(), np.full(GRID.shape, 2000.0) + 1000 * np.cos(np.deg2rad(GRID.longitude))
    edges = np.concatenate([[0.0], np.exp(np.linspace(np.log(0.01), 0, 61))])
    b_half = np.clip((edges - 0.1) / 0.9, 0, 1) ** 1.2
    a_half = 1e5 * (edges - b_half)
    a, b = ((x[1:] + x[:-1]) / 2 for x in (a_half, b_half))
    p = a[:, None, None] + b[:, None, None] * ps[:, None]
    exponent = 287.0597 * lapse / 9.80665
    warm = 288.0
    held = {
        "t": (("time", "hybrid", "latitude", "longitude"), (warm * (p / ps[:, None]) ** exponent).astype("f8")),
        "q": (("time", "hybrid", "latitude", "longitude"), np.zeros(p.shape)),
        "sp": (("time", "latitude", "longitude"), ps),
        "z": (("time", "hybrid_1", "latitude", "longitude"), np.stack([ground, ground])[:, None]),
    }
    coords = {"time": TIMES, "latitude": GRID.latitude, "longitude": GRID.longitude, "hybrid": np.arange(1, 62)}
    made = xr.Dataset(held, coords).assign(a_half=("half", a_half), b_half=("half", b_half))
    made = made.rename(hybrid_1="model_level").assign_coords(model_level=[1])
    made.to_netcdf(tmp_path / "ml.nc", engine="h5netcdf")
    levels = [str(level) for level in LEVELS]
    words = ["data", "ingest", str(tmp_path / "ml.nc"), "--out", str(tmp_path / "o.zarr"), "--levels", *levels]
    assert main([*words, "--variables", "z", "zsfc"]) == 0
    found = xr.open_zarr(tmp_path / "o.zarr")
    pressure = 100.0 * np.array(LEVELS)[:, None, None]
    ratio = pressure / ps[:, None]
    above = 287.0597 * warm * -np.log(ratio) if not lapse else 9.80665 * warm / lapse * (1 - ratio**exponent)
    np.testing.assert_array_equal(np.isnan(found.geopotential), ratio > 1)
    error = np.abs(found.geopotential.values - (ground + above))
    # Twice the error of a line in log pressure over a layer, R T alpha / 8 times its square: of the sum and between.
    layer = np.diff(np.log(edges[1:])).max()
    assert np.nanmax(error) < 0.05 + 2 * 287.0597 * warm * exponent / 8 * layer**2
    assert "integrated from virtual temperature on model levels" in found.geopotential.attrs["history"]


def _of(change: Callable[[xr.Dataset], xr.Dataset]) -> Way:
    def write(folder: Path) -> tuple[Path, list[str]]:
        place, options = by_formula(folder)
        with xr.open_dataset(place) as held:
            change(held.load()).to_netcdf(folder / "changed.nc", engine="h5netcdf")
        return folder / "changed.nc", options

    return write


def _without_table(folder: Path) -> tuple[Path, list[str]]:
    return by_table(folder)[0], []


def _table_in_hectopascals(folder: Path) -> tuple[Path, list[str]]:
    place, options = by_table(folder)
    rows = [f"{n},{a / 100!r},{b!r}" for n, (a, b) in enumerate(zip(A_HALF.tolist(), B_HALF.tolist(), strict=True))]
    (folder / "table.csv").write_text("\n".join(["n,a,b", *rows]))
    return place, options


def _short_table(folder: Path) -> tuple[Path, list[str]]:
    place, options = by_table(folder)
    rows = (folder / "table.csv").read_text().splitlines()
    (folder / "table.csv").write_text(
        "\n".join([rows[0], *[f"{n},{r.split(',', 1)[1]}" for n, r in enumerate(rows[3:])]])
    )
    return place, options


_HECTOPASCALS = {"units": "hPa"}
FAULTS = {
    "no surface pressure": (
        _of(lambda d: d.drop_vars("sp")),
        "is on model levels: expected surface_pressure or logarithm_of_surface_pressure",
    ),
    "no coefficients": (
        _of(lambda d: d.drop_vars("ap")),
        "formula_terms 'ap: ap b: b ps: sp', but the file has no ap",
    ),
    "coefficients in hPa": (
        _of(lambda d: d.assign(ap=(d.ap / 100).assign_attrs(_HECTOPASCALS))),
        "ap has units 'hPa', expected Pa",
    ),
    "no table": (_without_table, "is on model levels, and nothing tells their pressures; give a and b"),
    "table in hPa": (_table_in_hectopascals, "expected thousands of Pa: is it in hPa?"),
    "short table": (_short_table, "has the model levels 1 to 10, expected numbers from 1 to 8"),
    "levels above ground": (
        _of(lambda d: d.isel(lev=slice(0, 8))),
        "the lowest model level of temperature lies at 0.",
    ),
    "top too low": (_of(lambda d: d.isel(lev=slice(5, 10))), "at 100 hPa lies above the highest model level"),
    "surface pressure in hPa": (
        _of(lambda d: d.assign(sp=(d.sp / 100).assign_attrs(units="Pa"))),
        "expected 300 to 1150",
    ),
    "missing values": (_of(lambda d: d.assign(t=d.t.where(d.t > 240))), "NaN or infinite values, expected none"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_line(fault, tmp_path, capsys):
    write, said = FAULTS[fault]
    place, options = write(tmp_path)
    levels = [str(level) for level in LEVELS]
    out = ["--out", str(tmp_path / "out.zarr"), "--variables", "t", "--levels", *levels]
    assert main(["data", "ingest", str(place), *out, *options]) == 2
    told = capsys.readouterr().err
    assert said in told and len(told.splitlines()) == 1, told
    assert not (tmp_path / "out.zarr").exists()


def test_levels_must_be_chosen(tmp_path, capsys):
    place, _ = by_formula(tmp_path)
    assert main(["data", "ingest", str(place), "--out", str(tmp_path / "out.zarr"), "--variables", "t"]) == 2
    assert "is on model levels; choose pressures in hPa with --levels" in capsys.readouterr().err
