"""What both published layouts share: keys joined by ":", the task, and parameters by module.

Weights are [in, out], as ours. Only the order of input channels differs: theirs sorts every input by name with time
inside, ours keeps frames together, so the rows of the first maps are moved.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import jax
import numpy as np

from airmass.core.arrays import ArrayFile, as_declared
from airmass.core.errors import InputError
from airmass.core.typed import Range, typed
from airmass.diffusion.noise_levels import TrainingNoise
from airmass.diffusion.samplers.base import Sampler
from airmass.fields.channels import ChannelLayout
from airmass.fields.normalise import Normaliser
from airmass.fields.task import Task
from airmass.fields.variables import COMPUTED, VARIABLES


@dataclass(frozen=True)
class PublishedModel:
    """A published checkpoint in our terms.

    `resolution` is in degrees, 0 where the file does not say. `sampler` and `training_noise` are None where a model
    samples nothing. `normaliser` and `fill` are None where statistics stand in files of their own.
    """

    task: Task
    settings: Any
    network: Any
    description: str
    license: str
    resolution: float = 0.0
    sampler: Sampler | None = None
    training_noise: TrainingNoise | None = None
    normaliser: Normaliser | None = None
    fill: np.ndarray | None = None


Flat = Mapping[str, Any]
# Bytes of a setting; a licence is the longest.
_MOST_SETTING = 4 * 2**20
# The published names of one of our leaves: one, or one for each layer where ours is stacked.
Keys = Callable[[str], Sequence[str]]
Tree = TypeVar("Tree")

# Our modules whose leaves are stacked over layers.
STACKED = ("processor.", "transformer.blocks.")
SORTED_INPUTS = ("encoder.embed_grid.layers.0.weight", "encoder.embed_mesh.layers.0.weight")


def read_flat(path: str | Path) -> Flat:
    """Arrays of a published `.npz` by key: parameters unread yet, and what says how it is made.

    Raises InputError for a file that is none, or not whole, and for settings that are more than one number or text.
    """
    stored = ArrayFile(path)
    for key, array in stored.items():
        plain = array.dtype.kind in "iufbU" and array.shape == () and array.dtype.itemsize <= _MOST_SETTING
        if not key.startswith("params:") and not plain:
            found = f"{array.dtype} of shape {array.shape}"
            raise InputError(f"{path}: {key} is {found}, expected one number or text")
    return {key: array if key.startswith("params:") else np.asarray(array) for key, array in stored.items()}


def parameters(flat: Flat, template: Tree, keys: Keys, rows: np.ndarray, source: str) -> Tree:
    """Our parameters from `params:*`. Every key is used exactly once; otherwise an InputError names which and how."""
    given = {key.removeprefix("params:"): value for key, value in flat.items() if key.startswith("params:")}
    leaves, tree = jax.tree_util.tree_flatten_with_path(template)
    names = [_name(path) for path, _ in leaves]
    _match({key for name in names for key in keys(name)}, given, source)
    values = []
    for name, (_, leaf) in zip(names, leaves, strict=True):
        stacked = name.startswith(STACKED)
        shape = leaf.shape[1:] if stacked else leaf.shape
        like = jax.ShapeDtypeStruct(shape, leaf.dtype)
        read = [as_declared(given[key], like, source, key) for key in keys(name)]
        value = np.stack(read) if stacked else read[0]
        values.append(value[rows] if name in SORTED_INPUTS else value)
    return jax.tree_util.tree_unflatten(tree, values)


def published(tree, keys: Keys, rows: np.ndarray) -> dict[str, np.ndarray]:
    """The inverse of `parameters`, without the prefix `params:`; also serves for gradients."""
    back = np.argsort(rows)
    flat: dict[str, np.ndarray] = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        name, value = _name(path), np.asarray(leaf)
        value = value[back] if name in SORTED_INPUTS else value
        names = keys(name)
        flat |= dict(zip(names, value, strict=True)) if name.startswith(STACKED) else {names[0]: value}
    return flat


def published_rows(task: Task, noisy_targets: bool) -> np.ndarray:
    """Row of the published first map for each of our input channels, structural features last.

    With `noisy_targets` these are inputs too: the published order sorts them among the target time's forcings, ours
    puts them behind everything else.
    """
    lags = range(1 - task.history, 1)
    inputs = [
        (name, lag, level)
        for name in sorted((*task.prognostic, *task.forcing, *task.static))
        for lag in ((0,) if name in task.static else lags)
        for level in (task.levels if VARIABLES[name].on_levels else (None,))
    ]
    noisy = [(name, 1, level) for name, level in ChannelLayout.of(task.targets, task.levels).channels if noisy_targets]
    at_target = [(name, 1, None) for name in task.forcing]
    order = [*inputs, *sorted([*at_target, *noisy], key=lambda channel: channel[0])]
    prognostic = ChannelLayout.of(task.prognostic, task.levels).channels
    static = ChannelLayout.of(task.static, task.levels).channels
    ours = [
        *((name, lag, level) for lag in lags for name, level in prognostic),
        *((name, lag, None) for lag in (*lags, 1) for name in task.forcing),
        *((name, 0, level) for name, level in static),
        *noisy,
    ]
    place = {channel: row for row, channel in enumerate(order)}
    n = len(ours)
    return np.array([*(place[channel] for channel in ours), n, n + 1, n + 2])


def read_task(flat: Flat, path: str | Path) -> Task:
    """The task of a published checkpoint; its step is half of the stretch of time that its two inputs cover."""
    inputs, targets = _strings(flat, "task_config:input_variables"), _strings(flat, "task_config:target_variables")
    levels = integers(flat, "task_config:pressure_levels", path)
    if not targets or "task_config:input_duration" not in flat:
        raise InputError(f"{path}: no task_config: is this a published checkpoint?")
    duration = re.fullmatch(r"(\d{1,4})h", str(flat["task_config:input_duration"]))
    if duration is None or int(duration[1]) % 2:
        found = str(flat["task_config:input_duration"])
        raise InputError(
            f"{path}: task_config:input_duration is {found!r}, expected an even number of hours such as 12h"
        )
    forcing = _strings(flat, "task_config:forcing_variables")
    return Task(
        prognostic=tuple(name for name in targets if name in inputs),
        diagnostic=tuple(name for name in targets if name not in inputs),
        forcing=forcing,
        static=tuple(name for name in inputs if name not in (*targets, *forcing, *COMPUTED)),
        levels=levels,
        step=int(duration[1]) // 2,
    )


def setting(flat: Flat, key: str, path: str | Path):
    """One scalar of the configuration; raises InputError when it is absent."""
    if key not in flat:
        raise InputError(f"{path}: no {key} in this published checkpoint")
    return flat[key].item()


def corner_length(flat: Flat, config: str) -> float | None:
    """The divisor of mesh to grid features, where a checkpoint gives it."""
    return number(flat, f"{config}:mesh2grid_edge_normalization_factor")


def number(flat: Flat, key: str) -> float | None:
    """A number of 0 or more, None where there is none."""
    return typed(flat[key].item(), Annotated[float, Range(0)], key) if key in flat else None


def integers(flat: Flat, prefix: str, path: str | Path) -> tuple[int, ...]:
    """A list of whole numbers; raises InputError for anything else in it."""
    return tuple(typed(flat[key].item(), int, f"{path}: {key}") for key in listed(flat, prefix))


def listed(flat: Flat, prefix: str) -> list[str]:
    """The keys of a list, in its order."""
    keys = [key for key in flat if key.startswith(prefix + ":")]
    if odd := next((key for key in keys if not re.fullmatch(r"\d{1,6}", key.rpartition(":")[2])), None):
        raise InputError(f"{odd} is in a published list, expected a number at its end")
    return sorted(keys, key=lambda key: int(key.rpartition(":")[2]))


def _strings(flat: Flat, prefix: str) -> tuple[str, ...]:
    return tuple(str(flat[key]) for key in listed(flat, prefix))


def _name(path) -> str:
    """A leaf's place as text: `encoder.interaction.edge_mlp.layers.0.weight`."""
    return ".".join(str(getattr(key, "name", getattr(key, "idx", ""))) for key in path)


def _match(wanted: set[str], given: Mapping[str, np.ndarray], source: str) -> None:
    if missing := sorted(wanted - given.keys()):
        left_over = sorted(given.keys() - wanted)
        hint = f"; instead it has {left_over[0]} {given[left_over[0]].shape}" if left_over else ""
        raise InputError(f"{source}: {len(missing)} parameters missing, first {missing[0]}{hint}")
    if left_over := sorted(given.keys() - wanted):
        first = f"{left_over[0]} {given[left_over[0]].shape}"
        raise InputError(f"{source}: {len(left_over)} parameters that nothing uses, first {first}")
