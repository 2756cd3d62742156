"""What an update of a training run takes before it is compiled: memory of each device by part, arithmetic, time.

Arrays are counted as XLA has them at the peak of updates compiled for a CPU (`compiled.memory_analysis()` and the
report of its buffers, jax 0.10.2), for GraphCast and GenCast of width 64 to 512 at 64 x 32, 128 x 64 and 1 degree. How
far whole runs are from the sum: benchmarks/README.md, "Plan". Compilers for accelerators have not been looked at.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import jax

from airmass.core.errors import InputError
from airmass.core.parameter_paths import is_matrix, path_name
from airmass.fields.channels import Layout
from airmass.fields.task import Task
from airmass.models.assemble import new_network
from airmass.models.footprint import (
    Counts,
    Settings,
    attention,
    fixed_channels,
    footprint,
    largest_first,
    noise_tables,
    parameter_count,
    tables,
)
from airmass.models.gencast.settings import GenCastSettings
from airmass.models.graphcast.settings import GraphCastSettings
from airmass.models.mesh.tiles import ROWS
from airmass.recipes.recipes import Recipe

# Bytes on a CPU where the update is compiled and not read from the cache: fitted to runs of `demo`
# and of `gencast-demo`, which draws noise and attends besides.
_BASE_GRAPHCAST, _BASE_GENCAST = 1650e6, 1980e6
# How much longer all takes than the matrix products: fitted to gradients of GraphCast and GenCast Mini at 1 degree with
# `recompute` 1. GraphCast gathers, adds up and writes the mesh's edges in every step.
_OVERHEAD_GRAPHCAST, _OVERHEAD_GENCAST = 1.4, 1.25
# Of a forward pass, what the backward pass makes again with the model's `recompute` of 0, 1 and more.
_MADE_AGAIN = (0, 0.6, 1)
# Rows as wide as the network that the backward pass finds of encoder and decoder: by grid node, by each of its three
# edges from the mesh and by each of its edges to the mesh.
_BY_NODE, _BY_CORNER, _BY_ENCODER_EDGE = 30, 7, 7
# The same by kind of edge, whose embedding and first map are still equal: shared by all examples, and for each of them
# besides the gradient. The rest of the embedding is made again tile by tile.
_BY_KIND = 3
# Mesh nodes that are no step's: geometry, and of each example the gradients that tiles add to.
_MESH_SHARED, _MESH_ROWS = 10, 25
# Latents between encoder and decoder, and for GenCast those of its conditioning and the gradients of both.
_LATENTS_GRAPHCAST, _LATENTS_GENCAST = 2, 4
# Of a block of the transformer, by mesh node: rows as wide as the network, and as wide as its inner layer.
_BLOCK_ROWS, _BLOCK_INNER = 13, 6
# Scaled inputs, targets, outputs and what is between, GenCast's noise with them.
_FRAMES_GRAPHCAST, _FRAMES_GENCAST = 7, 8
# Gradients, and the copies of weights that loops over layers have.
_GRADIENTS = 2


@dataclass(frozen=True)
class TrainingFootprint:
    """An estimate. `parts` are bytes on each device at the peak, the largest first; on a CPU of the whole process.

    `flops` are additions and multiplications of the products of one update, over all of `devices`;
    `overhead` is the time of everything in theirs.
    """

    parts: Mapping[str, float]
    flops: float
    devices: int
    overhead: float

    @property
    def peak(self) -> float:
        """Bytes."""
        return sum(self.parts.values())

    def seconds(self, rate: float) -> float:
        """Time of one update where each device makes products at `rate` flops a second."""
        return self.overhead * self.flops / (self.devices * rate)


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
    InputError for devices that do not share out evenly.
    """
    settings, task, training = recipe.model, recipe.task, recipe.training
    rollout = rollout or max(training.rollout)
    data, space = axes(recipe, devices)
    together = training.batch // training.accumulate // data
    n = Counts.of(settings, shape)
    targets, prognostic = (len(Layout.of(names, task.levels)) for names in (task.targets, task.prognostic))
    frame = 4 * n.grid * targets / space
    state = 4 * n.grid * prognostic * task.history / space
    example = (task.history + rollout) * (frame + 4 * n.grid * len(task.forcing) / space)
    work = _Work.of(recipe, n, rollout, together, space, accelerator)
    base, frames = (_BASE_GENCAST, _FRAMES_GENCAST) if recipe.family.ensemble else (_BASE_GRAPHCAST, _FRAMES_GRAPHCAST)
    parts = {
        "Python, JAX and compiling": 0 if accelerator else base,
        **_of_parameters(recipe),
        "graphs and static fields": tables(n) + 4 * n.grid * fixed_channels(task),
        "examples": training.accumulate * together * example,
        "examples read ahead and frames held": 0 if accelerator else _on_the_host(recipe, n.grid, targets, times),
        "states of the rollout": together * rollout * (state + frame) if rollout > 1 else 0,
        "scaled frames": together * work.copies * frames * frame,
        **(_of_gencast(work, settings, shape) if isinstance(settings, GenCastSettings) else _of_graphcast(work)),
    }
    overhead = _OVERHEAD_GENCAST if recipe.family.ensemble else _OVERHEAD_GRAPHCAST
    flops = training.batch * rollout * _flops(recipe, shape, n, rollout)
    return TrainingFootprint(largest_first({k: v for k, v in parts.items() if v}), flops, devices, overhead)


