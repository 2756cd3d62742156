"""A model file gives back what was put in."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest

from airmass.core.errors import InputError
from airmass.data.loading.frames import Frames
from airmass.fields.harmonics import Harmonics
from airmass.fields.linear_residual import Calibration, LinearResidual
from airmass.forecasting.checkpoints.model_file import ModelFile, named_leaves, read_model, write_model
from airmass.models.family import new_network
from tests.conftest import make_store
from tests.models.gencast.test_objective import INNOVATION
from tests.training.small import SMALL, small_model

NO_FILL = np.full(5, np.nan, np.float32)


def test_there_and_back(tmp_path):
    frames = Frames(make_store(tmp_path / "s.zarr"), SMALL.task)
    model = small_model(SMALL, frames)
    network = new_network(SMALL.task, SMALL.model, jax.random.key(7))
    fill = np.array([1.5] + 4 * [np.nan], np.float32)
    saved = ModelFile(SMALL, frames.grid, model.normaliser, network, {"updates": 3, "data": "here"}, fill)
    write_model(tmp_path / "model.npz", saved)
    read = read_model(tmp_path)
    np.testing.assert_array_equal(read.fill, fill)
    assert read.recipe == SMALL and read.grid == frames.grid and read.about == saved.about
    for a, b in ((read.network, network), (read.normaliser, model.normaliser)):
        before, after = named_leaves(b), named_leaves(a)
        assert before.keys() == after.keys()
        for name in before:
            np.testing.assert_array_equal(after[name], before[name], err_msg=name)


@pytest.fixture
def gencast(tmp_path) -> ModelFile:
    """With innovations of random numbers."""
    recipe, rng = INNOVATION, np.random.default_rng(0)
    frames = Frames(make_store(tmp_path / "s.zarr"), recipe.task)
    network, scales = new_network(recipe.task, recipe.model, jax.random.key(7)), small_model(SMALL, frames).normaliser
    shape = 8, 8, len(scales.history_mean)
    made = LinearResidual(
        rng.normal(size=(frames.grid.size, shape[2])).astype(np.float32),
        (rng.normal(size=(2, *shape)) + 1j).astype(np.complex64),
        rng.normal(size=shape).astype(np.float32),
        Harmonics.build(frames.grid.latitude, frames.grid.longitude),
    )
    return ModelFile(recipe, frames.grid, scales, network, {}, np.full(shape[2], np.nan, np.float32), made)


def test_innovations_come_back_and_their_harmonics_are_those_of_the_grid(gencast, tmp_path):
    write_model(tmp_path / "model.npz", gencast)
    with np.load(tmp_path / "model.npz") as stored:
        held = sorted(name for name in stored.files if name.startswith("innovation:"))
    assert held == ["innovation:mean", "innovation:persistence", "innovation:spread"]
    before, after = named_leaves(gencast.linear_residual), named_leaves(read_model(tmp_path).linear_residual)
    assert before.keys() == after.keys()
    for name in before:
        np.testing.assert_array_equal(after[name], before[name], err_msg=name)


def test_a_file_without_the_innovations_that_its_recipe_has_is_refused(gencast, tmp_path):
    write_model(tmp_path / "model.npz", replace(gencast, linear_residual=None))
    with pytest.raises(InputError, match="3 arrays missing, first mean"):
        read_model(tmp_path)


def test_a_calibration_comes_back_and_must_fit_the_innovations(gencast, tmp_path):
    gain = np.random.default_rng(1).uniform(size=gencast.linear_residual.spread.shape).astype(np.float32)
    calibrated = replace(gencast, calibration=Calibration(gencast.linear_residual, gain))
    write_model(tmp_path / "model.npz", calibrated)
    before, after = named_leaves(calibrated.calibration), named_leaves(read_model(tmp_path).calibration)
    assert before.keys() == after.keys()
    for name in before:
        np.testing.assert_array_equal(after[name], before[name], err_msg=name)
    write_model(tmp_path / "model.npz", replace(gencast, calibration=Calibration(gencast.linear_residual, gain[:, :4])))
    with pytest.raises(InputError, match=r"gain has shape \(8, 4, 5\), expected \(8, 8, 5\)"):
        read_model(tmp_path)


@pytest.mark.parametrize("number", [3, 4, 6])
def test_formats(number, tmp_path):
    """Formats 3 and 4 are what was written before innovations and calibrations; a later one is refused."""
    frames = Frames(make_store(tmp_path / "s.zarr"), SMALL.task)
    model, path = small_model(SMALL, frames), tmp_path / "model.npz"
    write_model(
        path, ModelFile(SMALL, frames.grid, model.normaliser, model.network, {}, np.full(5, np.nan, np.float32))
    )
    with np.load(path) as stored:
        flat = dict(stored)
    flat["json"] = np.array(str(flat["json"]).replace('"format": 5', f'"format": {number}'))
    np.savez(path, **flat)
    if number < 6:
        assert read_model(path).recipe == SMALL
    else:
        with pytest.raises(InputError, match="checkpoint format 6, expected 5"):
            read_model(path)


def test_nothing_in_the_file_needs_pickle(tmp_path):
    frames = Frames(make_store(tmp_path / "s.zarr"), SMALL.task)
    model = small_model(SMALL, frames)
    write_model(
        tmp_path / "m.npz",
        ModelFile(SMALL, frames.grid, model.normaliser, model.network, {}, np.full(5, np.nan, np.float32)),
    )
    with np.load(tmp_path / "m.npz", allow_pickle=False) as stored:
        assert all(stored[key].dtype != object for key in stored.files)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The bytes of a good model file, and its arrays."""
    folder = tmp_path_factory.mktemp("model")
    frames = Frames(make_store(folder / "s.zarr"), SMALL.task)
    model = small_model(SMALL, frames)
    write_model(
        folder / "m.npz", ModelFile(SMALL, frames.grid, model.normaliser, model.network, {"updates": 3}, NO_FILL)
    )
    with np.load(folder / "m.npz") as stored:
        return (folder / "m.npz").read_bytes(), dict(stored)


