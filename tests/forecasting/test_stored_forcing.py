"""Forcings that come from a store: the values that a network gets, and what is refused before anything is computed."""

import dataclasses
import json

import numpy as np
import pytest
import xarray as xr

import airmass
from airmass.commands.main import main
from airmass.core.errors import InputError
from airmass.data.loading.examples import Examples
from airmass.data.loading.frames import Frames
from airmass.data.loading.settings import LoaderSettings
from airmass.data.stored_forcing import open_stored_forcing
from airmass.fields.forcing import forcing_windows, forcings
from airmass.fields.normalise import Normaliser
from airmass.forecasting.checkpoints.model_file import write_model
from airmass.forecasting.forecast import resolve
from airmass.forecasting.request import ForecastRequest
from tests.conftest import NAMES, make_store, synthetic_dataset
from tests.training.small import SMALL, small_saved

ICE, SEA = "sea_ice_cover", "sea_surface_temperature"
# Between two that are computed, and not in the order of their names.
TASK = dataclasses.replace(SMALL.task, forcing=("year_progress_sin", SEA, ICE, "day_progress_cos"))
RECIPE = dataclasses.replace(SMALL, task=TASK)
HOUR = np.timedelta64(1, "h")


@pytest.fixture(scope="module")
def held() -> xr.Dataset:
    return synthetic_dataset(days=3, names=(*NAMES, ICE))


@pytest.fixture(scope="module")
def data(held, tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("data") / "store.zarr", held)


