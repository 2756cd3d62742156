"""Evaluations that tests of several modules make: ones that are refused, and ones against a truth with gaps."""

import json
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from airmass.core.errors import InputError
from tests.conftest import make_store
from tests.forecasts import scored, truth_dataset, write_forecast

TRUTH = truth_dataset()


def refused(folder, tmp_path, match, forecast=None, **options):
    paths = [folder / "forecast.zarr"] if forecast is None else [write_forecast(tmp_path / "f.zarr", forecast)]
    arguments = {"forecasts": paths, "truth": folder / "truth.zarr", "out": tmp_path / "out"} | options
    with pytest.raises(InputError, match=match) as caught:
        scored(**arguments)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".out*"))


def spoilt(tmp_path, name, index, forecast, screen=None, climatology=None, **options):
    """Scores against a truth that lacks a field at some times, and what `evaluation.json` says was left out."""
    truth = TRUTH.copy(deep=True)
    truth[name].values[index] = np.nan
    store = make_store(tmp_path / "truth.zarr", truth)
    console = Console(file=screen or StringIO(), width=200)
    table = scored([forecast], store, tmp_path / "out", console, climatology=climatology, **options)
    return table, json.loads((tmp_path / "out" / "evaluation.json").read_text())
