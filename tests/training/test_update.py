"""One update, and the average around it."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from airmass.data.loading.examples import Examples
from airmass.data.loading.frames import Frames
from airmass.recipes.settings import AdaptationSettings, OptimiserSettings, TrainingSettings
from airmass.training.adaptation import split
from airmass.training.optimiser import average_decay
from airmass.training.program import place_batch, update_program
from airmass.training.sharding import one_device
from airmass.training.update import TrainingBatch, TrainingState
from tests.training.small import SMALL, small_model

# The decoder's update of mesh nodes is in published checkpoints, but nothing reads what it puts out.
UNREAD = "mesh_update"


class Trainer:
    """Updates of a recipe without anything around them."""

    def __init__(self, recipe, store):
        self.recipe, self.frames = recipe, Frames(store, recipe.task)
        model = small_model(recipe, self.frames)
        trained, held = split(model.network, AdaptationSettings(), jax.random.key(0))
        self._mesh = one_device()
        self._update, (self.fixed, *_) = update_program(recipe, model, held, self.frames.grid, self._mesh)
        self.loss = self.fixed.objective.loss
        self.state = TrainingState.start(recipe.optimiser, recipe.training.updates, trained)
        self.examples = Examples(self.frames, recipe.loader, recipe.training.seed, recipe.training.batch)

    def batch(self, number: int) -> TrainingBatch:
        drawn = place_batch(self.recipe.training, 1, self._mesh, self.examples.read(number, 1))
        return jax.tree.map(np.array, drawn)  # for a test to change

    def update(self, number: int, batch: TrainingBatch | None = None):
        state = jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), self.state)  # its memory is given away
        self.state, report = self._update(state, batch or self.batch(number), self.fixed)
        return report


def recipe_with(training: dict | None = None, **optimiser):
    return dataclasses.replace(
        SMALL,
        optimiser=OptimiserSettings(**{"peak_rate": 1e-3, "warmup": 1, "weight_decay": 0.0} | optimiser),
        training=TrainingSettings(**{"updates": (12,), "rollout": (1,), "batch": 2} | (training or {})),
    )


@pytest.fixture(scope="module")
def updated(small_store):
    """The state before and after one update at the full rate."""
    trainer = Trainer(recipe_with(), small_store)
    trainer.update(0)  # the rate of the very first update is zero, at the foot of the warm-up
    before = trainer.state
    trainer.update(1)
    return before, trainer.state


def _leaves(tree) -> dict[str, np.ndarray]:
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def test_every_parameter_that_is_read_changes(updated):
    before, after = (_leaves(state.trained) for state in updated)
    for name, leaf in before.items():
        assert np.isfinite(after[name]).all(), name
        assert np.any(after[name] != leaf) != (UNREAD in name), name


def test_the_average_follows_the_parameters(updated):
    before, after = updated
    decay = float(average_decay(OptimiserSettings(), 1))
    old, new, average = _leaves(before.average), _leaves(after.trained), _leaves(after.average)
    for name in old:
        np.testing.assert_allclose(average[name], decay * old[name] + (1 - decay) * new[name], rtol=1e-5, atol=1e-7)


def test_an_update_without_a_finite_gradient_is_skipped_and_counted(small_store):
    trainer = Trainer(recipe_with(), small_store)
    trainer.update(0)
    before = trainer.state
    spoilt = trainer.batch(1)
    spoilt.examples.frames[0, 0, 0, 0, 0] = np.nan
    assert not trainer.update(1, spoilt).finite
    for name, leaf in _leaves((before.trained, before.average, before.optimiser)).items():
        after = _leaves((trainer.state.trained, trainer.state.average, trainer.state.optimiser))[name]
        np.testing.assert_array_equal(after, leaf, err_msg=name)
    assert (int(trainer.state.update), int(trainer.state.skipped), int(trainer.state.failed)) == (2, 1, 1)
    trainer.update(2)
    assert (int(trainer.state.update), int(trainer.state.skipped), int(trainer.state.failed)) == (3, 1, 0)


@pytest.mark.slow
def test_a_batch_in_parts_gives_the_gradient_of_the_whole(small_store):
    whole = Trainer(recipe_with({"batch": 4}), small_store).update(0)
    parts = Trainer(recipe_with({"batch": 4, "accumulate": 2}), small_store).update(0)
    np.testing.assert_allclose([parts.loss, parts.norm], [whole.loss, whole.norm], rtol=1e-5)
    np.testing.assert_allclose(parts.errors, whole.errors, rtol=1e-5)


@pytest.mark.slow
def test_noise_on_inputs_has_the_size_that_was_asked_for(small_store):
    """A network that says nothing changes is off by the target and the noise on the last frame, in those units."""
    noisy = Trainer(recipe_with({"batch": 4, "input_noise": 3.0}), small_store)
    clean = Trainer(recipe_with({"batch": 4}), small_store)
    for trainer in (noisy, clean):
        trainer.state = eqx.tree_at(
            lambda state: state.trained.decoder.output.layers[-1],
            trainer.state,
            replace_fn=lambda last: jax.tree.map(jnp.zeros_like, last),
        )
    column = clean.frames.layout.columns("temperature").start
    added = noisy.update(0).errors[0, column] - clean.update(0).errors[0, column]
    # 4 examples of 128 nodes: nine times a mean of 512 squares, give or take a fifth, and a cross term.
    np.testing.assert_allclose(added, 9.0, rtol=0.4)


def test_training_learns(small_store):
    """A loss well below that of a network that says nothing changes."""
    trainer = Trainer(recipe_with({"updates": (150,)}, peak_rate=1e-2, warmup=10, weight_decay=0.1), small_store)
    values = [float(trainer.update(number).loss) for number in range(150)]
    idle = float(np.sum(trainer.loss.weights.by_variable))  # residual targets have unit variance
    assert np.mean(values[-20:]) < 0.65 * idle
