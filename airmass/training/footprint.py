"""Estimated memory (by device and part), arithmetic and time of a training update, without compiling it.

Arrays are counted as XLA has them at the peak of updates compiled for a CPU (`compiled.memory_analysis()` and its
buffer report, jax 0.10.2), for GraphCast and GenCast of width 64 to 512 at 64 x 32, 128 x 64 and 1 degree. For the
difference to whole runs see benchmarks/README.md, "Plan". Compilers for accelerators have not been examined.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import jax

from airmass.core.errors import InputError
from airmass.core.parameter_paths import is_matrix, path_name
from airmass.fields.channels import ChannelLayout
from airmass.fields.task import Task
from airmass.models.family import new_network
from airmass.models.footprint import Work, fixed_channels, largest_first, parameter_count
from airmass.models.settings import ModelSettings
from airmass.recipes.recipes import Recipe
from airmass.recipes.settings import DeviceSettings, TrainingSettings
from airmass.training.sharding import require_members

# Gradients, and the copies of weights in loops over layers.
_GRADIENTS = 2


@dataclass(frozen=True)
class TrainingFootprint:
    """Estimate for one update. `parts` are bytes per device at the peak, largest first; on a CPU, of the whole process.

    `flops` are the additions and multiplications of matrix products in one update, over all `devices`; `overhead` is
    the time of the whole update divided by that of its matrix products.
    """

    parts: Mapping[str, float]
    flops: float
    devices: int
    overhead: float

    @property
    def peak(self) -> float:
        """Peak memory, bytes."""
        return sum(self.parts.values())

    def seconds(self, rate: float) -> float:
        """Seconds of one update if each device makes matrix products at `rate` flop/s."""
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

    `times` is the number of frames in the training dates, which the host keeps in memory if they are few. Raises
    InputError for devices that the batch cannot be distributed over.
    """
    task, training = recipe.task, recipe.training
    rollout = rollout or max(training.rollout)
    members = recipe.family.training_members(recipe.model)
    data, member, space = axes(recipe.devices, training, members, devices)
    together = training.batch // training.accumulate // data
    nodes = shape[0] * shape[1]
    targets, prognostic = (len(ChannelLayout.of(names, task.levels)) for names in (task.targets, task.prognostic))
    frame = 4 * nodes * targets / space
    state = 4 * nodes * prognostic * task.history / space
    example = (task.history + rollout) * (frame + 4 * nodes * len(task.forcing) / space)
    work = replace(_work(task, training, shape, rollout, together, space, accelerator), member=member)
    costs = recipe.family.update_costs(recipe.model, work)
    parts = {
        "Python, JAX and compiling": 0 if accelerator else costs.base,
        **_of_parameters(recipe),
        "graphs and static fields": costs.tables + 4 * nodes * fixed_channels(task),
        "examples": training.accumulate * together * example,
        "examples read ahead and frames in memory": 0 if accelerator else _on_the_host(recipe, nodes, targets, times),
        "states of the rollout": together * rollout * (state + frame) if rollout > 1 else 0,
        "scaled frames": together * work.copies * costs.frames * frame,
        **costs.activations,
    }
    flops = training.batch * rollout * member * costs.flops
    return TrainingFootprint(largest_first({k: v for k, v in parts.items() if v}), flops, devices, costs.overhead)


def _work(
    task: Task,
    training: TrainingSettings,
    shape: tuple[int, int],
    rollout: int,
    together: int,
    space: int,
    accelerator: bool,
) -> Work:
    again = training.recompute
    size = 2 if training.precision == "bfloat16" else 4
    steps = 1 if again else rollout
    return Work(task, shape, rollout, steps, together, space, size, accelerator, again and rollout > 1)


def axes(settings: DeviceSettings, training: TrainingSettings, members: int, devices: int) -> tuple[int, int, int]:
    """Number of devices that examples, the `members` of an example, and its grid are distributed over."""
    require_members(settings, members)
    data = settings.data or max(1, devices // (settings.member * settings.space))
    if data * settings.member * settings.space != devices:
        raise InputError(
            f"devices: data {settings.data or 'all'}, member {settings.member} and space {settings.space} do not make "
            f"{devices}"
        )
    data, member = (data, settings.member) if members > 1 else (data * settings.member, 1)
    part = training.batch // training.accumulate
    if part % data:
        raise InputError(
            f"{part} examples in parallel do not divide over {data} devices; expected a multiple of {data}"
        )
    return data, member, settings.space


def _of_parameters(recipe: Recipe) -> dict[str, float]:
    """Bytes of parameters, gradients and optimiser, if all are trained; LoRA and frozen parameters need less."""
    count, matrices = parameter_count(recipe.task, recipe.model), _matrices(recipe.task, recipe.model)
    moments = 2 * count if recipe.optimiser.kind == "adamw" else 2 * count - matrices
    low = 2 * count if recipe.training.precision == "bfloat16" else 0
    return {
        "parameters, current and initial": 2 * 4 * count + low,
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
    # Assumes that the store's times are one step of the task apart.
    return ahead + min(held, recipe.loader.near(length) * frame)
