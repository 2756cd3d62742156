"""One optimiser step, and the schedule and average around it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from airmass.data.loader import Frames
from airmass.losses.squared_error import SquaredError
from airmass.recipes import TrainingSettings
from airmass.training.loop import examples, make_update, start_state
from airmass.training.optimiser import OptimiserSettings, average_decay, schedule
from tests.training.small import SMALL, small_model

# The decoder's update of mesh nodes is in published checkpoints, but nothing reads what it puts out.
UNREAD = "mesh_update"


@pytest.fixture(scope="module")
def updated(small_store):
    """The state before and after one update at the full rate, with the loss before."""
    recipe = dataclasses.replace(SMALL, optimiser=OptimiserSettings(peak_rate=1e-3, warmup=1, weight_decay=0.0))
    frames = Frames(small_store, recipe.task)
    model = small_model(recipe, frames)
    loss = jax.tree.map(jnp.asarray, SquaredError(recipe.loss, frames.layout, frames.grid))
    update = make_update(recipe, model, loss)
    # The rate of the very first update is zero, at the foot of the warm-up.
    before, *_ = update(start_state(recipe), examples(recipe, frames, 0, 1))
    after, *_ = update(before, examples(recipe, frames, 1, 1))
    return before, after


def _leaves(tree) -> dict[str, np.ndarray]:
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def test_every_parameter_that_is_read_changes(updated):
    before, after = (_leaves(state.network) for state in updated)
    for name, leaf in before.items():
        assert np.isfinite(after[name]).all(), name
        assert np.any(after[name] != leaf) != (UNREAD in name), name


def test_the_average_follows_the_parameters(updated):
    before, after = updated
    decay = float(average_decay(OptimiserSettings(), 1))
    old, new, average = _leaves(before.average), _leaves(after.network), _leaves(after.average)
    for name in old:
        np.testing.assert_allclose(average[name], decay * old[name] + (1 - decay) * new[name], rtol=1e-5, atol=1e-7)


def test_schedule_warms_up_falls_by_half_a_cosine_and_stays():
    rate = schedule(OptimiserSettings(peak_rate=1.0, tail_rate=0.1, warmup=100), 1100)
    np.testing.assert_allclose([rate(0), rate(50), rate(100)], [0, 0.5, 1], atol=1e-6)
    np.testing.assert_allclose(rate(600), 0.1 + 0.9 / 2, atol=1e-6)
    np.testing.assert_allclose([rate(1100), rate(5000)], [0.1, 0.1], atol=1e-6)


def test_training_learns(small_store):
    """A loss well below that of a network that says nothing changes."""
    recipe = dataclasses.replace(
        SMALL,
        optimiser=OptimiserSettings(peak_rate=1e-2, warmup=10),
        training=TrainingSettings(updates=(150,), rollout=(1,), batch=2),
    )
    frames = Frames(small_store, recipe.task)
    loss = jax.tree.map(jnp.asarray, SquaredError(recipe.loss, frames.layout, frames.grid))
    update, state = make_update(recipe, small_model(recipe, frames), loss), start_state(recipe)
    values = []
    for number in range(150):
        state, value, _ = update(state, examples(recipe, frames, number, 1))
        values.append(float(value))
    idle = float(np.sum(loss.by_variable))  # residual targets have unit variance
    assert np.mean(values[-20:]) < 0.65 * idle
