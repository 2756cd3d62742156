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
    """The update, compiled once per rollout length and loss, and its constant inputs by stage of the curriculum."""

    update: Update
    fixed: tuple[Fixed, ...]


def update_program(recipe: Recipe, model: Any, held: PyTree, grid: LatLonGrid, mesh: Mesh) -> UpdateProgram:
    """The update of a recipe's model, whose parameters are in the state but for the frozen ones, `held`."""
    recipe = replace(recipe, devices=replace(recipe.devices, member=mesh.shape[MEMBER]))
    stages = [recipe.loss.of_stage(number) for number in range(len(recipe.training.updates))]
    parts = replace(model, network=None)
    fixed = {loss.kind: Fixed(parts, held, objective_of(replace(recipe, loss=loss), grid)) for loss in stages}
    placed = _placed_together(fixed, mesh)
    members, (_, columns) = recipe.family.training_members(recipe.model), grid.shape
    update = make_update(recipe.optimiser, recipe.training, members, columns, mesh)
    return UpdateProgram(update, tuple(placed[loss.kind] for loss in stages))


def _placed_together(fixed: dict[str, Fixed], mesh: Mesh) -> dict[str, Fixed]:
    """Constant inputs by loss on their devices, which hold one copy of the model that all of them share."""
    first = next(iter(fixed.values()))
    shared = spread(first, first.specs(), mesh)
    return {
        kind: shared._replace(objective=spread(one.objective, one.specs().objective, mesh))
        for kind, one in fixed.items()
    }


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
