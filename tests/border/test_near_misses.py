"""What is right but unusual is read right: the same statistics and scores come out as from the plain input."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from tests.border.healthy import DATES, OPTIONS, TRAINING, Home, dataset
from tests.border.running import run
from tests.border.store_changes import arithmetic, attribute, put
from tests.conftest import make_store
from tests.served import served

_T2 = "2m_temperature"


def statistics(store: Path | str, out: Path) -> dict[str, np.ndarray]:
    """Means and spreads of a store, by `airmass data stats`."""
    outcome = run(["data", "stats", f"{store}", "--dates", *DATES, "--out", f"{out}"])
    assert outcome.status == 0 and not outcome.trace, outcome
    found = {}
    for name in ("mean_by_level", "stddev_by_level", "diffs_stddev_by_level"):
        with xr.open_dataset(out / f"{name}.nc") as table:
            found |= {f"{name} {field}": table[field].values for field in table.data_vars}
    return found


def scores(forecast: Path, truth: Path, out: Path, *more) -> dict[tuple, float]:
    """The scores of a forecast, by `airmass evaluate`, without the name of its system."""
    outcome = run(["evaluate", f"{forecast}", "--truth", f"{truth}", "--out", f"{out}", *map(str, more)])
    assert outcome.status == 0 and not outcome.trace, outcome
    rows = json.loads((out / "scores.json").read_text())
    keys = ("system", "variable", "level", "lead_time_hours", "metric")
    return {tuple(row[key] for key in keys): row["value"] for row in rows}


def same(found: dict, expected: dict, rtol: float = 1e-6, atol: float = 1e-7) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol, atol, err_msg=str(name))


@pytest.fixture(scope="module")
def plain(home, tmp_path_factory) -> dict[str, np.ndarray]:
    return statistics(home.store, tmp_path_factory.mktemp("plain") / "s")


@pytest.fixture(scope="module")
def plain_scores(home, tmp_path_factory) -> dict[tuple, float]:
    out = tmp_path_factory.mktemp("plain") / "s"
    return scores(home.forecast, home.store, out, "--climatology", home.climatology)


def _zarr(home: Home, path: Path, change: Callable[[Path], object]) -> Path:
    shutil.copytree(home.store, path / "s.zarr")
    change(path / "s.zarr")
    return path / "s.zarr"


_EPOCH = {"units": "days since 1900-01-01", "calendar": "standard"}
_DAYS = (np.datetime64("2000-11-01") - np.datetime64("1900-01-01")).astype(float) + np.arange(8) / 4
_UNUSUAL: dict[str, Callable[[Path], object]] = {
    "levels of floats in millibars": put("level", np.array([500.0, 850.0]), attributes={"units": "millibars"}),
    "levels of small integers": put("level", np.array([500, 850], np.int16)),
    "times as days since 1900": put("time", _DAYS, attributes=_EPOCH),
    "latitude in float32": put("latitude", lambda v: v.astype(np.float32)),
    "fields in float64": put(_T2, lambda v: v.astype(np.float64)),
    "fields of high bytes first": put(_T2, lambda v: v.astype(">f4")),
    "units spelt another way": attribute("geopotential", units="m**2 s**-2"),
    "no units": attribute(_T2, units="K", long_name="[/bold] <b>"),
    "attributes that NetCDF cannot hold": attribute("level", units=None, long_name=None, notes={"by": [None]}),
    "another chunking": put(_T2, lambda v: v),
}


@pytest.mark.parametrize("name", _UNUSUAL)
def test_a_store_in_another_dress(name, home, plain, tmp_path):
    store = _zarr(home, tmp_path, _UNUSUAL[name])
    assert run(["data", "check", f"{store}"]).status == 0
    same(statistics(store, tmp_path / "s"), plain)


def _packed() -> dict:
    """Two bytes a value, as archives pack them."""
    return {_T2: {"dtype": "i2", "scale_factor": 0.002, "add_offset": 285.0, "_FillValue": -32767}}


_WRITERS: dict[str, Callable[[xr.Dataset, Path], Path]] = {
    "Zarr format 2": lambda d, p: make_store(p / "a.zarr", d, zarr_format=2),
    "NetCDF 4": lambda d, p: _netcdf(d, p, "h5netcdf"),
    "NetCDF 4 named .nc4": lambda d, p: _netcdf(d, p, "h5netcdf", "a.nc4"),
    "NetCDF 3": lambda d, p: _netcdf(d, p, "scipy"),
    "packed Zarr format 3": lambda d, p: _packed_zarr(d, p, 3),
    "packed Zarr format 2": lambda d, p: _packed_zarr(d, p, 2),
    "packed NetCDF 4": lambda d, p: _netcdf(d, p, "h5netcdf", encoding=_packed()),
    "packed NetCDF 3": lambda d, p: _netcdf(d, p, "scipy", encoding=_packed()),
    "a name of markup and spaces": lambda d, p: make_store(p / "[red] 50% ü [x].zarr", d),
}


def _netcdf(fields: xr.Dataset, path: Path, engine: str, name: str = "a.nc", encoding: dict | None = None) -> Path:
    fields.to_netcdf(path / name, engine=engine, encoding=encoding or {})
    return path / name


def _packed_zarr(fields: xr.Dataset, path: Path, zarr_format: int) -> Path:
    fields.to_zarr(path / "a.zarr", zarr_format=zarr_format, consolidated=zarr_format == 2, encoding=_packed())
    return path / "a.zarr"


@pytest.mark.parametrize("name", _WRITERS)
def test_every_format_gives_the_same_statistics(name, plain, tmp_path):
    path = _WRITERS[name](dataset(), tmp_path)
    found = run(["data", "check", f"{path}"])
    assert found.status == 0, found
    # Packed values are right to half of the scale factor.
    same(statistics(path, tmp_path / "s"), plain, *((1e-3, 1e-3) if name.startswith("packed") else ()))


@pytest.mark.parametrize("zarr_format", (2, 3))
@pytest.mark.parametrize("fill", (np.nan, 9.999e20, -9e33, -32767.0))
def test_a_missing_value_is_missing_whatever_stands_for_it(zarr_format, fill, tmp_path):
    from airmass.data.loading.frames import Frames
    from tests.training.small import TASK

    name = "sea_surface_temperature"
    fields = dataset()
    land = fields.land_sea_mask.values > 0.5
    fields[name] = fields[_T2].where(~land).clip(266, 314).assign_attrs(units="K")
    encoding = {name: {"_FillValue": np.float32(fill), "chunks": (1, 8, 16)}}
    fields.to_zarr(tmp_path / "a.zarr", zarr_format=zarr_format, consolidated=zarr_format == 2, encoding=encoding)
    assert run(["data", "check", f"{tmp_path / 'a.zarr'}"]).status == 0
    import dataclasses

    task = dataclasses.replace(TASK, prognostic=(_T2, name), diagnostic=(), forcing=())
    frames = Frames(tmp_path / "a.zarr", task, None, missing=True)
    read = frames.at(frames.times[:1])[0][:, frames.layout.columns(name)]
    np.testing.assert_allclose(read.reshape(8, 16), fields[name].values[0], rtol=1e-6)


def test_remote_stores_give_the_same(home, plain, plain_scores, tmp_path):
    with served(home.folder) as url:
        same(statistics(f"{url}/store_v2.zarr", tmp_path / "s"), plain)


# Scores.

_ORDERS = (
    ("hour", "dayofyear", "level", "longitude", "latitude"),
    ("level", "hour", "dayofyear", "latitude", "longitude"),
    ("dayofyear", "hour", "latitude", "longitude", "level"),
)


@pytest.mark.parametrize("order", _ORDERS, ids=" ".join)
def test_a_climatology_is_read_by_the_names_of_its_dimensions(order, home, plain_scores, tmp_path):
    held = xr.open_zarr(home.climatology, consolidated=False).load().drop_encoding()
    turned = held.transpose(*order)
    turned.to_zarr(tmp_path / "c.zarr", zarr_format=3, consolidated=False)
    found = scores(home.forecast, home.store, tmp_path / "s", "--climatology", tmp_path / "c.zarr")
    same(found, plain_scores)


def _format_2(held: xr.Dataset, path: Path) -> Path:
    held.to_zarr(path / "f.zarr", zarr_format=2, consolidated=True)
    return path / "f.zarr"


def _weatherbench(held: xr.Dataset, path: Path) -> Path:
    """The layout of WeatherBench2's forecasts."""
    named = held.drop_vars("valid_time").rename(init_time="time", lead_time="prediction_timedelta")
    named.transpose("time", "prediction_timedelta", "level", "longitude", "latitude").to_zarr(
        path / "f.zarr", zarr_format=2, consolidated=True
    )
    return path / "f.zarr"