_BIAS = "params:decoder.output.layers.1.bias"


def _with_text(arrays, change):
    text = json.loads(str(arrays["json"]))
    change(text)
    return arrays | {"json": np.array(json.dumps(text))}


def _settings_changed(*path, to):
    def change(text):
        *inner, last = path
        for name in inner:
            text = text[name]
        text[last] = to

    return lambda arrays: _with_text(arrays, change)


def _without(*path):
    def change(text):
        *inner, last = path
        for name in inner:
            text = text[name]
        del text[last]

    return lambda arrays: _with_text(arrays, change)


def _array(name, change):
    return lambda arrays: arrays | {name: change(arrays[name])}


@pytest.mark.parametrize(
    "spoil, words",
    [
        (_array(_BIAS, lambda x: np.where(np.arange(len(x)) == 1, np.nan, x)), "bias holds NaN or infinity"),
        (_array(_BIAS, lambda x: x + np.float32("inf")), "bias holds NaN or infinity"),
        (_array(_BIAS, lambda x: x.astype(np.float64)), "bias is float64, expected float32"),
        (_array(_BIAS, lambda x: x.astype(np.int32)), "bias is int32, expected float32"),
        (_array(_BIAS, lambda x: x.astype(np.complex64)), "bias is complex64, expected float32"),
        (_array(_BIAS, lambda x: x.astype(str)), "bias is <U"),
        (_array(_BIAS, lambda x: x[:-1]), r"bias has shape \(\d+,\), expected"),
        (_array("scales:history_std", lambda x: 0 * x), "history_std holds a number that is not above 0"),
        (_array("scales:history_mean", lambda x: x + np.nan), "history_mean holds NaN"),
        (_array("fill", lambda x: np.full_like(x, np.inf)), "fill of .* is inf"),
        (_array("latitude", lambda x: x[::-1] * np.nan), "latitude holds NaN"),
        (_array("latitude", lambda x: x[:1]), "latitude must be a finite vector of two rows"),
        (_array("latitude", lambda x: x.astype("<U9")), "latitude is <U9, expected float64"),
        (_array("json", lambda x: np.array(1.0)), "json is float64 of shape"),
        (_array("json", lambda x: np.array("{")), "not JSON"),
        (_array("json", lambda x: np.array(100_000 * "[")), "nested more than 64 deep"),
        (lambda arrays: {k: v for k, v in arrays.items() if k != "fill"}, "fill is missing"),
        (lambda arrays: {k: v for k, v in arrays.items() if k != _BIAS}, "1 arrays missing, first decoder"),
        (lambda arrays: arrays | {"params:extra": np.zeros(3)}, "1 arrays that nothing uses, first extra"),
        (lambda arrays: arrays | {"extra": np.zeros(3)}, "extra is an array that nothing uses"),
        (_settings_changed("recipe", "model", "width", to="wide"), "model.width is 'wide', expected an integer"),
        (_settings_changed("recipe", "model", "width", to=10**15), "model.width is 1000000000000000, expected 1 to"),
        (_settings_changed("recipe", "model", "width", to=16384), "has shape .*, expected .*16384"),
        (_settings_changed("recipe", "model", "mesh_level", to=99), "model.mesh_level is 99, expected 0 to 8"),
        (_settings_changed("recipe", "model", "hedas", to=4), "model.hedas is not known"),
        (_settings_changed("recipe", "model", to=None), "model is None, expected an object"),
        (_settings_changed("recipe", "task", "levels", to=[500, 300]), "task.levels is .*, expected rising levels"),
        (
            _settings_changed("recipe", "optimiser", "peak_rate", to=float("nan")),
            "optimiser.peak_rate is nan, expected 0 to 1000",
        ),
        (_settings_changed("recipe", "family", to="graphcst"), "unknown family of models 'graphcst'"),
        (_settings_changed("recipe", to=[]), r"recipe is \[\], expected an object"),
        (_settings_changed("about", to={"updates": [1]}), "about.updates is"),
        (_settings_changed("format", to="5"), "checkpoint format '5', expected 5"),
        (_without("recipe", "model", "mesh_level"), "model.mesh_level is missing"),
        (_without("recipe"), "recipe is missing"),
        (_without("about"), "about is missing"),
    ],
)
def test_a_spoilt_array_or_setting_is_refused_by_name(spoil, words, written, tmp_path):
    path = tmp_path / "m.npz"
    np.savez(path, **spoil(written[1]))
    with pytest.raises(InputError, match=words) as raised:
        read_model(path)
    assert str(raised.value).startswith(f"{path}: ") and "\n" not in str(raised.value)
