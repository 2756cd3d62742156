"""A real ensemble, ERA5's, against its control: by `airmass evaluate` and by independent libraries."""

from pathlib import Path

import numpy as np
import properscoring
import pytest
import scores as independent
import xarray as xr

from airmass.evaluation.scores import read_rank_histograms
from tests.conftest import make_store
from tests.forecasts import scored, write_forecast

T850 = ("temperature", 850)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """Members 1 to 9 as a forecast of 0 h, member 0 (the control) as truth."""
    folder = tmp_path_factory.mktemp("era5")
    held = xr.open_dataset(Path(__file__).parent / "era5" / "members.nc").load()
    held = held.transpose("number", "time", "level", "latitude", "longitude")
    for variable in held.variables.values():
        variable.encoding = {}
    make_store(folder / "control.zarr", held.isel(number=0, drop=True))
    forecast = held.isel(number=slice(1, None)).rename(time="init_time")
    forecast = forecast.expand_dims(lead_time=np.array([0], "timedelta64[ns]"))
    forecast = forecast.transpose("init_time", "number", "lead_time", "level", "latitude", "longitude")
    forecast.attrs = {"airmass_system": "era5"}
    write_forecast(folder / "members.zarr", forecast)
    table = scored(
        [folder / "members.zarr"], folder / "control.zarr", folder / "s",
        metrics=["crps_biased"],
    )  # fmt: skip
    fields = held.temperature.sel(level=850).astype(float)
    members = fields.isel(number=slice(1, None))
    rows = np.cos(np.deg2rad(fields.latitude))
    half = np.deg2rad(6) / 2
    rows = rows * np.sin(half)
    rows[[0, -1]] = np.sin(half / 2) ** 2  # the caps at the poles
    return table, members, fields.isel(number=0, drop=True), rows, folder


def test_spread_and_error_of_the_mean(evaluated):
    table, members, control, rows, _ = evaluated
    variance = float(members.var("number", ddof=1).weighted(rows).mean())
    error = float(((members.mean("number") - control) ** 2).weighted(rows).mean())
    assert table.value("era5", T850, 0, "spread") == pytest.approx(np.sqrt(variance), rel=1e-6)
    assert table.value("era5", T850, 0, "rmse") == pytest.approx(np.sqrt(error), rel=1e-6)
    assert table.value("era5", T850, 0, "spread_skill") == pytest.approx(np.sqrt(10 / 9 * variance / error), rel=1e-6)
    assert 0.2 < np.sqrt(variance) < 1  # K, of an analysis


def test_crps_against_the_control(evaluated):
    table, members, control, rows, _ = evaluated
    for metric, method in (("crps", "fair"), ("crps_biased", "ecdf")):
        expected = independent.probability.crps_for_ensemble(members, control, "number", method=method, weights=rows)
        assert table.value("era5", T850, 0, metric) == pytest.approx(float(expected), rel=1e-6)
    nodes = properscoring.crps_ensemble(control.values, np.moveaxis(members.values, 0, -1))
    expected = float(xr.DataArray(nodes, control.coords, control.dims).weighted(rows).mean())
    assert table.value("era5", T850, 0, "crps_biased") == pytest.approx(expected, rel=1e-6)


def test_rank_histogram(evaluated):
    _, members, control, rows, folder = evaluated
    (histogram,) = read_rank_histograms(folder / "s")
    theirs = independent.probability.rank_histogram(members, control, "number", reduce_dims="all", weights=rows)
    np.testing.assert_allclose(histogram.shares, theirs / theirs.sum(), atol=1e-6)
