"""Forecasts from a checkpoint: what is written, how often it compiles, what is refused before anything is."""

import dataclasses

import jax
import numpy as np
import pytest

from airmass.commands.main import main
from airmass.core.errors import InputError
from airmass.data.formats.forecast_reader import open_forecast, read_hours
from airmass.data.loading.frames import Frames
from airmass.forecasting.checkpoints.model_file import read_model, write_model
from airmass.forecasting.forecast import forecast
from airmass.forecasting.request import ForecastRequest
from airmass.models.deterministic import compiled_step
from airmass.models.state import State
from tests.conftest import make_store
from tests.training.small import SMALL

DAYS = [f"2000-11-0{day}T{hour:02}" for day in (2, 3) for hour in (0, 6, 12, 18)] + ["2000-11-04T00", "2000-11-04T06"]


@pytest.fixture(scope="module")
def made(small_run, small_store, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "f.zarr"
    before = compiled_step._cache_size()
    forecast(ForecastRequest(small_run, small_store, out, init_time=tuple(DAYS), lead_time="1d"))
    return out, compiled_step._cache_size() - before


def test_ten_initial_times_compile_one_step(made):
    assert made[1] <= 1  # another test may have compiled it before


def test_the_file_has_the_layout_that_judging_reads(made):
    data = open_forecast(made[0])
    assert dict(data.sizes) == {"init_time": 10, "lead_time": 4, "level": 2, "latitude": 8, "longitude": 16}
    assert set(data.data_vars) == set(SMALL.task.targets)
    np.testing.assert_array_equal(data.lead_time / np.timedelta64(1, "h"), [6, 12, 18, 24])
    np.testing.assert_array_equal(data.valid_time, data.init_time + data.lead_time)
    assert data.geopotential.attrs["units"] == "m2 s-2"
    assert data.attrs["airmass_system"] == "graphcast"
    assert all(np.isfinite(data[name]).all() for name in data.data_vars)


def test_frames_are_the_models_own_steps(made, small_run, small_store):
    saved, frames = read_model(small_run), Frames(small_store, SMALL.task)
    model, history = saved.model(frames.static()), frames.window(3, 2)
    from airmass.fields.forcing import forcings

    state = State(model.normaliser.prognostic(history), np.int32(0))
    init = np.datetime64("2000-11-02", "ns")
    expected = []
    for step in range(2):
        times = init + np.arange(step - 1, step + 2) * np.timedelta64(6, "h")
        state, frame = jax.jit(lambda m, s, f: m.step(s, f))(
            model, state, forcings(SMALL.task.forcing, times, frames.grid)
        )
        expected.append(frame)
    data = open_forecast(made[0]).isel(init_time=0, lead_time=[0, 1]).rename(lead_time="time")
    np.testing.assert_allclose(frames.layout.pack(data[list(SMALL.task.targets)]), expected, rtol=2e-5, atol=1e-4)


def test_the_same_command_makes_the_same_bytes(made, small_run, small_store, tmp_path):
    forecast(ForecastRequest(small_run, small_store, tmp_path / "f.zarr", init_time=tuple(DAYS[:2]), lead_time="1d"))
    again, first = open_forecast(tmp_path / "f.zarr"), open_forecast(made[0]).isel(init_time=[0, 1])
    for name in first.data_vars:
        np.testing.assert_array_equal(again[name], first[name])


@pytest.mark.parametrize(("text", "hours"), [("10d", 240), ("72h", 72), ("5d12h", 132)])
def test_lead_times(text, hours):
    assert read_hours(text) == hours


def _refused(small_run, small_store, out, init=DAYS[0], lead="1d") -> str:
    with pytest.raises(InputError) as error:
        forecast(ForecastRequest(small_run, small_store, out, init_time=(init,), lead_time=lead))
    assert not out.exists() and "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"init": "2000-12-31"}, "missing time 2000-12-30T18:00 and 1 more; the store holds 2000-11-01T00:00"),
        ({"init": "2000-11-01"}, "missing time 2000-10-31T18:00"),
        ({"init": "yesterday"}, "'yesterday': expected"),
        ({"lead": "ten days"}, "lead time 'ten days': expected"),
        ({"lead": "7h"}, "multiple of the model's step of 6 h"),
        ({"lead": "0h"}, "expected a multiple"),
    ],
)
def test_times_that_cannot_be(small_run, small_store, tmp_path, options, words):
    assert words in _refused(small_run, small_store, tmp_path / "f.zarr", **options)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"n_latitude": 16, "n_longitude": 32}, "was trained on the grid 16 x 8"),
        ({"missing_variable": "temperature"}, "missing variable temperature"),
        ({"missing_level": 500}, "missing level [500] hPa"),
        ({"reversed_latitude": True}, "north to south"),
        ({"uneven_latitude": True}, "unevenly"),
        ({"swapped": True}, "dimensions"),
        ({"units": {"geopotential": "m"}}, "geopotential has units 'm', expected 'm2 s-2'"),
        ({"nan": "geopotential"}, "geopotential has"),
        ({"corrupt_chunk": "temperature"}, "temperature cannot be read"),
    ],
)
def test_stores_that_do_not_fit_the_checkpoint(small_run, tmp_path, fault, words):
    other = make_store(tmp_path / "other.zarr", days=5, **fault)
    before = compiled_step._cache_size()
    message = _refused(small_run, other, tmp_path / "f.zarr", init="2000-11-01T12")
    assert words in message and "other.zarr" in message
    assert compiled_step._cache_size() == before


def test_checkpoints_that_are_none(small_run, small_store, tmp_path):
    out = tmp_path / "f.zarr"
    assert "no such checkpoint" in _refused(tmp_path / "absent", small_store, out)
    whole = (small_run / "model.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    assert "cannot be read as a file of arrays" in _refused(tmp_path / "cut.npz", small_store, out)
    np.savez(tmp_path / "other.npz", x=np.ones(3))
    assert "not a checkpoint of airmass" in _refused(tmp_path / "other.npz", small_store, out)


def test_a_checkpoint_whose_arrays_do_not_fit_its_settings(small_run, small_store, tmp_path):
    saved = read_model(small_run)
    wider = dataclasses.replace(saved.recipe, model=dataclasses.replace(saved.recipe.model, width=9))
    write_model(tmp_path / "m.npz", dataclasses.replace(saved, recipe=wider))
    message = _refused(tmp_path / "m.npz", small_store, tmp_path / "f.zarr")
    assert "has shape" in message and "expected" in message


def test_command_line_refuses_in_one_line_and_with_status_two(small_run, small_store, tmp_path, capsys):
    out = tmp_path / "f.zarr"
    options = ["--initial", str(small_store), "--init-time", DAYS[0], "--lead-time", "12h", "--out", str(out)]
    assert main(["forecast", "--checkpoint", str(small_run), *options]) == 0
    written = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    capsys.readouterr()
    assert main(["forecast", "--checkpoint", str(small_run), *options]) == 2
    assert "already exists" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == written


@pytest.mark.parametrize("out", ["/proc/f.zarr", "/dev/null/f.zarr"])
def test_a_place_that_cannot_be_written(small_run, small_store, out):
    with pytest.raises(InputError, match=f"{out}: cannot write"):
        forecast(ForecastRequest(small_run, small_store, out, init_time=tuple(DAYS[:1]), lead_time="6h"))