def _levels_falling(held: xr.Dataset, path: Path) -> Path:
    held.isel(level=slice(None, None, -1)).to_zarr(path / "f.zarr", zarr_format=3, consolidated=False)
    return path / "f.zarr"


def _dimensions_turned(held: xr.Dataset, path: Path) -> Path:
    turned = held.transpose("longitude", "lead_time", "level", "latitude", "init_time")
    turned.to_zarr(path / "f.zarr", zarr_format=3, consolidated=False)
    return path / "f.zarr"


def _netcdf_forecast(held: xr.Dataset, path: Path) -> Path:
    held.to_netcdf(path / "f.nc", engine="h5netcdf")
    return path / "f.nc"


@pytest.mark.parametrize("write", (_format_2, _weatherbench, _levels_falling, _dimensions_turned, _netcdf_forecast))
def test_forecasts_of_other_layouts_get_the_same_scores(write, home, plain_scores, tmp_path):
    held = xr.open_zarr(home.forecast, consolidated=False, decode_timedelta=True).load().drop_encoding()
    path = write(held, tmp_path)
    same(scores(path, home.store, tmp_path / "s", "--climatology", home.climatology), plain_scores)


def test_one_lost_frame_of_truth_costs_one_date_and_is_said(home, tmp_path):
    """The scores are those of the dates that do not meet the frame."""
    truth = tmp_path / "truth.zarr"
    shutil.copytree(home.store, truth)
    for name in ("geopotential", "temperature", _T2, "total_precipitation_6hr"):
        zarr.open_group(truth, mode="r+")[name][4] = np.nan  # valid at 6 h of the second initial time
    out = tmp_path / "s"
    outcome = run(["evaluate", f"{home.forecast}", "--truth", f"{truth}", "--out", f"{out}"])
    assert not outcome.trace, outcome.trace
    if outcome.status == 2:
        assert "2000-11-02T00" in outcome.lines[0]
        return
    said = outcome.out + outcome.err + (out / "evaluation.json").read_text()
    assert "2000-11-02T00" in said or "2000-11-01T18" in said
    assert any(row["lead_time_hours"] == 6 for row in json.loads((out / "scores.json").read_text()))


