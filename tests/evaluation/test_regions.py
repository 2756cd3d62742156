"""Scores by region and period, and as maps, against plain computations."""

import json
from io import StringIO

import numpy as np
import pytest
import xarray as xr
from rich.console import Console

from airmass.core.errors import InputError
from airmass.evaluation.periods import periods
from airmass.evaluation.regions import BOXES, region_names, region_weights
from airmass.evaluation.scores import read_scores
from airmass.evaluation.scoring import joined, score_variable
from airmass.fields.grid import LatLonGrid, latitude_weights
from tests.conftest import make_store
from tests.forecasts import ensemble_dataset, opened, scored, truth_dataset, write_climatology, write_forecast

TRUTH = truth_dataset(names=("geopotential", "2m_temperature", "sea_surface_temperature"))
T2M = ("2m_temperature", None)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("regions")
    rng = np.random.default_rng(0)
    land = (rng.random((TRUTH.sizes["latitude"], TRUTH.sizes["longitude"])) > 0.6).astype(np.float32)
    mask = xr.DataArray(land, dims=("latitude", "longitude"), attrs={"units": "1"})
    make_store(folder / "truth.zarr", TRUTH.assign(land_sea_mask=mask))
    write_climatology(folder / "c.zarr", TRUTH)
    write_forecast(folder / "e.zarr", ensemble_dataset(TRUTH, climatology=folder / "c.zarr"))
    options = {"regions": ["tropics", "land", "sea", "-30:0", "europe/land"], "by": "hour", "maps": ["24h"]}
    table = scored([folder / "e.zarr"], folder / "truth.zarr", folder / "s", **options)
    return folder, table, land


def quiet():
    return Console(file=StringIO())


def mse(folder, select=None, inits=slice(None)):
    forecast = (
        xr.open_zarr(folder / "e.zarr", consolidated=False)["2m_temperature"]
        .sel(lead_time="24h")
        .astype(float)
        .mean("number")
    )
    forecast = forecast.isel(init_time=inits)
    truth = TRUTH["2m_temperature"].sel(time=forecast.valid_time).drop_vars("time")
    squares = (forecast.astype(float) - truth.astype(float)) ** 2
    weights = xr.DataArray(latitude_weights(TRUTH.latitude.values), dims="latitude")
    weights = weights * xr.ones_like(squares.isel(init_time=0, drop=True))
    return float(squares.weighted(weights if select is None else weights.where(select, 0)).mean())


@pytest.mark.parametrize("region", ["tropics", "land", "sea", "-30:0", "europe/land", None])
def test_a_region_against_a_plain_weighted_mean(files, region):
    folder, table, land = files
    land = xr.DataArray(land > 0.5, dims=("latitude", "longitude"))
    latitude, longitude = TRUTH.latitude, (TRUTH.longitude + 180) % 360 - 180
    europe = (latitude >= 35) & (latitude <= 75) & (longitude >= -12.5) & (longitude <= 42.5)
    select = {
        "tropics": (abs(latitude) <= 20) & (longitude < 999),
        "land": land,
        "sea": ~land,
        "-30:0": (latitude >= -30) & (latitude <= 0) & (longitude < 999),
        "europe/land": europe & land,
    }.get(region)
    found = table.over((region, None)).value("gencast", T2M, 24, "rmse")
    assert found == pytest.approx(np.sqrt(mse(folder, select)), rel=1e-6)


def test_periods_split_the_dates_by_valid_time(files):
    folder, table, _ = files
    inits = xr.open_zarr(folder / "e.zarr", consolidated=False).init_time.values
    for period, chosen in (("12 UTC", [0, 2]), ("00 UTC", [1])):
        assert all(f"{time}"[11:13] == period[:2] for time in inits[chosen])
        found = table.over((None, period)).value("gencast", T2M, 24, "rmse")
        assert found == pytest.approx(np.sqrt(mse(folder, inits=chosen)), rel=1e-6)
    valid = np.array([["2001-02-28T23", "2001-03-01T00"]], "datetime64[ns]")
    assert {name: mask.tolist() for name, mask in periods("season", valid).items()} == {
        "DJF": [[True, False]],
        "MAM": [[False, True]],
    }
    assert list(periods("month", valid)) == ["February", "March"]


def test_rows_have_region_and_period_only_where_asked(files):
    folder, table, _ = files
    rows = json.loads((folder / "s" / "scores.json").read_text())
    assert set(rows[0]) == {"system", "variable", "level", "lead_time_hours", "metric", "value"}
    assert any(row.get("region") == "tropics" and "period" not in row for row in rows)
    assert any(row.get("region") == "tropics" and row.get("period") == "12 UTC" for row in rows)
    again = read_scores(folder / "s" / "scores.json")
    assert again.all_scores == table.all_scores and again.parts == table.parts and len(table.parts) == 6 * 5


def test_the_area_mean_of_a_map_of_squared_errors_is_the_score(files):
    folder, table, _ = files
    maps = xr.open_dataset(folder / "s" / "maps.nc")
    weights = xr.DataArray(latitude_weights(TRUTH.latitude.values), dims="latitude")
    for metric, power in (("rmse", 2), ("crps", 1), ("bias", 1), ("spread", 2)):
        field = maps[f"{metric}_2t"].sel(system="gencast", lead_time="24h").astype(float)
        mean = float((field**power).weighted(weights).mean()) ** (1 / power)
        assert mean == pytest.approx(table.value("gencast", T2M, 24, metric), rel=1e-4, abs=1e-4)
    assert maps["rmse_2t"].units == "K" and "acc_2t" not in maps


def test_any_chunking_over_initial_times_and_members_agrees(files):
    folder, _, _ = files
    data = opened([folder / "e.zarr"], folder / "truth.zarr", regions=["tropics", "30:60"])
    whole = score_variable(data, "geopotential")
    parts = joined([score_variable(data, "geopotential", data.init_times[i : i + 1]) for i in range(3)])
    for metric, values in whole.scores["gencast"].items():
        np.testing.assert_allclose(parts.scores["gencast"][metric], values, rtol=1e-12)
        np.testing.assert_allclose(parts.mean("gencast", metric), whole.mean("gencast", metric), rtol=1e-12)


def test_latitude_bands_make_up_the_globe():
    grid = LatLonGrid.equiangular(36, 72)
    weights = region_weights(region_names(["bands"]), grid)
    np.testing.assert_allclose(weights[1:].sum(axis=0), weights[0])
    hemispheres = region_weights(("tropics", "extratropics", "north-pacific"), grid)
    np.testing.assert_allclose(hemispheres[1] + hemispheres[2], weights[0])
    longitude = grid.nodes[1][hemispheres[3] > 0]
    assert longitude.min() == 145 and longitude.max() == 230  # through the date line
    assert set(region_names(["ecmwf"])) == set(BOXES) and region_names(["n.hem/land"]) == ("northern-hemisphere/land",)


@pytest.mark.parametrize(
    ("regions", "says"),
    [
        (["erope"], "did you mean europe"),
        (["60:30"], "south first"),
        (["30:60:0:999"], "longitude from 0 to 999"),
        (["30:60:a"], "unknown region"),
        (["tropics", "tropics"], "given twice"),
        (["0.1:0.2"], "no grid points"),
        (["land"], "f.zarr: regions land and sea need land_sea_mask"),
    ],
)
def test_bad_regions_are_refused(files, tmp_path, regions, says):
    truth = make_store(tmp_path / "f.zarr", TRUTH)
    with pytest.raises(InputError, match=says):
        opened([files[0] / "e.zarr"], truth, regions=regions)
