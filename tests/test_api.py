"""The public names of `airmass`: what a notebook stands on."""

import dataclasses
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import airmass
from airmass.commands.main import main
from airmass.data.formats.forecast_reader import open_forecast
from airmass.data.formats.store import open_store
from airmass.forecasting.checkpoints.location import SHIPPED
from airmass.forecasting.checkpoints.model_file import read_model, write_model
from airmass.recipes.recipes import RECIPES
from tests.conftest import synthetic_dataset
from tests.golden_case import GOLDEN, GOLDEN_GENCAST

GRAPHCAST, GENCAST = GOLDEN.folder, GOLDEN_GENCAST.folder


@pytest.fixture(scope="module")
def model() -> airmass.ForecastModel:
    return airmass.load(GRAPHCAST / "checkpoint.npz", statistics=GRAPHCAST)


def test_import_is_quick_and_needs_no_jax():
    code = (
        "import sys, airmass; print([m for m in ('jax', 'numpy', 'xarray') if m in sys.modules], airmass.__version__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == f"[] {airmass.__version__}"


def test_every_public_name_is_there_and_documented():
    for name in airmass.__all__:
        assert getattr(airmass, name) is not None
    assert set(dir(airmass)) == set(airmass.__all__) == {*airmass._PUBLIC, "__version__"}
    with pytest.raises(AttributeError, match="no attribute 'laod'; public are"):
        _ = airmass.laod


def test_frames_are_the_published_ones(model):
    frames = list(model.forecast(GRAPHCAST / "dataset.nc", steps=2))
    assert [int(f.lead_time / np.timedelta64(1, "h")) for f in frames] == [6, 12]
    for step, frame in enumerate(frames):
        found = GOLDEN.layout.pack(frame)
        error = np.abs(found - GOLDEN.prediction[step]) / GOLDEN.prediction[step].std(axis=0)
        # Points on a triangle's side may take the other triangle; the golden edges are not used here.
        assert np.median(error) < 1e-5
        assert frame["2m_temperature"].attrs["units"] == "K"
    assert frames[1].valid_time.values - frames[0].valid_time.values == np.timedelta64(6, "h")


def test_a_dataset_forecasts_as_its_file_does(model):
    given = xr.open_dataset(GRAPHCAST / "dataset.nc", decode_timedelta=True).load()
    (of_file,), (of_dataset,) = (list(model.forecast(x, steps=1)) for x in (GRAPHCAST / "dataset.nc", given))
    xr.testing.assert_identical(of_file, of_dataset)


def test_the_command_writes_what_the_notebook_gets(model, tmp_path):
    checkpoint, initial = GRAPHCAST / "checkpoint.npz", GRAPHCAST / "dataset.nc"
    airmass.forecast(airmass.ForecastRequest(checkpoint, initial, tmp_path / "f.zarr", GRAPHCAST, lead_time="6h"))
    (frame,) = model.forecast(GRAPHCAST / "dataset.nc", steps=1)
    written = open_forecast(tmp_path / "f.zarr").isel(init_time=0, lead_time=0)
    for name in written.data_vars:
        np.testing.assert_array_equal(written[name].values, frame[name].values, err_msg=name)


def test_a_step_is_the_forecast_and_is_compiled_and_differentiated(model):
    state = model.state(GRAPHCAST / "dataset.nc", steps=1)
    after, frame = jax.jit(model.step)(state)
    (expected,) = model.forecast(GRAPHCAST / "dataset.nc", steps=1)
    np.testing.assert_allclose(frame, GOLDEN.layout.pack(expected), rtol=1e-4, atol=1e-3)
    assert int(after.number) == 1
    _, beyond = jax.jit(model.step)(after)
    assert np.isnan(beyond).all()  # forcings were asked for one step

    channel, node = model.channels.index(("geopotential", 500)), 200

    def height(history):
        now = type(state.now)(history, state.now.valid_time)
        return model.step(type(state)(now, state.forcing, state.number))[1][node, channel] / 9.80665

    sensitivity = jax.jit(jax.grad(height))(state.now.history)
    assert sensitivity.shape == state.now.history.shape and np.isfinite(sensitivity).all()
    # A small push along the gradient raises the height by what the gradient says. In units of each channel's spread,
    # since a kelvin and a pascal are not alike.
    scale = jnp.asarray(GOLDEN.normaliser.history_std)
    push = 3e-2 * scale**2 * sensitivity / jnp.linalg.norm(scale * sensitivity)
    rise = (height(state.now.history + push) - height(state.now.history - push)) / 2
    np.testing.assert_allclose(rise, (push * sensitivity).sum(), rtol=0.05)


def test_members_of_an_ensemble(tmp_path):
    model = airmass.load(GENCAST / "checkpoint.npz", statistics=GENCAST)
    (both,) = model.forecast(GENCAST / "dataset.nc", steps=1, members=2, seed=3)
    (second,) = model.forecast(GENCAST / "dataset.nc", steps=1, members=[1], seed=3)
    assert both.sizes["number"] == 2
    xr.testing.assert_equal(both.sel(number=[1]), second)
    with pytest.raises(airmass.InputError, match="no state yet"):
        model.step(None)
    state = model.state(GENCAST / "dataset.nc", steps=1)
    with pytest.raises(airmass.InputError, match=r"many network calls per frame: use model\.forecast"):
        model.step(state)


def test_what_does_not_fit_is_refused(model, store):
    with pytest.raises(airmass.InputError, match="steps is 0"):
        model.forecast(GRAPHCAST / "dataset.nc", steps=0)
    with pytest.raises(airmass.InputError, match="GraphCast is deterministic: members has no effect"):
        model.forecast(GRAPHCAST / "dataset.nc", steps=1, members=3)
    with pytest.raises(airmass.InputError, match=r"healthy\.zarr"):
        model.forecast(store, steps=1)
    given = open_store(store).drop_vars("temperature")
    with pytest.raises(airmass.InputError, match="the dataset: missing variable temperature"):
        model.forecast(given, steps=1)


def test_the_demo_ships_with_the_package_and_says_where_it_comes_from(tmp_path, monkeypatch):
    saved = read_model(SHIPPED["demo"])
    assert SHIPPED["demo"].stat().st_size < 1e6
    assert saved.recipe == dataclasses.replace(
        RECIPES["demo"], training=saved.recipe.training, watch=saved.recipe.watch
    )
    assert {"data", "data_fingerprint", "updates", "training_from", "made_by"} <= saved.about.keys()
    assert not any("/work" in str(value) or "/home" in str(value) for value in saved.about.values())
    monkeypatch.chdir(tmp_path)
    demo = airmass.load("demo")
    assert demo.name == "graphcast" and demo.task == RECIPES["demo"].task
    state = synthetic_dataset(days=1, n_latitude=32, n_longitude=64, levels=demo.task.levels)
    state = state.isel(time=slice(0, 2))
    frames = list(demo.forecast(state, steps=2))
    assert all(np.isfinite(frame[name]).all() for frame in frames for name in demo.task.targets)
    state.to_netcdf("state.nc")
    written = "forecast --checkpoint demo --initial state.nc --lead-time 12h --out f.nc"
    assert main(written.split()) == 0
    with open_forecast("f.nc") as forecast:
        np.testing.assert_allclose(forecast["temperature"].values[0, -1], frames[1]["temperature"].values, rtol=1e-6)
    own = tmp_path / "demo" / "model.npz"
    own.parent.mkdir()
    write_model(own, dataclasses.replace(saved, about={"updates": 1}))
    assert airmass.load("demo")._system.about["updates"] == 1
