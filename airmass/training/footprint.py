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
from airmass.fields.channels import ChannelLayout
from airmass.fields.task import Task
from airmass.models.family import new_network
from airmass.models.footprint import Work, fixed_channels, largest_first, parameter_count
from airmass.models.settings import ModelSettings
from airmass.recipes.recipes import Recipe

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
    task, training = recipe.task, recipe.training
    rollout = rollout or max(training.rollout)
    data, space = axes(recipe, devices)
    together = training.batch // training.accumulate // data
    nodes = shape[0] * shape[1]
    targets, prognostic = (len(ChannelLayout.of(names, task.levels)) for names in (task.targets, task.prognostic))
    frame = 4 * nodes * targets / space
    state = 4 * nodes * prognostic * task.history / space
    example = (task.history + rollout) * (frame + 4 * nodes * len(task.forcing) / space)
    work = _work(recipe, shape, rollout, together, space, accelerator)
    costs = recipe.family.update_costs(recipe.model, work)
    parts = {
        "Python, JAX and compiling": 0 if accelerator else costs.base,
        **_of_parameters(recipe),
        "graphs and static fields": costs.tables + 4 * nodes * fixed_channels(task),
        "examples": training.accumulate * together * example,
        "examples read ahead and frames held": 0 if accelerator else _on_the_host(recipe, nodes, targets, times),
        "states of the rollout": together * rollout * (state + frame) if rollout > 1 else 0,
        "scaled frames": together * work.copies * costs.frames * frame,
        **costs.activations,
    }
    flops = training.batch * rollout * costs.flops
    return TrainingFootprint(largest_first({k: v for k, v in parts.items() if v}), flops, devices, costs.overhead)


def _work(recipe: Recipe, shape: tuple[int, int], rollout: int, together: int, space: int, accelerator: bool) -> Work:
    again = recipe.training.recompute
    size = 2 if recipe.training.precision == "bfloat16" else 4
    steps = 1 if again else rollout
    return Work(recipe.task, shape, rollout, steps, together, space, size, accelerator, again and rollout > 1)


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


def _matrices(task: Task, settings: ModelSettings) -> int:
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
