"""What an update of a training run takes before it is compiled: memory of each device by part, arithmetic, time.

Counted from sizes, with a few numbers fitted to what was seen: rows on the grid without `recompute` to XLA's account of
compiled updates at 64 x 32 and 128 x 64, with it to the peak of one gradient at 1 degree (7.7 GiB). How far whole runs
lie from the estimate has not been measured yet.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import jax

from airmass.errors import InputError
from airmass.footprint import OVERHEAD, Counts, fixed_channels, footprint, largest_first, parameter_count, tables
from airmass.layout import Layout
from airmass.models.graphcast import GraphCastSettings, Network, network_sizes
from airmass.recipes import Recipe
from airmass.task import Task
from airmass.tiles import ROWS
from airmass.training.paths import is_matrix, path_name

# Bytes on a CPU; a forecast's own, which was measured, and what training imports besides.
_BASE = 760e6
# Of a forward pass, what the backward pass makes again with the model's `recompute` of 0, 1 and more.
_MADE_AGAIN = (0, 0.6, 1)
# Rows as wide as the network that the backward pass has of encoder and decoder, by grid node with its edges.
_GRID_ROWS = 100
# The same where tiles are made again: latents between encoder and decoder, tables of edges, and the gradients of both.
_GRID_ROWS_KEPT = 18
# Edges along the mesh in float32 whatever the precision: after the last step, before one, and the gradients of both.
_MESH_EDGE_COPIES = 4


@dataclass(frozen=True)
class TrainingFootprint:
    """An estimate. `parts` are bytes on each device at the peak, the largest first; on a CPU of the whole process.

    `flops` are additions and multiplications of the products of one update, over all of `devices`.
    """

    parts: Mapping[str, float]
    flops: float
    devices: int

    @property
    def peak(self) -> float:
        """Bytes."""
        return sum(self.parts.values())

    def seconds(self, rate: float) -> float:
        """Time of one update where each device makes products at `rate` flops a second."""
        return OVERHEAD * self.flops / (self.devices * rate)


def training_footprint(
    recipe: Recipe,
    shape: tuple[int, int],
    rollout: int | None = None,
    devices: int = 1,
    accelerator: bool = False,
    times: int = 0,
) -> TrainingFootprint:
    """Memory and arithmetic of an update on a grid of `shape` (rows, columns), by default at the longest `rollout`.

    `times` is how many frames the store holds over the training dates, which the host keeps if they are few. Raises
    InputError for GenCast, whose training is not counted yet, and for devices that do not share out evenly.
    """
    settings, task, training = recipe.model, recipe.task, recipe.training
    if not isinstance(settings, GraphCastSettings):
        raise InputError("the memory that GenCast takes to train is not known yet; expected a recipe of GraphCast")
    rollout = rollout or max(training.rollout)
    data, space = axes(recipe, devices)
    together = training.batch // training.accumulate // data
    n = Counts.of(settings, shape)
    steps = rollout if rollout > 1 and not training.recompute else 1
    size = 2 if training.precision == "bfloat16" else 4
    targets, prognostic = (len(Layout.of(names, task.levels)) for names in (task.targets, task.prognostic))
    frame = 4 * n.grid * targets / space
    state = 4 * n.grid * prognostic * task.history / space
    example = (task.history + rollout) * (frame + 4 * n.grid * len(task.forcing) / space)
    parts = {
        "Python, JAX and compiling": 0 if accelerator else _BASE,
        **_of_parameters(recipe),
        "graphs and static fields": tables(n) + 4 * n.grid * fixed_channels(task),
        "examples": training.accumulate * together * example,
        "examples read ahead and frames held": 0 if accelerator else _on_the_host(recipe, n.grid, targets, times),
        "states of the rollout": together * rollout * (state + frame),
        "scaled frames": together * steps * 3 * (frame + state),
        **{name: together * value for name, value in _activations(settings, n, size, steps, space).items()},
    }
    again = 1 if rollout > 1 and training.recompute else 0
    forward = footprint(task, settings, shape).flops
    flops = forward * rollout * training.batch * (3 + again + _MADE_AGAIN[min(settings.recompute, 2)])
    return TrainingFootprint(largest_first({k: v for k, v in parts.items() if v}), flops, devices)


def axes(recipe: Recipe, devices: int) -> tuple[int, int]:
    """How many devices share out the examples, and how many one example."""
    asked = recipe.devices
    data = (asked.data or max(1, devices // (asked.member * asked.space))) * asked.member
    if data * asked.space != devices:
        raise InputError(
            f"devices: data {asked.data or 'all'}, member {asked.member} and space {asked.space} do not make {devices}"
        )
    part = recipe.training.batch // recipe.training.accumulate
    if part % data:
        raise InputError(f"{part} examples at once do not share out over {data} devices; expected a multiple of them")
    return data, asked.space


def _of_parameters(recipe: Recipe) -> dict[str, float]:
    """Training changes all of them here: low-rank additions and frozen parameters take less."""
    assert isinstance(recipe.model, GraphCastSettings)
    count, matrices = parameter_count(recipe.task, recipe.model), _matrices(recipe.task, recipe.model)
    moments = 2 * count if recipe.optimiser.kind == "adamw" else 2 * count - matrices
    low = 2 * count if recipe.training.precision == "bfloat16" else 0
    return {
        "parameters": 4 * count + low,
        "gradients and changes": 2 * 4 * count,
        f"moments of {recipe.optimiser.kind}": 4 * moments,
        "average of parameters": 4 * count,
    }


def _matrices(task: Task, settings: GraphCastSettings) -> int:
    made = jax.eval_shape(lambda: Network(settings, *network_sizes(task), key=jax.random.key(0)))
    leaves = jax.tree_util.tree_leaves_with_path(made)
    return sum(leaf.size for path, leaf in leaves if is_matrix(path_name(path)))


def _on_the_host(recipe: Recipe, nodes: int, targets: int, times: int) -> float:
    frame = 4.0 * nodes * targets
    held = times * frame
    length = recipe.task.history + max(recipe.training.rollout)
    ahead = (recipe.loader.ahead + 1) * recipe.training.batch * length * frame
    return ahead + (held if held <= recipe.loader.hold_gib * 2**30 else 0)


def _activations(settings: GraphCastSettings, n: Counts, size: int, steps: int, space: int) -> dict[str, float]:
    """Of one example: what the backward pass has of `steps` forward steps, and of the one it is at."""
    row, wide = size * settings.width, 4 * settings.width
    every, layers = settings.recompute, settings.steps
    tile = min(ROWS, n.grid / space)
    grid = (_GRID_ROWS_KEPT if every else _GRID_ROWS) * n.grid / space
    if every <= 1:  # an interaction keeps the message before its scale, and with 0 what the first map gave
        edges, groups = (2 - every) * layers * row, 0
    else:
        edges, groups = 2 * every * row, -(-layers // every)
    starts = groups * wide * (n.mesh_edges / space + n.mesh)
    kept = 2 * wide * n.mesh * (every if every > 1 else layers)
    return {
        "activations on the grid": row * steps * grid,
        "one tile of the grid": row * _GRID_ROWS * tile if every else 0,
        "activations on mesh edges": (steps * edges + _MESH_EDGE_COPIES * wide) * n.mesh_edges / space,
        "activations on mesh nodes": steps * (kept + starts),
    }
