"""Warm start of a run from the parameters of another run or a published file, with other variables, levels or mesh.

Rows of the first layers and columns of the last are matched by (role, variable, level, lag). New ones start at zero,
and added processor steps start as identity, so the forecasts of existing variables are unchanged at first.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from airmass.core.errors import InputError
from airmass.core.types import Array
from airmass.fields.channels import ChannelLayout
from airmass.fields.normalise import Normaliser
from airmass.fields.task import Task
from airmass.forecasting.checkpoints.base import Checkpoint
from airmass.forecasting.checkpoints.model_file import named_leaves, with_named_leaves
from airmass.forecasting.checkpoints.read import read_checkpoint
from airmass.models.family import family_of
from airmass.models.settings import ModelSettings
from airmass.models.transfer import NetworkChannel, ParameterLayout, output_channels

_Network = TypeVar("_Network")


@dataclass(frozen=True)
class TransferReport:
    """Report of a warm start. `new_rows` of the first layer and `new_columns` of the last one start at zero."""

    source: str
    inputs: tuple[NetworkChannel, ...]
    outputs: tuple[NetworkChannel, ...]
    new_rows: tuple[int, ...]
    new_columns: tuple[int, ...]
    dropped: tuple[NetworkChannel, ...]
    changed: tuple[str, ...]

    def __str__(self) -> str:
        n, m = len(self.inputs), len(self.outputs)
        new = [self.inputs[row] for row in self.new_rows] + [self.outputs[column] for column in self.new_columns]
        return "; ".join(
            [
                f"{self.source}: transferred {n - len(self.new_rows)} of {n} inputs and "
                f"{m - len(self.new_columns)} of {m} outputs",
                *([f"new, starting at zero: {_text(new)}"] if new else []),
                *([f"left out: {_text(self.dropped)}"] if self.dropped else []),
                *self.changed,
            ]
        )


def start_from(
    network: _Network, task: Task, settings: ModelSettings, source: str | Path, config: str | Path | None = None
) -> tuple[_Network, TransferReport]:
    """Copy matching parameters of the checkpoint `source` into `network`, new for `task` and `settings`.

    Mesh, grid and resolution may differ, and the checkpoint may be of the family that this one grows from. Raises
    InputError, with both values, for another model family or time step, other widths, and fewer processor steps.
    """
    held = read_checkpoint(source, config)
    _require_alike(held, task, settings, source)
    new, prior = (family_of(settings).parameter_layout(*one) for one in ((task, settings), (held.task, held.settings)))
    rows, columns = _places(new.inputs, prior.inputs), _places(new.outputs, prior.outputs)
    fresh, old = named_leaves(network), named_leaves(held.network)
    kept: dict[str, np.ndarray] = {}
    if held.family is not family_of(settings):
        old = {f"{_prefix(held, settings)}{name}": leaf for name, leaf in old.items()}
        kept = {name: leaf for name, leaf in fresh.items() if name not in old}
    carried = kept | {
        name: _transferred(name, leaf, fresh.get(name, leaf), rows, columns, new) for name, leaf in old.items()
    }
    left = {*prior.inputs, *prior.outputs} - {*new.inputs, *new.outputs}
    report = TransferReport(
        str(source),
        new.inputs,
        new.outputs,
        tuple(np.flatnonzero(rows < 0).tolist()),
        tuple(np.flatnonzero(columns < 0).tolist()),
        tuple(sorted(left, key=lambda channel: (channel.name, channel.level or 0))),
        (*_changed_roles(held.task, task), *_changed_settings(held.settings, settings)),
    )
    return jax.tree.map(jnp.asarray, with_named_leaves(network, carried, source)), report


def restored_scales(
    own: Normaliser,
    task: Task,
    source: str | Path,
    statistics: str | Path | None = None,
    config: str | Path | None = None,
) -> Normaliser:
    """Scales that the checkpoint was trained with, and those of `own` for channels that it does not have.

    A published file needs its `statistics` folder or `config`; a model file of airmass contains its scales.
    """
    held = read_checkpoint(source, config)
    scales = held.scales(statistics)
    merged: dict[str, Any] = {}
    for part, new, old in zip(_PARTS, _channels(task), _channels(held.task), strict=True):
        places = _places(new, old)
        merged |= {field: _merged(getattr(own, field), getattr(scales, field), places) for field in part}
    return dataclasses.replace(own, **merged)


def restored_fill(
    own: Float[np.ndarray, " prognostic"],
    task: Task,
    source: str | Path,
    statistics: str | Path | None = None,
    config: str | Path | None = None,
) -> Float[np.ndarray, " prognostic"]:
    """Values that replace missing ones: the checkpoint's, and those of `own` for channels that it does not have."""
    held = read_checkpoint(source, config)
    theirs = held.fill(statistics)
    return own if theirs is None else _merged(own, theirs, _places(_channels(task)[0], _channels(held.task)[0]))


