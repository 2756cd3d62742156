"""Dates, baselines and metrics that are left out for lack of values, and what is said of them."""

from io import StringIO

import numpy as np
import pytest
import xarray as xr

from airmass.evaluation.left_out import THESE
from tests.conftest import make_store
from tests.evaluation.checks import spoilt
from tests.forecasts import (
    HOURS,
    forecast_dataset,
    scored,
    truth_dataset,
    write_forecast,
)

TRUTH = truth_dataset()
Z500 = ("geopotential", 500)


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
        table = scored(
            [growing], store, tmp_path / f"out{hour}", init_times=times
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
def test_a_climatology_that_lacks_values_is_said(shifted, growing, tmp_path, days, what):
    """Day of year 307 is 2000-11-02, on which all forecasts but those to 6 h from the first and last are valid."""
    climatology = xr.open_zarr(shifted / "climatology.zarr", consolidated=False).load()
    climatology["2m_temperature"].loc[{"dayofyear": days, "latitude": climatology.latitude[0]}] = np.nan
    climatology.to_zarr(tmp_path / "c.zarr", zarr_format=3, consolidated=False)
    table, about = spoilt(tmp_path, "temperature", [], growing, climatology=tmp_path / "c.zarr")
    t2m = ("2m_temperature", None)
    assert {(one["variable"], one["what"]) for one in about["left_out_values"]} == {("2m_temperature", what)}
    assert (table.value("graphcast", t2m, 6, "acc") is None) == (what != THESE)
    assert table.value("graphcast", t2m, 6, "rmse") == pytest.approx(
        np.sqrt((4 + 9 + 16) / 3) if what != THESE else 2, rel=1e-4
    )


def test_what_is_undefined_is_said(shifted, tmp_path):
    """A forecast of the climatology has no anomaly."""
    normal = TRUTH.mean("time").expand_dims(time=TRUTH.time).transpose(*TRUTH.geopotential.dims, missing_dims="ignore")
    for name in normal.data_vars:
        normal[name] = normal[name].astype(np.float32).assign_attrs(TRUTH[name].attrs)
    forecast = write_forecast(tmp_path / "f.zarr", forecast_dataset(normal, climatology=shifted / "climatology.zarr"))
    table, about = spoilt(tmp_path, "temperature", [], forecast)
    assert table.value("graphcast", Z500, 6, "acc") is None and table.value("persistence", Z500, 6, "acc") is not None
    assert {one["what"] for one in about["left_out_values"]} == {"acc of graphcast"}
