"""Judging: values against a plain computation, the baselines, and every refusal."""

import json
from io import StringIO

import numpy as np
import pytest
import xarray as xr
from rich.console import Console

import airmass
from airmass.commands.main import main
from airmass.core.errors import InputError
from airmass.data.formats import forecast_reader as forecast_file
from airmass.data.formats.forecast_reader import open_forecast
from airmass.data.formats.store import open_store
from airmass.data.preparation.statistics import compute_statistics
from airmass.evaluation.evaluate import evaluate
from airmass.evaluation.frames import Frames
from airmass.evaluation.left_out import THESE
from airmass.evaluation.metrics.spectrum import zonal_power
from airmass.evaluation.scores import read_rank_histograms, read_scores, read_spectra
from airmass.fields.grid import latitude_weights
from tests.conftest import make_store
from tests.forecasts import (
    HOURS,
    NAMES,
    WINDS,
    ensemble_dataset,
    forecast_dataset,
    truth_dataset,
    write_climatology,
    write_forecast,
)

TRUTH = truth_dataset()
Z500 = ("geopotential", 500)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Truth, climatology and a forecast that is 2 units too high everywhere."""
    folder = tmp_path_factory.mktemp("judging")
    make_store(folder / "truth.zarr", TRUTH)
    write_climatology(folder / "climatology.zarr", TRUTH)
    forecast = forecast_dataset(TRUTH, error=2.0, climatology=folder / "climatology.zarr")
    write_forecast(folder / "forecast.zarr", forecast)
    return folder


@pytest.fixture(scope="module")
def judged(files):
    screen = Console(file=StringIO(), width=100)
    table = evaluate([files / "forecast.zarr"], files / "truth.zarr", files / "scores", console=screen)
    return table, screen.file.getvalue()


def refused(files, tmp_path, match, forecast=None, **options):
    paths = [files / "forecast.zarr"] if forecast is None else [write_forecast(tmp_path / "f.zarr", forecast)]
    arguments = {"forecasts": paths, "truth": files / "truth.zarr", "out": tmp_path / "out"} | options
    with pytest.raises(InputError, match=match) as caught:
        evaluate(**arguments, console=Console(file=StringIO()))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".out*"))


def test_constant_error_is_found_in_every_variable_level_and_lead_time(judged):
    table, _ = judged
    for channel in table.channels:
        for hour in HOURS:
            assert table.value("graphcast", channel, hour, "rmse") == pytest.approx(2, abs=2e-3)
            assert table.value("graphcast", channel, hour, "bias") == pytest.approx(2, abs=2e-3)
    assert {name for name, _ in table.channels} == set(NAMES)
    assert table.systems == ("graphcast", "persistence", "climatology")
    assert table.hours == HOURS and table.metrics == ("acc", "bias", "crps", "energy", "mae", "rmse", "std_ratio")


def expected(candidate, truth, normal):
    """RMSE, bias and ACC of (init_time, latitude, longitude) fields, written out without the package."""
    weights = latitude_weights(TRUTH.latitude.values)[:, None] * np.ones(truth.shape[1:])

    def mean(x):
        return np.average(x, axis=(1, 2), weights=np.broadcast_to(weights, x.shape))

    f, o = candidate - normal, truth - normal
    rmse, bias = np.sqrt(mean((candidate - truth) ** 2).mean()), mean(candidate - truth).mean()
    return rmse, bias, (mean(f * o) / np.sqrt(mean(f**2) * mean(o**2))).mean()


@pytest.mark.parametrize("hour", HOURS)
def test_persistence_and_climatology_against_a_plain_computation(judged, hour):
    table, _ = judged
    field = TRUTH.geopotential.sel(level=500).values.astype(np.float64)
    inits = np.array([2, 4, 6])
    normal = TRUTH.geopotential.mean("time").sel(level=500).values.astype(np.float64)
    rmse, bias, acc = expected(field[inits], field[inits + hour // 6], normal)
    assert table.value("persistence", Z500, hour, "rmse") == pytest.approx(rmse, rel=1e-6)
    assert table.value("persistence", Z500, hour, "bias") == pytest.approx(bias, rel=1e-3)
    assert table.value("persistence", Z500, hour, "acc") == pytest.approx(acc, rel=1e-6)
    spread = np.sqrt(np.mean([expected(normal[None], field[i + hour // 6][None], 0.0)[0] ** 2 for i in inits]))
    assert table.value("climatology", Z500, hour, "rmse") == pytest.approx(spread, rel=1e-6)


def test_undefined_values_are_left_out_and_the_file_is_flat(judged, files):
    records = json.loads((files / "scores" / "scores.json").read_text())
    assert set(records[0]) == {"system", "variable", "level", "lead_time_hours", "metric", "value"}
    assert not [r for r in records if r["system"] == "climatology" and r["metric"] == "acc"]
    assert {r["level"] for r in records if r["variable"] == "2m_temperature"} == {None}
    assert {r["level"] for r in records if r["variable"] == "geopotential"} == {300, 500, 850}
    assert read_scores(files / "scores" / "scores.json").scores == judged[0].scores
    about = json.loads((files / "scores" / "evaluation.json").read_text())
    assert len(about["init_times"]) == 3 and about["climatology"].endswith("climatology.zarr")


def test_headlines_are_on_screen(judged):
    _, screen = judged
    for text in ("z500", "t850", "2t", "tp", "persistence", "climatology", "24 h", "Anomaly correlation"):
        assert text in screen
    assert "nan" not in screen and max(map(len, screen.splitlines())) <= 80


def test_a_forecast_in_the_layout_of_weatherbench_scores_the_same(judged, files, tmp_path):
    forecast = open_forecast(files / "forecast.zarr").load().drop_vars("valid_time").drop_attrs(deep=False)
    forecast = forecast.rename(init_time="time", lead_time="prediction_timedelta").isel(latitude=slice(None, None, -1))
    forecast = forecast.transpose("time", "prediction_timedelta", "level", "longitude", "latitude")
    for field in forecast.variables.values():
        field.encoding = {}
    forecast.assign(rain=forecast["2m_temperature"]).to_zarr(tmp_path / "pangu.zarr", zarr_format=2)
    screen = Console(file=StringIO(), width=300)
    other = files / "climatology.zarr"
    table = evaluate([tmp_path / "pangu.zarr"], files / "truth.zarr", tmp_path / "s", climatology=other, console=screen)
    assert table.systems == ("pangu", "persistence", "climatology")
    for score, expected in zip(table.scores, judged[0].scores, strict=True):
        assert score.value == expected.value and score.metric == expected.metric
    assert "does not name its system" in screen.file.getvalue() and "leaves out rain" in screen.file.getvalue()


def test_files_of_one_system_are_joined_and_scores_add(judged, files, tmp_path):
    parts = []
    for i, indices in enumerate(([6], [2, 4])):
        forecast = forecast_dataset(TRUTH, indices, error=2.0, climatology=files / "climatology.zarr")
        parts.append(write_forecast(tmp_path / f"{i}.zarr", forecast))
    table = evaluate(parts, files / "truth.zarr", tmp_path / "out", console=Console(file=StringIO()))
    assert len(table.scores) == len(judged[0].scores)
    for one, other in zip(table.scores, judged[0].scores, strict=True):
        assert one.value == pytest.approx(other.value, rel=1e-9, abs=1e-9)


def test_two_systems_are_judged_beside_each_other(files, tmp_path):
    other = write_forecast(tmp_path / "o.zarr", forecast_dataset(TRUTH, error=1.0, system="other"))
    table = evaluate(
        [files / "forecast.zarr", other], files / "truth.zarr", tmp_path / "out", console=Console(file=StringIO())
    )
    assert table.systems == ("graphcast", "other", "persistence", "climatology")
    assert table.value("other", Z500, 6, "rmse") == pytest.approx(1, abs=2e-3)


def test_without_climatology_the_rest_is_judged(files, tmp_path):
    forecast = write_forecast(tmp_path / "f.zarr", forecast_dataset(TRUTH, error=2.0))
    screen = Console(file=StringIO(), width=100)
    table = evaluate([forecast], files / "truth.zarr", tmp_path / "out", console=screen)
    assert table.systems == ("graphcast", "persistence") and table.metrics == (
        "bias",
        "crps",
        "energy",
        "mae",
        "rmse",
        "std_ratio",
    )
    assert "No climatology" in screen.file.getvalue()


def spoilt(tmp_path, name, index, forecast, screen=None, climatology=None, **options):
    """Scores against a truth that lacks a field at some times, and what `evaluation.json` says was left out."""
    truth = TRUTH.copy(deep=True)
    truth[name].values[index] = np.nan
    store = make_store(tmp_path / "truth.zarr", truth)
    console = Console(file=screen or StringIO(), width=200)
    table = evaluate([forecast], store, tmp_path / "out", climatology, console, **options)
    return table, json.loads((tmp_path / "out" / "evaluation.json").read_text())


@pytest.fixture(scope="module")
def growing(files):
    """A forecast whose error is 2, 3 and 4 from its three initial times, so that each date shows in a mean."""
    forecast = forecast_dataset(TRUTH, error=2.0, climatology=files / "climatology.zarr")
    forecast = forecast + xr.DataArray(np.arange(3, dtype=np.float32), dims="init_time")
    for name in forecast.data_vars:
        forecast[name].attrs = TRUTH[name].attrs
    forecast.attrs = {"airmass_system": "graphcast", "airmass_climatology": str(files / "climatology.zarr")}
    return write_forecast(files / "growing.zarr", forecast)


def test_one_lost_frame_of_truth_leaves_its_dates_out_and_says_so(growing, tmp_path):
    """Frame 5 is valid 6 h after initial time 4 and 24 h after none; frames 2, 4 and 6 are the initial times."""
    screen = StringIO()
    table, about = spoilt(tmp_path, "2m_temperature", 5, growing, screen)
    t2m = ("2m_temperature", None)
    for system in ("graphcast", "persistence", "climatology"):
        assert table.value(system, t2m, 6, "rmse") is not None
    assert table.value("graphcast", t2m, 6, "rmse") == pytest.approx(np.sqrt((2**2 + 4**2) / 2), rel=1e-4)
    assert table.value("graphcast", t2m, 12, "rmse") == pytest.approx(np.sqrt((4 + 9 + 16) / 3), rel=1e-4)
    assert table.value("graphcast", Z500, 6, "rmse") == pytest.approx(np.sqrt((4 + 9 + 16) / 3), rel=1e-3)
    reason = "the truth has no values at the valid time"
    assert about["left_out_values"] == [
        {
            "variable": "2m_temperature",
            "levels": None,
            "lead_time_hours": 6,
            "init_times": ["2000-11-02T00:00"],
            "what": "these initial times",
            "reason": reason,
        }
    ]
    said = (
        f"2m_temperature: 1 of 9 forecasts (at 1 of 3 lead times) count for no system, as {reason} (2000-11-02T06:00)."
    )
    assert about["left_out"][1:] == [said] and said in screen.getvalue()
    assert "RMSE over up to 3 initial times" in screen.getvalue()


def test_a_lost_frame_equals_an_evaluation_without_that_date(growing, tmp_path):
    """Truth lost at an initial time: that date counts for no system, as persistence has none."""
    whole, _ = spoilt(tmp_path, "geopotential", 6, growing)  # initial time 2, 24 h after initial time 2, 12 h after 4
    inits = {6: ["2000-11-01T12", "2000-11-02T00"], 12: ["2000-11-01T12"], 24: ["2000-11-02T00"]}
    for hour, times in inits.items():
        store = make_store(tmp_path / f"{hour}.zarr", TRUTH)
        table = evaluate(
            [growing], store, tmp_path / f"out{hour}", console=Console(file=StringIO()), init_times=times
        )  # fmt: skip
        for system in table.systems:
            for metric in table.metrics:
                found, expected = (held.value(system, Z500, hour, metric) for held in (whole, table))
                assert found == (None if expected is None else pytest.approx(expected, rel=1e-12))


def test_a_baseline_without_any_value_is_left_out_itself(growing, tmp_path):
    """The first accumulation of an archive is missing: at the only initial time, persistence has nothing."""
    table, about = spoilt(tmp_path, "total_precipitation_6hr", 2, growing, init_times=["2000-11-01T12"])
    rain = ("total_precipitation_6hr", None)
    assert table.value("graphcast", rain, 6, "rmse") == pytest.approx(2, abs=1e-3)
    assert table.value("persistence", rain, 6, "rmse") is None
    assert table.value("climatology", rain, 6, "rmse") is not None
    assert [(one["what"], one["lead_time_hours"]) for one in about["left_out_values"]] == [
        ("persistence", hour) for hour in HOURS
    ]


@pytest.mark.parametrize(("days", "what"), [(slice(None), "climatology and anomaly correlation"), (307, THESE)])
def test_a_climatology_that_lacks_values_is_said(files, growing, tmp_path, days, what):
    """Day of year 307 is 2000-11-02, on which all forecasts but those to 6 h from the first and last are valid."""
    climatology = xr.open_zarr(files / "climatology.zarr", consolidated=False).load()
    climatology["2m_temperature"].loc[{"dayofyear": days, "latitude": climatology.latitude[0]}] = np.nan
    climatology.to_zarr(tmp_path / "c.zarr", zarr_format=3, consolidated=False)
    table, about = spoilt(tmp_path, "temperature", [], growing, climatology=tmp_path / "c.zarr")
    t2m = ("2m_temperature", None)
    assert {(one["variable"], one["what"]) for one in about["left_out_values"]} == {("2m_temperature", what)}
    assert (table.value("graphcast", t2m, 6, "acc") is None) == (what != THESE)
    assert table.value("graphcast", t2m, 6, "rmse") == pytest.approx(
        np.sqrt((4 + 9 + 16) / 3) if what != THESE else 2, rel=1e-4
    )


def test_what_is_undefined_is_said(files, tmp_path):
    """A forecast of the climatology has no anomaly."""
    normal = TRUTH.mean("time").expand_dims(time=TRUTH.time).transpose(*TRUTH.geopotential.dims, missing_dims="ignore")
    for name in normal.data_vars:
        normal[name] = normal[name].astype(np.float32).assign_attrs(TRUTH[name].attrs)
    forecast = write_forecast(tmp_path / "f.zarr", forecast_dataset(normal, climatology=files / "climatology.zarr"))
    table, about = spoilt(tmp_path, "temperature", [], forecast)
    assert table.value("graphcast", Z500, 6, "acc") is None and table.value("persistence", Z500, 6, "acc") is not None
    assert {one["what"] for one in about["left_out_values"]} == {"acc of graphcast"}


def test_truth_without_any_value_is_refused(files, tmp_path):
    empty = TRUTH * np.float32(np.nan)
    for name in empty.data_vars:
        empty[name].attrs = TRUTH[name].attrs
    store = make_store(tmp_path / "t.zarr", empty)
    refused(files, tmp_path, "t.zarr: has no values at any valid time", truth=store)


def test_spectra_are_over_the_same_dates_and_at_scored_lead_times(growing, files, tmp_path):
    spoilt(tmp_path, "geopotential", 5, growing, spectra=["6h"])
    held = {s.system: s for s in read_spectra(tmp_path / "out") if s.variable == "geopotential"}
    fields = TRUTH.geopotential.sel(level=500).values[[3, 7]]  # not that of frame 5
    expected = np.mean([zonal_power(field, TRUTH.latitude.values) for field in fields], axis=0)
    np.testing.assert_allclose(held["truth"].power, expected, rtol=1e-9)
    np.testing.assert_allclose(held["graphcast"].ratio[1:4], 1, rtol=1e-3)
    refused(files, tmp_path / "two", "spectra at 24 h: not among the lead times", lead_times=["6h"], spectra=["24h"])


def test_dates_that_truth_lacks(files, tmp_path):
    store = make_store(tmp_path / "t.zarr", TRUTH, missing_time=5)
    refused(files, tmp_path, "missing time 2000-11-02T06:00", truth=store)


def test_other_dates_between_systems_show_both(files, tmp_path):
    other = write_forecast(tmp_path / "o.zarr", forecast_dataset(TRUTH, (2, 4, 7), system="other"))
    match = "2000-11-01T12:00 to 2000-11-02T18:00.*2000-11-01T12:00 to 2000-11-02T12:00"
    refused(files, tmp_path, match, forecasts=[files / "forecast.zarr", other])


def test_an_initial_time_twice(files, tmp_path):
    again = write_forecast(tmp_path / "o.zarr", forecast_dataset(TRUTH, (4,)))
    refused(files, tmp_path, "2000-11-02T00:00 of graphcast is also in", forecasts=[files / "forecast.zarr", again])


def test_nan_in_a_forecast_is_named_by_variable_lead_time_and_count(files, tmp_path):
    forecast = forecast_dataset(TRUTH)
    forecast.temperature.values[1, 2, 0, 3, :5] = np.nan
    refused(files, tmp_path, "temperature has 5 NaN.*lead time 24 h from 2000-11-02T00:00", forecast)


def test_sea_surface_temperature_may_be_missing_only_where_truth_is(files, tmp_path):
    forecast = forecast_dataset(TRUTH)
    row, column = np.argwhere(np.isfinite(TRUTH.sea_surface_temperature.values[0]))[0]
    forecast.sea_surface_temperature.values[0, 0, row, column] = np.nan
    refused(files, tmp_path, "sea_surface_temperature has 1 NaN", forecast)


def test_holes_in_truth_are_refused(files, tmp_path):
    store = make_store(tmp_path / "t.zarr", TRUTH.isel(time=slice(2, None)), nan="2m_temperature")
    refused(files, tmp_path, "t.zarr: 2m_temperature has 1 NaN.*2000-11-01T18:00", truth=store)


def test_another_grid_shows_both(files, tmp_path):
    store = make_store(tmp_path / "t.zarr", truth_dataset(n_latitude=16, n_longitude=32))
    refused(files, tmp_path, "32 x 16.*16 x 8", truth=store)


def test_other_units(files, tmp_path):
    forecast = forecast_dataset(TRUTH)
    forecast["2m_temperature"].attrs["units"] = "degC"
    refused(files, tmp_path, "2m_temperature has units 'degC', expected 'K'", forecast)


def test_truth_without_a_variable_or_level(files, tmp_path):
    store = make_store(tmp_path / "t.zarr", TRUTH, missing_variable="2m_temperature")
    refused(files, tmp_path, "missing variable 2m_temperature", truth=store)
    store = make_store(tmp_path / "t2.zarr", TRUTH, missing_level=500)
    refused(files, tmp_path, r"missing level \[500\] hPa", truth=store)


def test_a_climatology_that_is_not_there(files, tmp_path):
    refused(
        files,
        tmp_path,
        "climatology /nowhere.zarr does not exist",
        forecast_dataset(TRUTH, climatology="/nowhere.zarr"),
    )


def test_names_of_baselines_and_of_nothing(files, tmp_path):
    refused(files, tmp_path, "reserved for the baseline", forecast_dataset(TRUTH, system="persistence"))
    refused(files, tmp_path, "no forecast files", forecasts=[])
    refused(files, tmp_path, "no coordinate 'init_time', so not a forecast", forecasts=[files / "truth.zarr"])


def test_an_existing_output(files, tmp_path):
    with pytest.raises(InputError, match="already exists"):
        evaluate([files / "forecast.zarr"], files / "truth.zarr", tmp_path)


def test_frames_are_read_once_and_forgotten():
    times = np.datetime64("2000-01-01", "ns") + np.arange(10) * np.timedelta64(6, "h")
    reads = []

    def read(wanted):
        reads.extend(wanted)
        return np.searchsorted(times, wanted)[:, None, None].astype(np.float32)

    frames = Frames(read, times, frame_bytes=1 << 27)  # two at once
    np.testing.assert_array_equal(frames.at(times[[3, 0, 5]])[:, 0, 0], [3, 0, 5])
    np.testing.assert_array_equal(frames.at(times[:7])[:, 0, 0], np.arange(7))
    assert len(reads) == len(set(reads))
    frames.forget_before(times[4])
    frames.at(times[4:5])
    assert len(reads) == len(set(reads))


@pytest.fixture(scope="module")
def ensembles(tmp_path_factory):
    """Truth with winds, a climatology of it with quantiles, an ensemble at steps of 12 h and a forecast at 6 h."""
    folder = tmp_path_factory.mktemp("ensembles")
    truth = truth_dataset(days=60, names=(*NAMES, *WINDS), start="2000-11-01")
    make_store(folder / "truth.zarr", truth)
    compute_statistics(folder / "truth.zarr", folder / "statistics", ("2000-11-01", "2000-12-30"))
    climatology = folder / "statistics" / "climatology.zarr"
    options = {"init_indices": (8, 10, 12), "climatology": climatology}
    write_forecast(folder / "e.zarr", ensemble_dataset(truth, lead_hours=(12, 24, 36), **options))
    write_forecast(folder / "d.zarr", forecast_dataset(truth, lead_hours=(6, 12, 18, 24), error=2.0, **options))
    write_forecast(folder / "few.zarr", ensemble_dataset(truth, 2, lead_hours=(12, 24), system="few", **options))
    return folder


@pytest.fixture(scope="module")
def together(ensembles):
    """Judged by the command itself."""
    paths = [str(ensembles / name) for name in ("e.zarr", "d.zarr", "few.zarr")]
    out = ensembles / "scores"
    options = ["--truth", str(ensembles / "truth.zarr"), "--out", str(out)]
    assert main(["evaluate", *paths, *options, "--lead-times", "12h", "24h", "--spectra", "24h"]) == 0
    return read_scores(out / "scores.json"), out


def test_ensembles_of_different_sizes_and_steps_are_judged_with_single_forecasts(together):
    table, out = together
    assert table.systems == ("few", "gencast", "graphcast", "persistence", "climatology") and table.hours == (12, 24)
    t500 = ("temperature", 500)
    for hour in (12, 24):
        for system, m in (("gencast", 4), ("few", 2)):
            # Members scatter about the truth by 2; their mean is off by 2 / sqrt(m).
            assert table.value(system, t500, hour, "spread") == pytest.approx(2, rel=0.15)
            assert table.value(system, t500, hour, "rmse") == pytest.approx(2 / np.sqrt(m), rel=0.15)
            assert table.value(system, t500, hour, "spread_skill") == pytest.approx(np.sqrt(m + 1), rel=0.15)
            fair = 2 * np.sqrt(2 / np.pi) - 2 / np.sqrt(np.pi)
            assert table.value(system, t500, hour, "crps") == pytest.approx(fair, rel=0.15)
        assert table.value("graphcast", t500, hour, "crps") == pytest.approx(2, abs=2e-3)
        assert table.value("graphcast", t500, hour, "spread") is None
    about = json.loads((out / "evaluation.json").read_text())
    assert about["members"] == {"few": 2, "gencast": 4, "graphcast": 1} and about["left_out"] == []


def test_extremes_are_judged_of_the_temperature_and_of_the_wind_speed(together, ensembles):
    table, _ = together
    truth = open_store(ensembles / "truth.zarr")
    speed = np.hypot(truth[WINDS[0]], truth[WINDS[1]]).values
    wind = ("10m_wind_speed", None)
    at_hour = truth.time.dt.hour.values
    weights = np.repeat(latitude_weights(truth.latitude.values), 16).reshape(8, 16)
    members = open_forecast(ensembles / "e.zarr", ensemble=True).sel(lead_time=np.timedelta64(12, "h"))
    members = np.hypot(members[WINDS[0]], members[WINDS[1]]).values
    persistence, gencast, usual = [], [], []
    for i, start in enumerate((8, 10, 12)):
        limit = np.quantile(speed[at_hour == at_hour[start + 2]], 0.9, axis=0)
        event = (speed[start + 2] > limit).astype(float)
        shares = (speed[start] > limit), (members[i] > limit).mean(axis=0), 0.1
        for scores, share in zip((persistence, gencast, usual), shares, strict=True):
            scores.append(np.average((share - event) ** 2, weights=weights))
    assert table.value("persistence", wind, 12, "brier_above_0.9") == pytest.approx(np.mean(persistence), abs=1e-6)
    assert table.value("gencast", wind, 12, "brier_above_0.9") == pytest.approx(np.mean(gencast), abs=1e-6)
    skill = 1 - np.mean(gencast) / np.mean(usual)
    assert table.value("gencast", wind, 12, "brier_skill_above_0.9") == pytest.approx(skill, rel=1e-4)
    assert table.value("gencast", ("2m_temperature", None), 24, "brier_skill_below_0.05") is not None
    assert table.value("climatology", ("2m_temperature", None), 24, "brier_skill_below_0.05") is None
    assert table.value("gencast", wind, 24, "acc") is None and table.value("gencast", wind, 24, "crps") > 0
    assert table.value("gencast", wind, 24, "brier_below_0.1") is None


def test_rank_histograms_and_spectra_lie_beside_the_scores(together):
    _, out = together
    histograms = read_rank_histograms(out)
    assert {(h.system, len(h.shares)) for h in histograms} == {("gencast", 5), ("few", 3)}
    assert all(sum(h.shares) == pytest.approx(1) for h in histograms)
    spectra = read_spectra(out)
    assert {(s.system, s.of_mean) for s in spectra} == {
        ("truth", False), ("graphcast", False), ("gencast", False), ("gencast", True), ("few", False), ("few", True)
    }  # fmt: skip
    assert {s.lead_time_hours for s in spectra} == {24} and {len(s.power) for s in spectra} == {9}
    for spectrum in spectra:
        if spectrum.variable == "temperature" and spectrum.system == "graphcast":  # truth and a constant
            np.testing.assert_allclose(spectrum.ratio[1:4], 1, rtol=1e-3)
        if spectrum.variable == "temperature" and spectrum.system == "gencast":  # white noise beside smooth waves
            assert spectrum.ratio[8] > 10


def test_memory_is_for_a_few_lead_times_and_blocks_change_nothing(together, ensembles, tmp_path, monkeypatch):
    monkeypatch.setattr("airmass.evaluation.inputs.READ_BYTES", 1)
    monkeypatch.setattr("airmass.evaluation.scoring._BLOCK_VALUES", 1)
    seen = []

    def read_members(dataset, path, name, index, leads):
        seen.append(len(leads))
        return forecast_file.read_members(dataset, path, name, index, leads)

    monkeypatch.setattr("airmass.evaluation.forecasts.read_members", read_members)
    table = evaluate(
        [ensembles / "e.zarr"], ensembles / "truth.zarr", tmp_path / "out", console=Console(file=StringIO()),
        lead_times=["common"],
    )  # fmt: skip
    assert set(seen) == {1}
    for score in together[0].scores:
        if score.system == "gencast":
            channel = (score.variable, score.level)
            found = table.value("gencast", channel, score.lead_time_hours, score.metric)
            assert found == pytest.approx(score.value, rel=1e-9, abs=1e-12)


def test_lead_and_initial_times_are_chosen_or_the_same(ensembles, tmp_path):
    both = {"forecasts": [ensembles / "e.zarr", ensembles / "d.zarr"], "truth": ensembles / "truth.zarr"}
    refused(
        ensembles, tmp_path, r"lead_time of graphcast is 6 to 24 h \(4\), but gencast.*12 to 36 h.*--lead-times", **both
    )
    refused(ensembles, tmp_path, "graphcast has no lead_time 36 h, which was requested", lead_times=["36h"], **both)
    refused(ensembles, tmp_path, "expected one such as 10d", lead_times=["soon"], **both)
    refused(ensembles, tmp_path, "gencast has no init_time 2000-11-02", init_times=["2000-11-02"], **both)
    refused(ensembles, tmp_path, "time .soon.: expected one such as", init_times=["soon"], **both)
    one = {"lead_times": ["common"], "init_times": ["2000-11-03T12"]}
    table = evaluate(**both, **one, out=tmp_path / "out", console=Console(file=StringIO()))
    assert table.hours == (12, 24)
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["init_times"] == ["2000-11-03T12:00"]


def test_nan_in_one_member_is_named(ensembles, tmp_path):
    forecast = ensemble_dataset(TRUTH)
    forecast.temperature.values[1, 2, 1, 0, 3, :5] = np.nan
    store = make_store(tmp_path / "truth.zarr", TRUTH)
    refused(ensembles, tmp_path, "temperature has 5 NaN.*lead time 12 h from 2000-11-02T00:00", forecast, truth=store)


def test_a_notebook_gets_the_scores_of_the_command(files):
    table = evaluate(
        [files / "forecast.zarr"], files / "truth.zarr", files / "for_notebook", console=Console(file=StringIO())
    )
    scores = airmass.evaluate(files / "forecast.zarr", files / "truth.zarr")
    assert scores.temperature.dims == ("system", "metric", "lead_time", "level")
    assert scores["2m_temperature"].dims == ("system", "metric", "lead_time")
    assert scores.temperature.attrs["units"] == "K"
    for one in table.scores:
        where = {"system": one.system, "metric": one.metric, "lead_time": np.timedelta64(int(one.lead_time_hours), "h")}
        where |= {} if one.level is None else {"level": one.level}
        assert float(scores[one.variable].sel(where)) == one.value
    assert sum(int(np.isfinite(field).sum()) for field in scores.data_vars.values()) == len(table.scores)
