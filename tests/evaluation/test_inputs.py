"""Inputs that do not fit are refused in one line that names both."""

import json

import numpy as np
import pytest

from airmass.commands.main import main
from airmass.core.errors import InputError
from tests.conftest import make_store
from tests.evaluation.checks import refused
from tests.forecasts import (
    forecast_dataset,
    scored,
    truth_dataset,
    write_forecast,
)

TRUTH = truth_dataset()


def test_truth_without_any_value_is_refused(shifted, tmp_path):
    empty = TRUTH * np.float32(np.nan)
    for name in empty.data_vars:
        empty[name].attrs = TRUTH[name].attrs
    store = make_store(tmp_path / "t.zarr", empty)
    refused(shifted, tmp_path, "t.zarr: has no values at any valid time", truth=store)


def test_an_initial_time_twice(shifted, tmp_path):
    again = write_forecast(tmp_path / "o.zarr", forecast_dataset(TRUTH, (4,)))
    refused(shifted, tmp_path, "2000-11-02T00:00 of graphcast is also in", forecasts=[shifted / "forecast.zarr", again])


def test_nan_in_a_forecast_is_named_by_variable_lead_time_and_count(shifted, tmp_path):
    forecast = forecast_dataset(TRUTH)
    forecast.temperature.values[1, 2, 0, 3, :5] = np.nan
    refused(shifted, tmp_path, "temperature has 5 NaN.*lead time 24 h from 2000-11-02T00:00", forecast)


def test_sea_surface_temperature_may_be_missing_only_where_truth_is(shifted, tmp_path):
    forecast = forecast_dataset(TRUTH)
    row, column = np.argwhere(np.isfinite(TRUTH.sea_surface_temperature.values[0]))[0]
    forecast.sea_surface_temperature.values[0, 0, row, column] = np.nan
    refused(shifted, tmp_path, "sea_surface_temperature has 1 NaN", forecast)


def test_truth_without_a_variable_or_level(shifted, tmp_path):
    store = make_store(tmp_path / "t.zarr", TRUTH, missing_variable="2m_temperature")
    refused(shifted, tmp_path, "missing variable 2m_temperature", truth=store)
    store = make_store(tmp_path / "t2.zarr", TRUTH, missing_level=500)
    refused(shifted, tmp_path, r"missing level \[500\] hPa", truth=store)


def test_a_climatology_that_is_not_there(shifted, tmp_path):
    refused(
        shifted,
        tmp_path,
        "climatology /nowhere.zarr does not exist",
        forecast_dataset(TRUTH, climatology="/nowhere.zarr"),
    )


def test_names_of_baselines_and_of_nothing(shifted, tmp_path):
    refused(shifted, tmp_path, "reserved for the baseline", forecast_dataset(TRUTH, system="persistence"))
    refused(shifted, tmp_path, "no forecast files", forecasts=[])
    refused(shifted, tmp_path, "no coordinate 'init_time', so not a forecast", forecasts=[shifted / "truth.zarr"])


def test_an_existing_output(shifted, tmp_path):
    with pytest.raises(InputError, match="already exists"):
        scored([shifted / "forecast.zarr"], shifted / "truth.zarr", tmp_path)


def test_chosen_variables_are_scored_where_the_truth_holds_no_others(tmp_path, capsys):
    truth = truth_dataset(names=("geopotential", "2m_temperature"))
    forecast = write_forecast(tmp_path / "f.zarr", forecast_dataset(truth))
    make_store(tmp_path / "truth.zarr", truth.drop_vars("geopotential"))
    words = ["evaluate", str(forecast), "--truth", str(tmp_path / "truth.zarr"), "--out", str(tmp_path / "s")]
    assert main(words) == 2
    assert "geopotential" in capsys.readouterr().err
    assert main([*words, "--variables", "2t"]) == 0
    rows = json.loads((tmp_path / "s" / "scores.json").read_text())
    assert {row["variable"] for row in rows} == {"2m_temperature"}
    for names, line in (
        (
            ["tp"],
            "f.zarr: has no total_precipitation_6hr, expected by --variables; it has",
        ),
        (["nonsense"], "nonsense"),
    ):
        assert main([*words[:-1], str(tmp_path / "t"), "--variables", *names]) == 2
        error = capsys.readouterr().err
        assert line in error and error.count("\n") == 1 and not (tmp_path / "t").exists()
