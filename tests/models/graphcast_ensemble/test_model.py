"""A GraphCast that grows noise in its norms makes its parent's forecast until it has learned."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from airmass.core.errors import InputError
from airmass.data.loading.frames import Frames
from airmass.forecasting.checkpoints.model_file import write_model
from airmass.models.family import new_network
from airmass.models.graphcast_ensemble.model import NoiseMap
from airmass.models.state import State
from airmass.training.warm_start import start_from
from tests.models.test_family_contract import DATES, small_recipe
from tests.training.small import small_saved


@pytest.fixture(scope="module")
def case(small_store, tmp_path_factory):
    """A random GraphCast in a file, its recipe as an ensemble, and frames."""
    parent, recipe = small_recipe("graphcast", forced=()), small_recipe("graphcast_ensemble", forced=())
    frames = Frames(small_store, parent.task, DATES)
    path = tmp_path_factory.mktemp("parent") / "model.npz"
    saved = small_saved(parent, frames)
    write_model(path, saved)
    return saved, path, recipe, frames


@pytest.fixture(scope="module")
def grown(case):
    _, path, recipe, _ = case
    return start_from(new_network(recipe.task, recipe.model, jax.random.key(1)), recipe.task, recipe.model, path)


def test_its_forecast_is_at_first_that_of_its_parent(case, grown):
    saved, _, recipe, frames = case
    network, report = grown
    assert "transferred" in str(report) and not report.new_rows and not report.new_columns
    child = dataclasses.replace(saved, recipe=recipe, network=network).model(frames.static())
    window = jnp.asarray(frames.window(0, 2))
    state = State(child.normaliser.prognostic(window), jnp.int32(0))
    forcing = jnp.zeros((3, len(window[0]), len(recipe.task.forcing)))
    expected = jax.jit(lambda model: model.ready().predict(state, forcing))(saved.model(frames.static()))
    predict = jax.jit(lambda model, noise: model.predict(model.prepare(state, forcing), noise))
    noise = jax.random.normal(jax.random.key(2), (recipe.model.noise_channels,))
    np.testing.assert_allclose(predict(child, noise), expected, atol=1e-5 * np.abs(expected).max())
    # With maps that are not zero, noise moves it.
    maps = tuple(NoiseMap(part.weight + 0.1) for part in child.network.maps)
    moved = eqx.tree_at(lambda model: model.network.maps, child, maps)
    assert np.abs(predict(moved, noise) - expected).max() > 1e-3


def test_a_model_of_another_kind_is_refused(case, grown, tmp_path):
    _, _, recipe, frames = case
    other = small_recipe("convlstm", forced=())
    write_model(tmp_path / "other.npz", small_saved(other, frames))
    with pytest.raises(InputError, match="holds a ConvLSTM, expected a GraphCast ensemble"):
        start_from(grown[0], recipe.task, recipe.model, tmp_path / "other.npz")
