"""SEEPS by the command: with the climatology of `airmass data stats`, and with one in WeatherBench 2's layout."""

import numpy as np
import pytest
import scores as independent
import xarray as xr

from airmass.commands.main import main
from airmass.core.errors import InputError
from airmass.data.formats.climatology import DRY
from airmass.data.preparation.statistics import compute_statistics
from airmass.evaluation.scores import read_scores
from airmass.fields.grid import latitude_weights
from tests.conftest import make_store
from tests.forecasts import ensemble_dataset, opened, scored, truth_dataset, write_forecast

RAIN = "total_precipitation_6hr"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Sixty days of showers, their statistics, and two members that are as good as chance."""
    folder = tmp_path_factory.mktemp("seeps")
    truth = truth_dataset(days=60, names=(RAIN, "geopotential"), start="2000-11-01")
    rng = np.random.default_rng(0)
    truth[RAIN].values[:] = np.maximum(rng.gamma(0.5, 2e-3, truth[RAIN].shape) - 3e-4, 0)
    make_store(folder / "truth.zarr", truth)
    compute_statistics(folder / "truth.zarr", folder / "stats", ("2000-11-01", "2000-12-30"))
    forecast = ensemble_dataset(truth, 2, spread=0.0, init_indices=(8, 10, 12))
    forecast[RAIN].values[:] = rng.permuted(forecast[RAIN].values, axis=1)[..., ::-1]
    write_forecast(folder / "f.zarr", forecast)
    return folder, truth, forecast


def by_scores(truth, forecast, dry_fraction, heavy):
    """SEEPS at 24 h by the library `scores`."""
    dims = ("init_time", "latitude", "longitude")
    valid = forecast.valid_time.sel(lead_time="24h").values
    observed = xr.DataArray(1e3 * truth[RAIN].sel(time=valid).values, dims=dims)
    heavy = xr.DataArray(1e3 * heavy.transpose("init_time", ...).values, dims=dims)
    rows = xr.DataArray(latitude_weights(truth.latitude.values), dims="latitude")
    members = forecast[RAIN].sel(lead_time="24h").transpose("number", *dims).values
    return np.mean([
        independent.categorical.seeps(
            xr.DataArray(1e3 * member, dims=dims), observed, xr.DataArray(dry_fraction.values, dims=dims[1:]), heavy,
            dry_light_threshold=1e3 * DRY[RAIN], weights=rows * xr.ones_like(heavy[0]),
        )
        for member in members
    ])  # fmt: skip


def test_with_our_own_statistics(files, tmp_path):
    folder, truth, forecast = files
    words = ["evaluate", str(folder / "f.zarr"), "--truth", str(folder / "truth.zarr"), "--out", str(tmp_path / "s")]
    assert main([*words, "--climatology", str(folder / "stats")]) == 0
    found = read_scores(tmp_path / "s" / "scores.json").value("gencast", (RAIN, None), 24, "seeps")
    dry_fraction = (truth[RAIN] < DRY[RAIN]).mean("time")
    wet = truth[RAIN].where(truth[RAIN] >= DRY[RAIN]).groupby(truth.time.dt.hour)
    heavy = wet.quantile(2 / 3, "time").drop_vars("quantile").astype(np.float32)  # as stored: ties count
    hours = forecast.valid_time.sel(lead_time="24h").dt.hour
    assert found == pytest.approx(by_scores(truth, forecast, dry_fraction, heavy.sel(hour=hours)), rel=1e-5)
    assert found > 0.5


def test_with_a_climatology_of_weatherbench(files, tmp_path):
    folder, truth, forecast = files
    rng = np.random.default_rng(1)
    shape = {"hour": 4, "dayofyear": 366, "latitude": truth.sizes["latitude"], "longitude": truth.sizes["longitude"]}
    coords = {"hour": [0, 6, 12, 18], "dayofyear": np.arange(1, 367), "latitude": truth.latitude,
              "longitude": truth.longitude}  # fmt: skip
    names = {f"{RAIN}_seeps_dry_fraction": (0.2, 0.9), f"{RAIN}_seeps_threshold": (1e-3, 3e-3)}
    fields = {name: (tuple(shape), rng.uniform(*ends, tuple(shape.values()))) for name, ends in names.items()}
    held = xr.Dataset(fields, coords)
    mean = truth[[RAIN, "geopotential"]].mean("time").expand_dims(hour=held.hour, dayofyear=held.dayofyear)
    held = held.merge(mean)
    held.to_zarr(tmp_path / "c.zarr", zarr_format=2)
    table = scored([folder / "f.zarr"], folder / "truth.zarr", tmp_path / "s", climatology=tmp_path / "c.zarr")
    valid = forecast.valid_time.sel(lead_time="24h")
    heavy = held[f"{RAIN}_seeps_threshold"].sel(hour=valid.dt.hour, dayofyear=valid.dt.dayofyear)
    dry_fraction = held[f"{RAIN}_seeps_dry_fraction"].mean(("hour", "dayofyear"))
    expected = by_scores(truth, forecast, dry_fraction, heavy.drop_vars(("hour", "dayofyear")))
    assert table.value("gencast", (RAIN, None), 24, "seeps") == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: c.assign({f"{RAIN}_seeps_dry_fraction": c[f"{RAIN}_seeps_dry_fraction"] + 1}), "expected fractions"),
        (lambda c: c[f"{RAIN}_seeps_threshold"].attrs.update(units="mm") or c, "has units 'mm', expected 'm'"),
    ],
)
def test_a_bad_climatology_is_refused(files, tmp_path, change, says):
    folder, _, _ = files
    held = xr.open_zarr(folder / "stats" / "climatology.zarr", consolidated=False).load()
    for field in held.variables.values():
        field.encoding = {}
    change(held).to_zarr(tmp_path / "c.zarr", zarr_format=3, consolidated=False)
    with pytest.raises(InputError, match=says):
        scored([folder / "f.zarr"], folder / "truth.zarr", tmp_path / "s", climatology=tmp_path / "c.zarr")
    assert opened([folder / "f.zarr"], folder / "truth.zarr").wetness(RAIN) == (None, None)