def _flops(recipe: Recipe, shape: tuple[int, int], n: Counts, rollout: int) -> float:
    """Of one step of one example."""
    settings = recipe.model
    again = 1.0 if rollout > 1 and recipe.training.recompute else 0.0
    if isinstance(settings, GraphCastSettings):
        again, scores = again + _MADE_AGAIN[min(settings.recompute, 2)], 0.0
    else:
        # Attention makes its scores again whatever else is kept: one of its two products.
        again, scores = again + (settings.recompute > 0), attention(settings, n.mesh)[1] / 2
    forward = footprint(recipe.task, settings, shape).flops
    return (3 + again) * forward + scores


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
    count, matrices = parameter_count(recipe.task, recipe.model), _matrices(recipe.task, recipe.model)
    moments = 2 * count if recipe.optimiser.kind == "adamw" else 2 * count - matrices
    low = 2 * count if recipe.training.precision == "bfloat16" else 0
    return {
        "parameters, and those begun with": 2 * 4 * count + low,
        "gradients": (_GRADIENTS + (recipe.training.accumulate > 1)) * 4 * count,
        f"moments of {recipe.optimiser.kind}": 4 * moments,
        "average of parameters": 4 * count,
    }


def _matrices(task: Task, settings: Settings) -> int:
    made = jax.eval_shape(lambda: new_network(task, settings, jax.random.key(0)))
    leaves = jax.tree_util.tree_leaves_with_path(made)
    return sum(leaf.size for path, leaf in leaves if is_matrix(path_name(path)))


def _on_the_host(recipe: Recipe, nodes: int, targets: int, times: int) -> float:
    frame = 4.0 * nodes * targets
    held = times * frame
    length = recipe.task.history + max(recipe.training.rollout)
    ahead = (recipe.loader.ahead + 1) * recipe.training.batch * length * frame
    if held <= recipe.loader.hold_gib * 2**30:
        return ahead + held
    # As if the store's times were a task's step apart.
    return ahead + min(held, recipe.loader.near(length) * frame)