_PARTS = (
    ("history_mean", "history_std"),
    ("forcing_mean", "forcing_std"),
    ("static_mean", "static_std"),
    ("target_offset", "target_scale"),
)


def _channels(task: Task) -> tuple[Sequence, ...]:
    """Channels of the arrays in each of `_PARTS`."""
    history, static = (ChannelLayout.of(names, task.levels).channels for names in (task.prognostic, task.static))
    return history, task.forcing, static, output_channels(task)


def _places(new: Sequence, old: Sequence) -> np.ndarray:
    """Index in `old` of each item of `new`, -1 if it is not there."""
    known = {channel: place for place, channel in enumerate(old)}
    return np.array([known.get(channel, -1) for channel in new], int)


def _merged(own: Array, theirs: Array, places: np.ndarray) -> np.ndarray:
    """Values of `theirs` for channels that have a place, else of `own`."""
    return np.array([theirs[p] if p >= 0 else x for p, x in zip(places, own, strict=True)], np.float32)


def _transferred(
    name: str, old: np.ndarray, fresh: np.ndarray, rows: np.ndarray, columns: np.ndarray, layout: ParameterLayout
) -> np.ndarray:
    """Transfer one parameter: reorder rows or columns, append processor steps, or copy it."""
    if name in layout.first:
        return _moved(old, rows)
    if name.startswith(layout.last):
        return _moved(old.T, columns).T
    if name.startswith(layout.stacked) and len(old) < len(fresh):
        more = fresh[len(old) :]
        return np.concatenate([old, np.zeros_like(more) if name.endswith(layout.closing) else more])
    return old


def _moved(old: np.ndarray, places: np.ndarray) -> np.ndarray:
    known = (places >= 0).reshape(-1, *[1] * (old.ndim - 1))
    return np.where(known, old[places], 0).astype(old.dtype)


def _prefix(held: Checkpoint, settings: ModelSettings) -> str:
    """The beginning of the names of the checkpoint's parameters in a network of the family that grows from its own."""
    grows_from = family_of(settings).grows_from
    assert grows_from is not None and grows_from[0] == held.family.name
    return grows_from[1]


def _require_alike(held: Checkpoint, task: Task, settings: ModelSettings, source: str | Path) -> None:
    family = family_of(settings)
    grown = family.grows_from is not None and held.family.name == family.grows_from[0]
    if held.family is not family and not grown:
        raise InputError(f"{source}: holds a {held.family.title}, expected a {family.title}")
    if held.task.step != task.step:
        raise InputError(f"{source}: was trained for steps of {held.task.step} h, expected {task.step} h")
    layout, old, new = family.parameter_layout(task, settings), asdict(held.settings), asdict(settings)
    for name in layout.fixed:
        if name in old and old[name] != new[name]:
            raise InputError(f"{source}: {name} is {old[name]}, expected {new[name]}")
    if old[layout.depth] > new[layout.depth]:
        raise InputError(
            f"{source}: {layout.depth} is {old[layout.depth]}, expected at most {new[layout.depth]}: it can only grow"
        )


def _changed_roles(theirs: Task, task: Task) -> Iterable[str]:
    both = sorted({*theirs.targets} & {*task.targets})
    for name in both:
        if (name in theirs.prognostic) != (name in task.prognostic):
            roles = ("prognostic", "diagnostic") if name in theirs.prognostic else ("diagnostic", "prognostic")
            yield f"{name} was {roles[0]} and is {roles[1]}"


def _changed_settings(old: ModelSettings, new: ModelSettings) -> Iterable[str]:
    for field in dataclasses.fields(new):
        before, now = getattr(old, field.name, "none"), getattr(new, field.name)
        if before != now and field.name != "recompute":
            yield f"{field.name} {before} -> {now}"


def _text(channels: Iterable[NetworkChannel]) -> str:
    levels: dict[str, set[int]] = {}
    for channel in channels:
        levels.setdefault(channel.name, set()).update([] if channel.level is None else [channel.level])
    return ", ".join(
        f"{name} at {' '.join(map(str, sorted(at)))} hPa" if at else name for name, at in sorted(levels.items())
    )
