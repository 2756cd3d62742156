"""A model file gives back what was put in."""

import jax
import numpy as np

from airmass.data.loader import Frames
from airmass.models.assemble import new_network
from airmass.saved import SavedModel, named_leaves, read_model, write_model
from tests.conftest import make_store
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


def test_nothing_in_the_file_needs_pickle(tmp_path):
    frames = Frames(make_store(tmp_path / "s.zarr"), SMALL.task)
    model = small_model(SMALL, frames)
    write_model(tmp_path / "m.npz", SavedModel(SMALL, frames.grid, model.normaliser, model.network, {}, np.empty(5)))
    with np.load(tmp_path / "m.npz", allow_pickle=False) as stored:
        assert all(stored[key].dtype != object for key in stored.files)
