"""Loss and gradient of one update of an ensemble's recipe, with its members shared by devices in several ways."""

import dataclasses
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from airmass.data.loading.examples import Examples
from airmass.data.loading.frames import Frames
from airmass.recipes.recipes import RECIPES
from airmass.recipes.settings import DeviceSettings, TrainingSettings
from airmass.training.adaptation import split
from airmass.training.program import place_batch, update_program
from airmass.training.sharding import mesh_of, replicated
from airmass.training.update import TrainingState
from tests.models.test_family_contract import DATES, small_recipe
from tests.training.small import small_saved

MEMBERS, WAYS = 4, ((1, 1, 1), (1, 2, 1), (2, 2, 1), (1, 2, 2))  # devices along data, member and space


def _apart(leaf):
    """A new network's members are equal, and at equal members the sign in the gradient of CRPS is that of rounding."""
    return leaf + 0.1 * np.random.default_rng(0).normal(size=leaf.shape).astype(np.float32)


def main(store: str, out: str) -> None:
    recipe = small_recipe("fgn", calibrated=True)
    task = dataclasses.replace(recipe.task, forcing=RECIPES["demo"].task.forcing)
    training = TrainingSettings(updates=(1,), rollout=(2,), batch=2, dates=DATES, rotate=True)
    recipe = dataclasses.replace(
        recipe, task=task, training=training, model=dataclasses.replace(recipe.model, members=MEMBERS)
    )
    frames = Frames(store, recipe.task, DATES)
    saved = small_saved(recipe, frames)
    saved = dataclasses.replace(saved, network=jax.tree.map(_apart, saved.network))
    trained, held = split(saved.network, recipe.adaptation, jax.random.key(0))
    batch = Examples(frames, recipe.loader, 0, 2).read(0, 2)
    found = []
    for data, member, space in WAYS:
        mesh = mesh_of(DeviceSettings(data=data, member=member, space=space), training, MEMBERS)
        update, (fixed, *_) = update_program(recipe, saved.model(frames.static(), parts=space), held, frames.grid, mesh)
        start = TrainingState.start(recipe.optimiser, training.updates, trained)
        state = replicated(jax.tree.map(lambda x: jnp.array(x, copy=True), start), mesh)
        _, report = update(state, place_batch(training, MEMBERS, mesh, batch), fixed)
        found.append([float(report.loss), float(report.norm), *np.ravel(report.errors)])
    np.save(Path(out), np.array(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
