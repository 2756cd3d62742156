"""Update of a recipe with its constant inputs, and batches placed on devices: all that is compiled of training."""

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import PyTree

from airmass.data.loading.examples import LoadedBatch
from airmass.fields.channels import ChannelLayout
from airmass.fields.grid import LatLonGrid
from airmass.models.objectives.base import Example, Objective
from airmass.models.objectives.losses.base import WeightedLoss
from airmass.recipes.recipes import Recipe
from airmass.recipes.settings import TrainingSettings
from airmass.training.sharding import MEMBER, SPACE, example_axes, own_share, spread
from airmass.training.update import Fixed, TrainingBatch, Update, make_update


class UpdateProgram(NamedTuple):
    """`update(state, batch, fixed)`, which is compiled once per rollout length, and its constant input `fixed`."""

    update: Update
    fixed: Fixed


def update_program(recipe: Recipe, model: Any, held: PyTree, grid: LatLonGrid, mesh: Mesh) -> UpdateProgram:
    """The update of a recipe's model, whose parameters are in the state but for the frozen ones, `held`."""
    recipe = replace(recipe, devices=replace(recipe.devices, member=mesh.shape[MEMBER]))
    fixed = Fixed(replace(model, network=None), held, objective_of(recipe, grid))
    specs = fixed.specs()
    members = recipe.family.training_members(recipe.model)
    update = make_update(recipe.optimiser, recipe.training, members, mesh, specs)
    return UpdateProgram(update, spread(fixed, specs, mesh))


def objective_of(recipe: Recipe, grid: LatLonGrid) -> Objective:
    """Objective with JAX arrays, so that they do not become constants of the compiled update."""
    loss = WeightedLoss(recipe.loss, ChannelLayout.of(recipe.task.targets, recipe.task.levels), grid)
    return jax.tree.map(jnp.asarray, recipe.family.objective(recipe, loss, grid))


def place_batch(training: TrainingSettings, members: int, mesh: Mesh, loaded: LoadedBatch) -> TrainingBatch:
    """Split a batch into parts and place it on its devices, for a loss of so many `members`."""
    parts = training.accumulate
    share, axes = own_share(mesh, training.batch // parts, members), example_axes(members)
    numbers = np.arange(share.start * parts, share.stop * parts, dtype=np.int32)
    local = TrainingBatch(Example(*loaded), numbers)
    local = jax.tree.map(lambda leaf: leaf.reshape(len(numbers) // parts, parts, *leaf.shape[1:]), local)
    if mesh.size == 1:
        return jax.device_put(local)

    def put(leaf: np.ndarray) -> jax.Array:
        spec = P(axes, None, None, SPACE) if leaf.ndim > 2 else P(axes)
        return jax.make_array_from_process_local_data(NamedSharding(mesh, spec), leaf)

    return jax.tree.map(put, local)