# Conversion.


def _converted(source: Path, out: Path) -> xr.Dataset:
    outcome = run(["data", "convert", f"{source}", f"{out}"])
    assert outcome.status == 0 and not outcome.trace, outcome
    checked = run(["data", "check", f"{out}"])
    assert checked.status == 0, checked
    return xr.open_zarr(out, consolidated=False)


@pytest.mark.parametrize("first", (-180.0, 180.0))
def test_longitudes_are_rolled_with_their_values(first, tmp_path):
    fields = dataset()
    rolled = fields.isel(longitude=np.r_[8:16, 0:8]).assign_coords(longitude=first + np.arange(16) * 22.5)
    rolled.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    found = _converted(tmp_path / "a.nc", tmp_path / "c.zarr")
    np.testing.assert_allclose(found.longitude, fields.longitude)
    np.testing.assert_array_equal(found[_T2].transpose("time", "latitude", "longitude"), fields[_T2])


def test_the_valid_time_is_the_time_of_a_field(tmp_path):
    """As cfgrib gives a forecast step: `time` is the reference."""
    fields = dataset()[[_T2]]
    step = np.timedelta64(6, "h").astype("timedelta64[ns]")
    valid = fields.time.values
    cfgrib = fields.assign_coords(
        time=("time", valid - step, {"standard_name": "forecast_reference_time"}),
        step=((), step, {"standard_name": "forecast_period"}),
        valid_time=("time", valid, {"standard_name": "time"}),
    )
    cfgrib.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    outcome = run(["data", "convert", f"{tmp_path / 'a.nc'}", f"{tmp_path / 'c.zarr'}"])
    if outcome.status == 2:
        assert "valid_time" in outcome.lines[0]
        return
    found = xr.open_zarr(tmp_path / "c.zarr", consolidated=False)
    np.testing.assert_array_equal(found.time, valid)


