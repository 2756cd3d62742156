"""Forecasts of other systems, other baselines, and scores as tables."""

from io import StringIO

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from rich.console import Console

from airmass.core.errors import InputError
from airmass.evaluation.history import same_day, years_of
from airmass.evaluation.scores import read_scores
from airmass.fields.grid import latitude_weights
from airmass.plots.report.report import write_report
from tests.conftest import make_store
from tests.forecasts import ensemble_dataset, opened, scored, truth_dataset, write_forecast

TRUTH = truth_dataset(names=("geopotential", "2m_temperature"))
T2M = ("2m_temperature", None)


def quiet():
    return Console(file=StringIO())


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("systems")
    make_store(folder / "truth.zarr", TRUTH)
    write_forecast(folder / "e.zarr", ensemble_dataset(TRUTH))
    return folder


def deepmind(forecast):
    """The layout of GenCast's code: (sample, batch, time, level, lat, lon), lead times, datetime."""
    forecast = forecast.drop_vars("valid_time").drop_attrs(deep=False)
    valid = forecast.init_time.values[:, None] + forecast.lead_time.values
    out = forecast.rename(
        init_time="batch", lead_time="time", latitude="lat", longitude="lon", number="sample"
    ).drop_vars(["batch", "sample"])
    return out.transpose("sample", "batch", "time", "level", "lat", "lon").assign_coords(
        datetime=(("batch", "time"), valid)
    )


def test_output_of_published_code_scores_the_same(files, tmp_path):
    deepmind(ensemble_dataset(TRUTH)).to_netcdf(tmp_path / "gencast.nc")
    tables = [
        scored([path], files / "truth.zarr", tmp_path / name)
        for name, path in (("a", tmp_path / "gencast.nc"), ("b", files / "e.zarr"))
    ]
    assert len(tables[0].scores) == len(tables[1].scores)
    for one, other in zip(*(table.scores for table in tables), strict=True):
        assert one == other
    deepmind(ensemble_dataset(TRUTH)).drop_vars("datetime").to_netcdf(tmp_path / "b.nc")
    with pytest.raises(InputError, match=r"b.nc: lead times without a coordinate 'datetime'"):
        opened([tmp_path / "b.nc"], files / "truth.zarr")


def test_probabilistic_climatology_is_an_ensemble_of_other_years(files, tmp_path):
    past = xr.concat(
        [TRUTH.assign_coords(time=same_day(TRUTH.time.values, year)) for year in (1990, 1991, 1995)], "time"
    )
    rng = np.random.default_rng(0)
    for name in past.data_vars:
        past[name] = (past[name] + rng.standard_normal(past[name].shape)).astype(np.float32)
        past[name].attrs = TRUTH[name].attrs
    store = make_store(tmp_path / "past.zarr", past)
    table = scored(
        [files / "e.zarr"], files / "truth.zarr", tmp_path / "s", history=store,
        against="probabilistic_climatology",
    )  # fmt: skip
    assert table.systems[-1] == "probabilistic_climatology"
    # Members are truth plus independent noise: the spread is 1, the error of the mean of three sqrt(1 / 3).
    assert table.value("probabilistic_climatology", T2M, 24, "spread") == pytest.approx(1, abs=0.1)
    assert table.value("probabilistic_climatology", T2M, 24, "rmse") == pytest.approx(3**-0.5, abs=0.1)
    with pytest.raises(InputError, match="days and hours of the forecasts in 0 other years, expected two or more"):
        opened([files / "e.zarr"], files / "truth.zarr", history=files / "truth.zarr")


def test_the_same_day_of_another_year():
    times = np.array(["2000-02-29T06", "2000-12-31T18", "2001-03-01T00"], "datetime64[ns]")
    expected = np.array(["1999-02-28T06", "1999-12-31T18", "1999-03-01T00"], "datetime64[ns]")
    np.testing.assert_array_equal(same_day(times, 1999), expected)
    held = xr.Dataset(coords={"time": np.sort(np.concatenate([same_day(times, year) for year in (1998, 1999, 2000)]))})
    assert years_of(held.isel(time=slice(0, None)), "x", times) == (1998, 1999)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".nc"])
def test_scores_as_a_table(files, tmp_path, suffix):
    path = tmp_path / f"t{suffix}"
    scored([files / "e.zarr"], files / "truth.zarr", tmp_path / "s", table=path, regions=["tropics"])
    table = read_scores(tmp_path / "s" / "scores.json")
    if suffix == ".nc":
        held = xr.open_dataset(path)
        for part, region in ((table, "globe"), (table.over(("tropics", None)), "tropics")):
            at = {"system": "gencast", "metric": "rmse", "lead_time": "24h", "region": region, "period": "all"}
            assert float(held["2m_temperature"].sel(at)) == part.value("gencast", T2M, 24, "rmse")
            assert float(held.geopotential.sel(at | {"level": 500})) == part.value(
                "gencast", ("geopotential", 500), 24, "rmse"
            )
        assert held["2m_temperature"].units == "K"
        return
    rows = pd.read_parquet(path) if suffix == ".parquet" else pd.read_csv(path)
    assert len(rows) == len(table.all_scores) and set(rows.units) == {"K", "m2 s-2", "1"}
    assert [*rows.columns][:6] == ["system", "variable", "level", "lead_time_hours", "metric", "value"]
    np.testing.assert_allclose(rows.value, [score.value for score in table.all_scores], rtol=1e-12)


