"""A model file gives back what was put in."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from airmass.core.errors import InputError
from airmass.data.loading.frames import Frames
from airmass.fields.harmonics import Harmonics
from airmass.fields.innovation import Calibration, Innovation
from airmass.forecasting.checkpoints.model_file import SavedModel, named_leaves, read_model, write_model
from airmass.models.family import new_network
from tests.conftest import make_store
from tests.models.gencast.test_objective import INNOVATION
from tests.training.small import SMALL, small_model


def test_there_and_back(tmp_path):
    frames = Frames(make_store(tmp_path / "s.zarr"), SMALL.task)
    model = small_model(SMALL, frames)
    network = new_network(SMALL.task, SMALL.model, jax.random.key(7))
    fill = np.array([1.5] + 4 * [np.nan], np.float32)
    saved = SavedModel(SMALL, frames.grid, model.normaliser, network, {"updates": 3, "data": "here"}, fill)
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
def gencast(tmp_path) -> SavedModel:
    """With innovations of random numbers."""
    recipe, rng = INNOVATION, np.random.default_rng(0)
    frames = Frames(make_store(tmp_path / "s.zarr"), recipe.task)
    network, scales = new_network(recipe.task, recipe.model, jax.random.key(7)), small_model(SMALL, frames).normaliser
    shape = 8, 8, len(scales.history_mean)
    made = Innovation(
        rng.normal(size=(frames.grid.size, shape[2])).astype(np.float32),
        (rng.normal(size=(2, *shape)) + 1j).astype(np.complex64),
        rng.normal(size=shape).astype(np.float32),
        Harmonics.build(frames.grid.latitude, frames.grid.longitude),
    )
    return SavedModel(recipe, frames.grid, scales, network, {}, np.full(shape[2], np.nan, np.float32), made)


def test_innovations_come_back_and_their_harmonics_are_those_of_the_grid(gencast, tmp_path):
    write_model(tmp_path / "model.npz", gencast)
    with np.load(tmp_path / "model.npz") as stored:
        held = sorted(name for name in stored.files if name.startswith("innovation:"))
    assert held == ["innovation:mean", "innovation:persistence", "innovation:spread"]
    before, after = named_leaves(gencast.innovation), named_leaves(read_model(tmp_path).innovation)
    assert before.keys() == after.keys()
    for name in before:
        np.testing.assert_array_equal(after[name], before[name], err_msg=name)


def test_a_file_without_the_innovations_that_its_recipe_has_is_refused(gencast, tmp_path):
    write_model(tmp_path / "model.npz", replace(gencast, innovation=None))
    with pytest.raises(InputError, match="3 arrays missing, first mean"):
        read_model(tmp_path)


def test_a_calibration_comes_back_and_must_fit_the_innovations(gencast, tmp_path):
    gain = np.random.default_rng(1).uniform(size=gencast.innovation.spread.shape).astype(np.float32)
    calibrated = replace(gencast, calibration=Calibration(gencast.innovation, gain))
    write_model(tmp_path / "model.npz", calibrated)
    before, after = named_leaves(calibrated.calibration), named_leaves(read_model(tmp_path).calibration)
    assert before.keys() == after.keys()
    for name in before:
        np.testing.assert_array_equal(after[name], before[name], err_msg=name)
    write_model(tmp_path / "model.npz", replace(gencast, calibration=Calibration(gencast.innovation, gain[:, :4])))
    with pytest.raises(InputError, match=r"gain has shape \(8, 4, 5\), expected \(8, 8, 5\)"):
        read_model(tmp_path)


@pytest.mark.parametrize("number", [3, 4, 6])
def test_formats(number, tmp_path):
    """Formats 3 and 4 are what was written before innovations and calibrations; a later one is refused."""
    frames = Frames(make_store(tmp_path / "s.zarr"), SMALL.task)
    model, path = small_model(SMALL, frames), tmp_path / "model.npz"
    write_model(path, SavedModel(SMALL, frames.grid, model.normaliser, model.network, {}, np.empty(5)))
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
    write_model(tmp_path / "m.npz", SavedModel(SMALL, frames.grid, model.normaliser, model.network, {}, np.empty(5)))
    with np.load(tmp_path / "m.npz", allow_pickle=False) as stored:
        assert all(stored[key].dtype != object for key in stored.files)