@pytest.fixture(scope="module")
def model(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.npz"
    write_model(path, small_saved(RECIPE, Frames(data, TASK)))
    return path


def of_store(held: xr.Dataset, times: np.ndarray) -> np.ndarray:
    """The stored forcings in the order of the task: [time, node, stored]."""
    fields = [held[name].sel(time=times).values.reshape(len(times), -1) for name in (SEA, ICE)]
    return np.stack(fields, axis=-1)


def test_windows_hold_the_stores_values_beside_computed_ones(held, data):
    frames = Frames(data, TASK)
    init, stored = held.time.values[1], open_stored_forcing(data, TASK, frames.grid)
    windows = forcing_windows(TASK, frames.grid, init, stored)
    for step in (1, 2):
        window, times = next(windows), init + (step + np.arange(-2, 1)) * 6 * HOUR
        np.testing.assert_array_equal(window[..., 1:3], of_store(held, times))
        computed = forcings(("year_progress_sin", "day_progress_cos"), times, frames.grid)
        np.testing.assert_array_equal(window[..., [0, 3]], computed)


@pytest.mark.parametrize("hold_gib", [4.0, 0.0])
@pytest.mark.parametrize("nodes", [slice(None), slice(20, 70)])
def test_examples_hold_them_at_their_times_on_their_nodes(held, data, hold_gib, nodes):
    frames = Frames(data, TASK)
    examples = Examples(frames, LoaderSettings(hold_gib=hold_gib), 0, 2, nodes=nodes)
    (batch,) = examples.batches(3, 4, 1)
    for known, start in zip(batch.forcings, examples.starts(3, 1), strict=True):
        np.testing.assert_array_equal(known[..., 1:3], of_store(held, frames.times[start : start + 3])[:, nodes])


def test_where_they_are_missing_a_network_reads_the_mean(held, data):
    frames = Frames(data, TASK)
    scales = small_saved(RECIPE, frames).normaliser
    assert scales.masked_forcing == Normaliser.masked(TASK) == (1, 2)
    window = forcings(TASK.forcing, frames.times[:3], frames.grid, stored=frames.stored_forcing)
    history = frames.window(0, 2)[..., list(Normaliser.columns(TASK))]
    x = np.asarray(scales.inputs(history, window, frames.static()))
    columns = x[:, 2 * history.shape[-1] :][:, : 3 * 4].reshape(-1, 3, 4)
    gaps = np.isnan(of_store(held, frames.times[:3])).transpose(1, 0, 2)
    assert gaps.any() and np.isfinite(x).all()
    np.testing.assert_array_equal(columns[..., 1:3][gaps], 0)
    assert (columns[..., 1:3][~gaps] != 0).mean() > 0.99


@pytest.mark.slow
def test_a_notebook_gives_them_as_a_dataset(held, data, model):
    loaded, ice = airmass.load(model), held[[SEA, ICE, "land_sea_mask"]]
    start = held.drop_vars([SEA, ICE]).isel(time=slice(0, 2))
    (frame,) = loaded.forecast(start, 1, forcings=ice)
    state = loaded.state(start, 1, forcings=ice)
    _, again = loaded.step(state)
    shown = frame["2m_temperature"].values.ravel()
    np.testing.assert_allclose(again[:, loaded.channels.index(("2m_temperature", None))], shown, rtol=1e-5)
    with pytest.raises(InputError, match="missing variable sea_surface_temperature, sea_ice_cover"):
        loaded.forecast(start, 1)


FAULTS = {
    "another grid": (
        lambda held: synthetic_dataset(days=3, n_latitude=16, n_longitude=32, names=(SEA, ICE, "land_sea_mask")),
        "sea_surface_temperature is on .*32 x 16.*, expected the grid of the initial state, .*16 x 8",
    ),
    "no variable": (lambda held: held.drop_vars(ICE), "missing variable sea_ice_cover"),
    "no mask": (lambda held: held.drop_vars("land_sea_mask"), "missing variable land_sea_mask"),
    "a missing time": (lambda held: held.isel(time=[0, 1, 2, 4, 5]), "missing time 2000-11-01T18:00"),
    "too short": (lambda held: held.isel(time=slice(0, 3)), "missing time 2000-11-01T18:00 and 2 more"),
    "values over land": (lambda held: held.assign({ICE: held[ICE].fillna(0.0)}), "sea_ice_cover at .* has a value at"),
    "none over sea": (lambda held: held.assign({SEA: held[SEA] * np.nan}), "sea_surface_temperature at .* is NaN at"),
    "°C for K": (
        lambda held: held.assign({SEA: (held[SEA] - 273.15).assign_attrs(held[SEA].attrs)}),
        "sea_surface_temperature .* has the value",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_line(fault, held, data, model, tmp_path):
    change, said = FAULTS[fault]
    path = make_store(tmp_path / "forced.zarr", change(held[[SEA, ICE, "land_sea_mask"]]))
    request = ForecastRequest(model, data, tmp_path / "f.zarr", forcings=path, init_time=("2000-11-01T06",))
    with pytest.raises(InputError, match=said) as raised:
        resolve(dataclasses.replace(request, lead_time="24h")).settings()
    assert "\n" not in str(raised.value) and str(raised.value).startswith(str(path))
    assert [p.name for p in tmp_path.iterdir()] == ["forced.zarr"]


def test_forcings_that_nothing_reads_are_refused(data, tmp_path, capsys):
    write_model(tmp_path / "model.npz", small_saved(SMALL, Frames(data, SMALL.task)))
    words = ["forecast", "--checkpoint", str(tmp_path / "model.npz"), "--initial", str(data), "--lead-time", "6h"]
    options = ["--out", str(tmp_path / "f.zarr"), "--init-time", "2000-11-01T06", "--forcings", str(data)]
    assert main([*words, *options]) == 2
    assert "reads none from a store" in capsys.readouterr().err


def test_a_stopped_forecast_goes_on_only_with_the_same_values(held, data, model, tmp_path):
    ice = held[[SEA, ICE, "land_sea_mask"]]
    other = ice.assign({ICE: (1 - ice[ICE]).assign_attrs(ice[ICE].attrs)})
    paths = [make_store(tmp_path / f"{n}.zarr", values) for n, values in enumerate((ice, ice, other))]
    request = ForecastRequest(model, data, tmp_path / "f.zarr", init_time=("2000-11-01T06",), lead_time="12h")
    one, same, changed = (json.dumps(resolve(dataclasses.replace(request, forcings=path)).settings()) for path in paths)
    assert one == same != changed