def test_a_table_of_an_unknown_kind_is_refused_before_anything_is_read(files, tmp_path):
    with pytest.raises(InputError, match=r"t.xlsx: expected a table ending in \.parquet, \.csv, \.nc"):
        scored(["nowhere.zarr"], "nowhere", tmp_path / "s", table=tmp_path / "t.xlsx")
    (files / "t.csv").write_text("")
    with pytest.raises(InputError, match="already exists"):
        scored(["nowhere.zarr"], "nowhere", tmp_path / "s", table=files / "t.csv")


def test_forecasts_of_training_dates_are_told(files, tmp_path):
    forecast = ensemble_dataset(TRUTH)
    forecast.attrs |= {"airmass_training_from": "2000-10-01T00:00", "airmass_training_to": "2000-11-01T18:00"}
    write_forecast(tmp_path / "f.zarr", forecast)
    screen = Console(file=StringIO(), width=300)
    scored([tmp_path / "f.zarr"], files / "truth.zarr", tmp_path / "s", console=screen)
    said = "gencast was trained on 2000-10-01T00:00 to 2000-11-01T18:00: forecasts from 1 of 3 initial times"
    assert said in screen.file.getvalue()
    report = write_report(tmp_path / "r.html", "t", tmp_path / "s")
    assert said in report.read_text()
    forecast.attrs["airmass_training_to"] = "soon"
    write_forecast(tmp_path / "g.zarr", forecast)
    with pytest.raises(InputError, match=r"g.zarr: attributes 'airmass_training_from' and '_to': time 'soon'"):
        scored([tmp_path / "g.zarr"], files / "truth.zarr", tmp_path / "t")


def test_an_ensemble_of_one_member_is_told(files, tmp_path):
    one = ensemble_dataset(TRUTH, 1)
    write_forecast(tmp_path / "one.zarr", one)
    screen = Console(file=StringIO(), width=300)
    table = scored([tmp_path / "one.zarr"], files / "truth.zarr", tmp_path / "s", screen)
    said = "gencast has one member, so it is scored as a single forecast"
    assert said in screen.file.getvalue() and said in (tmp_path / "s" / "evaluation.json").read_text()
    assert "spread" not in table.metrics and table.value("gencast", T2M, 24, "crps") > 0


def test_two_runs_of_one_model_are_told_apart_by_names(files, tmp_path):
    write_forecast(tmp_path / "again.zarr", ensemble_dataset(TRUTH, seed=1))
    paths = [f"first={files / 'e.zarr'}", f"second={tmp_path / 'again.zarr'}"]
    table = scored(paths, files / "truth.zarr", tmp_path / "s")
    assert table.systems == ("first", "second", "persistence")
    with pytest.raises(InputError, match=r"again.zarr gives it another name"):
        opened([files / "e.zarr", tmp_path / "again.zarr"], files / "truth.zarr")
    with pytest.raises(InputError, match="reserved for the truth"):
        opened([f"truth={files / 'e.zarr'}"], files / "truth.zarr")
    with pytest.raises(InputError, match="is or lies in the input"):
        scored(paths, files / "truth.zarr", files / "e.zarr")


def as_weatherbench_x(forecast, truth, init_times, lead_times):
    """Predictions and targets as WeatherBench-X's loaders read them (data_loaders/xarray_loaders.py):
    `PredictionsFromXarray(path, rename_dimensions=None)` and `TargetsFromXarray(path)`."""
    predictions = xr.open_zarr(forecast).sel(init_time=init_times, lead_time=lead_times)
    valid = xr.DataArray(init_times, coords={"init_time": init_times})
    valid = valid + xr.DataArray(lead_times, coords={"lead_time": lead_times})
    return predictions, xr.open_zarr(truth).rename({"time": "valid_time"}).sel(valid_time=valid)


def test_our_forecasts_are_in_the_layout_that_weatherbench_x_reads(files, tmp_path):
    table = scored([files / "e.zarr"], files / "truth.zarr", tmp_path / "s")
    held = xr.open_zarr(files / "e.zarr", consolidated=False)
    leads = np.array([24], "timedelta64[h]").astype("timedelta64[ns]")
    predictions, targets = as_weatherbench_x(files / "e.zarr", files / "truth.zarr", held.init_time.values, leads)
    with xr.set_options(arithmetic_join="exact"):
        squares = (predictions["2m_temperature"].mean("number") - targets["2m_temperature"]) ** 2
    weights = xr.DataArray(latitude_weights(TRUTH.latitude.values), dims="latitude")
    mean = float(np.sqrt(squares.weighted(weights).mean()))
    assert mean == pytest.approx(table.value("gencast", T2M, 24, "rmse"), rel=1e-5)


def test_weatherbench_x_itself_reads_our_forecasts(files):
    loaders = pytest.importorskip("weatherbenchX.data_loaders.xarray_loaders")
    held = xr.open_zarr(files / "e.zarr", consolidated=False)
    leads = np.array([24], "timedelta64[h]").astype("timedelta64[ns]")
    loader = loaders.PredictionsFromXarray(path=str(files / "e.zarr"), rename_dimensions=None)
    chunk = loader.load_chunk(held.init_time.values, leads)
    xr.testing.assert_equal(chunk["2m_temperature"].drop_vars("valid_time", errors="ignore"),
                            held["2m_temperature"].sel(lead_time=leads).drop_vars("valid_time"))  # fmt: skip