def test_short_names_are_turned_into_long_ones(tmp_path):
    """As the Climate Data Store writes NetCDF now."""
    fields = dataset()
    cds = fields[[_T2, "temperature"]].rename(
        {_T2: "t2m", "temperature": "t", "time": "valid_time", "level": "pressure_level"}
    )
    cds = cds.isel(pressure_level=slice(None, None, -1)).assign_coords(number=0, expver=("valid_time", ["0001"] * 8))
    cds.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    found = _converted(tmp_path / "a.nc", tmp_path / "c.zarr")
    np.testing.assert_array_equal(found[_T2], fields[_T2])
    np.testing.assert_array_equal(found.temperature, fields.temperature)


@pytest.mark.parametrize("axis", ("number", "step", "expver"))
def test_what_convert_cannot_mend_it_does_not_recommend(axis, tmp_path):
    dataset()[[_T2]].expand_dims({axis: [0, 1]}).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    outcome = run(["data", "convert", f"{tmp_path / 'a.nc'}", f"{tmp_path / 'c.zarr'}"])
    if outcome.status == 0:
        assert run(["data", "check", f"{tmp_path / 'c.zarr'}"]).status == 0
        return
    assert outcome.status == 2 and axis in outcome.lines[0] and "data convert`" not in outcome.lines[0]


# Caches.


def _forecast(home: Home, out: Path) -> np.ndarray:
    arguments = f"forecast --checkpoint {home.model} --initial {home.store} --init-time 2000-11-01T06 --lead-time 6h"
    outcome = run([*arguments.split(), "--out", f"{out}"])
    assert outcome.status == 0 and not outcome.trace, outcome
    return xr.open_zarr(out, consolidated=False)[_T2].values


def test_a_cache_that_cannot_be_written_or_read_costs_nothing_but_time(home, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    monkeypatch.setenv("AIRMASS_CACHE", str(cache))
    plain = _forecast(home, tmp_path / "plain.zarr")
    spoilt = [path for path in cache.rglob("*") if path.suffix == ".npz"]
    assert spoilt, "no graph is kept: does this test know where?"
    for path in spoilt:
        path.write_bytes(b"no graph")
    np.testing.assert_array_equal(_forecast(home, tmp_path / "spoilt.zarr"), plain)
    monkeypatch.setenv("AIRMASS_CACHE", "/dev/null/cache")
    np.testing.assert_array_equal(_forecast(home, tmp_path / "nowhere.zarr"), plain)


@pytest.mark.slow
def test_one_step_of_the_processor_is_planned_and_trained_alike(home, tmp_path):
    options = [*OPTIONS, "--model.steps", "1"]
    options = [word for k, word in enumerate(options) if word != "--model.steps" or k == len(options) - 2]
    options = [word for k, word in enumerate(options) if not (word == "2" and options[k - 1] == "8")]
    planned = run(["plan", "demo", "--data", f"{home.store}", *options])
    trained = run(["train", "demo", "--data", f"{home.store}", "--run", f"{tmp_path / 'r'}", *options, *TRAINING], 600)
    assert not planned.trace and not trained.trace, (planned, trained)
    assert planned.status == trained.status


def test_a_value_in_range_is_not_refused(home, tmp_path):
    """The hottest and the coldest that have been."""
    store = _zarr(
        home, tmp_path, arithmetic(_T2, lambda v: np.where(v == v.max(), 329.8, np.where(v == v.min(), 184, v)))
    )
    assert run(["data", "check", f"{store}"]).status == 0
