"""Scores of forecasts that are not kept: those of the stored ones, and going on after a stop."""

from io import StringIO

import pytest
from rich.console import Console

from airmass.commands.main import main
from airmass.core.errors import InputError
from airmass.evaluation.scores import read_rank_histograms
from airmass.forecasting import scored
from airmass.forecasting.forecast import forecast
from airmass.forecasting.request import ForecastRequest
from tests import forecasts

DAYS = ("2000-11-02T00", "2000-11-02T12", "2000-11-03T00")
MEMBERS = {"members": 2, "perturb": 0.5, "lead_time": "12h", "init_time": DAYS}


def quiet():
    return Console(file=StringIO())


@pytest.mark.slow
def test_scores_are_those_of_the_stored_forecast_and_a_stop_costs_one_initial_time(
    small_run, small_store, tmp_path, monkeypatch
):
    request = ForecastRequest(small_run, small_store, tmp_path / "scores", score_against=str(small_store), **MEMBERS)
    made = []

    def stops(asked):
        made.append(asked.init_time)
        if len(made) == 2:
            raise KeyboardInterrupt
        return forecast(asked)

    monkeypatch.setattr(scored, "forecast", stops)
    with pytest.raises(KeyboardInterrupt):
        scored.forecast_and_score(request, quiet())
    assert not (tmp_path / "scores").exists()
    table = scored.forecast_and_score(request, quiet())
    assert made == [("2000-11-02T00:00",), ("2000-11-02T12:00",), ("2000-11-02T12:00",), ("2000-11-03T00:00",)]
    assert [path.name for path in tmp_path.iterdir()] == ["scores"]  # no forecast is kept
    stored = forecast(ForecastRequest(small_run, small_store, tmp_path / "f.zarr", **MEMBERS))
    expected = forecasts.scored([stored], small_store, tmp_path / "expected")
    assert table.scores == expected.scores and len(table.scores) > 50
    assert read_rank_histograms(tmp_path / "scores") == read_rank_histograms(tmp_path / "expected")


def test_it_is_refused_before_anything_is_made(small_run, small_store, tmp_path, capsys):
    late = ForecastRequest(
        small_run,
        small_store,
        tmp_path / "s",
        score_against=str(small_store),
        init_time=("2000-11-05T12",),
        lead_time="1d",
    )
    with pytest.raises(InputError, match=r"store.zarr: missing time 2000-11-06"):
        scored.forecast_and_score(late, quiet())
    assert not list(tmp_path.iterdir())


def test_an_output_that_is_no_folder_of_scores_is_refused(small_store, tmp_path, capsys):
    words = ["forecast", "--checkpoint", "run", "--initial", str(small_store), "--out", str(tmp_path / "s.zarr")]
    assert main([*words, "--score-against", str(small_store)]) == 2
    assert "expected the name of a folder of scores" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
