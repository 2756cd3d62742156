"""Scores against a plain computation, the baselines, and other layouts."""

import json
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

import airmass
from airmass.data.formats.forecast_reader import open_forecast
from airmass.evaluation.scores import read_scores
from airmass.fields.grid import latitude_weights
from tests.forecasts import (
    HOURS,
    NAMES,
    forecast_dataset,
    scored,
    truth_dataset,
    write_forecast,
)

TRUTH = truth_dataset()
Z500 = ("geopotential", 500)


@pytest.fixture(scope="module")
def judged(shifted):
    screen = Console(file=StringIO(), width=100)
    table = scored([shifted / "forecast.zarr"], shifted / "truth.zarr", shifted / "scores", console=screen)
    return table, screen.file.getvalue()


def test_constant_error_is_found_in_every_variable_level_and_lead_time(judged):
    table, _ = judged
    for channel in table.channels:
        for hour in HOURS:
            assert table.value("graphcast", channel, hour, "rmse") == pytest.approx(2, abs=2e-3)
            assert table.value("graphcast", channel, hour, "bias") == pytest.approx(2, abs=2e-3)
    assert {name for name, _ in table.channels} == set(NAMES)
    assert table.systems == ("graphcast", "persistence", "climatology")
    assert table.hours == HOURS and {"acc", "bias", "crps", "energy", "mae", "rmse", "std_ratio"} <= set(table.metrics)


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


def test_undefined_values_are_left_out_and_the_file_is_flat(judged, shifted):
    records = json.loads((shifted / "scores" / "scores.json").read_text())
    assert set(records[0]) == {"system", "variable", "level", "lead_time_hours", "metric", "value"}
    assert not [r for r in records if r["system"] == "climatology" and r["metric"] == "acc"]
    assert {r["level"] for r in records if r["variable"] == "2m_temperature"} == {None}
    assert {r["level"] for r in records if r["variable"] == "geopotential"} == {300, 500, 850}
    assert read_scores(shifted / "scores" / "scores.json").scores == judged[0].scores
    about = json.loads((shifted / "scores" / "evaluation.json").read_text())
    assert len(about["init_times"]) == 3 and about["climatology"].endswith("climatology.zarr")


def test_headlines_are_on_screen(judged):
    _, screen = judged
    for text in ("z500", "t850", "2t", "tp", "persistence", "climatology", "24 h", "Anomaly correlation"):
        assert text in screen
    assert "nan" not in screen and max(map(len, screen.splitlines())) <= 80


def test_a_forecast_in_the_layout_of_weatherbench_scores_the_same(judged, shifted, tmp_path):
    forecast = open_forecast(shifted / "forecast.zarr").load().drop_vars("valid_time").drop_attrs(deep=False)
    forecast = forecast.rename(init_time="time", lead_time="prediction_timedelta").isel(latitude=slice(None, None, -1))
    forecast = forecast.transpose("time", "prediction_timedelta", "level", "longitude", "latitude")
    for field in forecast.variables.values():
        field.encoding = {}
    forecast.assign(rain=forecast["2m_temperature"]).to_zarr(tmp_path / "pangu.zarr", zarr_format=2)
    screen = Console(file=StringIO(), width=300)
    other = shifted / "climatology.zarr"
    table = scored([tmp_path / "pangu.zarr"], shifted / "truth.zarr", tmp_path / "s", climatology=other, console=screen)
    assert table.systems == ("pangu", "persistence", "climatology")
    for score, expected in zip(table.scores, judged[0].scores, strict=True):
        assert score.value == expected.value and score.metric == expected.metric
    assert "does not name its system" in screen.file.getvalue() and "leaves out rain" in screen.file.getvalue()


def test_files_of_one_system_are_joined_and_scores_add(judged, shifted, tmp_path):
    parts = []
    for i, indices in enumerate(([6], [2, 4])):
        forecast = forecast_dataset(TRUTH, indices, error=2.0, climatology=shifted / "climatology.zarr")
        parts.append(write_forecast(tmp_path / f"{i}.zarr", forecast))
    table = scored(parts, shifted / "truth.zarr", tmp_path / "out")
    assert len(table.scores) == len(judged[0].scores)
    for one, other in zip(table.scores, judged[0].scores, strict=True):
        assert one.value == pytest.approx(other.value, rel=1e-9, abs=1e-9)


def test_two_systems_are_judged_beside_each_other(shifted, tmp_path):
    other = write_forecast(tmp_path / "o.zarr", forecast_dataset(TRUTH, error=1.0, system="other"))
    table = scored([shifted / "forecast.zarr", other], shifted / "truth.zarr", tmp_path / "out")
    assert table.systems == ("graphcast", "other", "persistence", "climatology")
    assert table.value("other", Z500, 6, "rmse") == pytest.approx(1, abs=2e-3)


def test_without_climatology_the_rest_is_judged(shifted, tmp_path):
    forecast = write_forecast(tmp_path / "f.zarr", forecast_dataset(TRUTH, error=2.0))
    screen = Console(file=StringIO(), width=100)
    table = scored([forecast], shifted / "truth.zarr", tmp_path / "out", console=screen)
    assert table.systems == ("graphcast", "persistence") and "acc" not in table.metrics
    assert {"bias", "crps", "energy", "mae", "rmse", "std_ratio"} <= set(table.metrics)
    assert "No climatology" in screen.file.getvalue()


def test_a_notebook_gets_the_scores_of_the_command(shifted):
    table = scored([shifted / "forecast.zarr"], shifted / "truth.zarr", shifted / "for_notebook")
    scores = airmass.evaluate(shifted / "forecast.zarr", shifted / "truth.zarr")
    assert scores.temperature.dims == ("system", "metric", "lead_time", "level")
    assert scores["2m_temperature"].dims == ("system", "metric", "lead_time")
    assert scores.temperature.attrs["units"] == "K"
    for one in table.scores:
        where = {"system": one.system, "metric": one.metric, "lead_time": np.timedelta64(int(one.lead_time_hours), "h")}
        where |= {} if one.level is None else {"level": one.level}
        assert float(scores[one.variable].sel(where)) == one.value
    assert sum(int(np.isfinite(field).sum()) for field in scores.data_vars.values()) == len(table.scores)


def test_a_notebook_gets_regions_too(shifted):
    scores = airmass.evaluate(shifted / "forecast.zarr", shifted / "truth.zarr", regions=["tropics"])
    assert scores.region.values.tolist() == ["globe", "tropics"] and "period" not in scores.dims
    bias = scores["2m_temperature"].sel(system="graphcast", metric="bias")
    np.testing.assert_allclose(bias, 2, atol=2e-3)
