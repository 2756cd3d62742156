"""Ensembles of different sizes and steps beside single forecasts."""

import json

import numpy as np
import pytest

from airmass.commands.main import main
from airmass.data.formats import forecast_reader as forecast_file
from airmass.data.formats.forecast_reader import open_forecast
from airmass.data.formats.store import open_store
from airmass.data.preparation.statistics import compute_statistics
from airmass.evaluation.metrics.events import rates
from airmass.evaluation.scores import read_event_tables, read_rank_histograms, read_scores, read_spectra
from airmass.fields.grid import latitude_weights
from airmass.plots.events import event_figures
from tests.conftest import make_store
from tests.evaluation.checks import refused
from tests.forecasts import (
    NAMES,
    WINDS,
    ensemble_dataset,
    forecast_dataset,
    scored,
    truth_dataset,
    write_forecast,
)

TRUTH = truth_dataset()


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
    monkeypatch.setattr("airmass.evaluation.scoring.BLOCK_VALUES", 1)
    seen = []

    def read_members(dataset, path, name, index, leads):
        seen.append(len(leads))
        return forecast_file.read_members(dataset, path, name, index, leads)

    monkeypatch.setattr("airmass.evaluation.forecasts.read_members", read_members)
    table = scored(
        [ensembles / "e.zarr"], ensembles / "truth.zarr", tmp_path / "out",
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
        ensembles,
        tmp_path,
        r"lead_time of graphcast is 6 to 24 h every 6 h \(4\), but gencast.*12 to 36 h.*--lead-times",
        **both,
    )
    refused(ensembles, tmp_path, "graphcast has no lead_time 36 h, which was requested", lead_times=["36h"], **both)
    refused(ensembles, tmp_path, "expected one such as 10d", lead_times=["soon"], **both)
    refused(ensembles, tmp_path, "gencast has no init_time 2000-11-02", init_times=["2000-11-02"], **both)
    refused(ensembles, tmp_path, "time .soon.: expected one such as", init_times=["soon"], **both)
    one = {"lead_times": ["common"], "init_times": ["2000-11-03T12"]}
    table = scored(**both, **one, out=tmp_path / "out")
    assert table.hours == (12, 24)
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["init_times"] == ["2000-11-03T12:00"]


def test_nan_in_one_member_is_named(ensembles, tmp_path):
    forecast = ensemble_dataset(TRUTH)
    forecast.temperature.values[1, 2, 1, 0, 3, :5] = np.nan
    store = make_store(tmp_path / "truth.zarr", TRUTH)
    refused(ensembles, tmp_path, "temperature has 5 NaN.*lead time 12 h from 2000-11-02T00:00", forecast, truth=store)


def test_probability_tables_of_events_lie_beside_the_scores_and_give_them(together):
    table, out = together
    held = read_event_tables(out)
    assert {t.event for t in held} == {"below_0.1", "above_0.9"} and {t.system for t in held} == {"gencast", "few"}
    for one in held:
        assert sum(one.area) == pytest.approx(1)
        packed = np.array([*one.area, *one.probability, *one.occurrence])
        hit_rate, false_rate = rates(packed)
        area = table.value(one.system, (one.variable, one.level), one.lead_time_hours, f"roc_area_{one.event}")
        assert area == pytest.approx(np.trapezoid(hit_rate, false_rate), rel=1e-9)
    figures = event_figures(held, table)
    assert set(figures) == {"reliability", "roc", "value"}


def test_error_of_the_wind_vector(together, ensembles):
    table, _ = together
    truth = open_store(ensembles / "truth.zarr")
    forecast = open_forecast(ensembles / "e.zarr", ensemble=True).sel(lead_time=np.timedelta64(12, "h"))
    valid = forecast.init_time.values + np.timedelta64(12, "h")
    squares = sum(
        np.square(forecast[name].astype(float).mean("number").values - truth[name].sel(time=valid).values)
        for name in WINDS
    )
    weights = np.broadcast_to(latitude_weights(truth.latitude.values)[:, None], squares.shape)
    found = table.value("gencast", ("10m_wind_vector", None), 12, "vector_rmse")
    assert found == pytest.approx(np.sqrt(np.average(squares, weights=weights)), rel=1e-6)