@dataclass(frozen=True)
class _Work:
    """What activations are counted from.

    `steps` of the rollout's are kept. `size` is bytes a number, but a CPU's XLA has most of what is bfloat16 in
    float32, and what is kept of edges in both.
    """

    n: Counts
    settings: Settings
    rollout: int
    steps: int
    together: int
    space: int
    size: int
    accelerator: bool

    @classmethod
    def of(cls, recipe: Recipe, n: Counts, rollout: int, together: int, space: int, accelerator: bool) -> "_Work":
        steps = 1 if recipe.training.recompute else rollout
        size = 2 if recipe.training.precision == "bfloat16" else 4
        return cls(n, recipe.model, rollout, steps, together, space, size, accelerator)

    @property
    def copies(self) -> int:
        """Of what is kept: the backward pass takes the step it is at out of those of a rollout."""
        return self.steps + 1 if self.steps > 1 else 1

    @property
    def wide(self) -> int:
        """Bytes of a row in float32, which some are whatever the precision."""
        return 4 * self.settings.width

    @property
    def row(self) -> int:
        return (self.size if self.accelerator else 4) * self.settings.width

    def of_edges(self, arrays: int) -> float:
        """Bytes of a row of each of so many arrays that a step keeps."""
        in_both = self.size == 2 and not self.accelerator
        return (4 * arrays + 2 if in_both else self.size * arrays) * self.settings.width

    def on_grid(self, nodes: float) -> float:
        """What the encoder and the decoder have of some grid nodes, all of their edges with them."""
        edges = self.n.encoder_edges / self.n.grid
        return self.row * nodes * (_BY_NODE + 3 * _BY_CORNER + edges * _BY_ENCODER_EDGE)

    @property
    def tile(self) -> float:
        """A tile of the decoder, which has more than the encoder's; of both where one tile is the whole grid."""
        nodes = self.n.grid / self.space
        if nodes <= ROWS:
            return self.on_grid(nodes)
        return self.row * nodes / -(-nodes // ROWS) * (_BY_NODE / 2 + 3 * _BY_CORNER)

    @property
    def shared(self) -> dict[str, float]:
        """Of encoder and decoder, and of nodes and edges before weather."""
        n = self.n
        latents = _LATENTS_GENCAST if isinstance(self.settings, GenCastSettings) else _LATENTS_GRAPHCAST
        grid = (
            self.row * latents * n.grid / self.space if self.settings.recompute else self.on_grid(n.grid / self.space)
        )
        on_mesh = n.mesh_kinds if isinstance(self.settings, GraphCastSettings) else 0
        # In bfloat16 half of the rows by kind are float32 all the same.
        by_kind = (4 + self.size) / 2 * self.settings.width * (_BY_KIND + self.together)
        return {
            "activations on the grid": self.together * self.copies * grid,
            "kinds of edges": by_kind * (n.decoder_kinds + n.encoder_kinds + on_mesh),
            "mesh nodes and their gradients": self.wide * n.mesh * (_MESH_SHARED + self.together * _MESH_ROWS),
        }


def _of_graphcast(work: _Work) -> dict[str, float]:
    """What the backward pass has of activations."""
    n, every, layers = work.n, work.settings.recompute, work.settings.steps  # type: ignore[union-attr]
    # The first step, whose edges are still geometry, stands by itself; of the others some are groups' starts only.
    kept = layers if every <= 1 else 1 + min(every, layers - 1)
    starts = 0 if every <= 1 else (layers - 1) // every
    # An interaction keeps what the first map gave, and unless it is made again the message before its scale.
    edges = kept * work.of_edges(1 if every == 1 else 2) + starts * work.wide
    # After the last step, and the gradient; in a rollout those of the step's start besides.
    at_work = (4 if work.rollout > 1 else 2) * work.wide * n.mesh_edges / work.space
    return work.shared | {
        "activations on mesh edges": work.together * work.copies * edges * n.mesh_edges / work.space,
        "activations on mesh nodes": work.together * work.copies * (3 * kept + starts) * work.wide * n.mesh,
        "edges or a tile gone back through": work.together * (max(at_work, work.tile) if every else at_work),
    }


def _of_gencast(work: _Work, settings: GenCastSettings, shape: tuple[int, int]) -> dict[str, float]:
    """The same of a denoiser; on several devices each has all of the transformer."""
    n, every = work.n, settings.recompute
    inner = _BLOCK_INNER * settings.feedforward / settings.width
    block = work.row * n.mesh * (_BLOCK_ROWS + inner)
    starts = -(-settings.layers // every) * work.wide * n.mesh if every else 0
    return work.shared | {
        "noise tables": noise_tables(shape),
        "attention masks": attention(settings, n.mesh)[0],
        "activations of the transformer": work.together * (starts if every else settings.layers * block),
        "blocks or a tile gone back through": work.together * max(every * block, work.tile) if every else 0,
    }
