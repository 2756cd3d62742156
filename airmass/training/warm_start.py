"""Starting a run from the parameters of another, or of a published file, with its own variables, levels and mesh.

Rows of the first maps and columns of the last are found by (role, variable, level, lag). What is new starts at zero in
both, and added processor steps start as identity, so that forecasts of what was there before are unchanged at first.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from airmass.core.errors import InputError
from airmass.core.types import Array
from airmass.fields.channels import Layout
from airmass.fields.normalise import Normaliser
from airmass.fields.task import Task
from airmass.forecasting.checkpoints.model_file import SavedModel, named_leaves, with_named_leaves
from airmass.forecasting.system import missing_fill, published_statistics, read_checkpoint
from airmass.models.footprint import Settings
from airmass.models.gencast.settings import GenCastSettings
from airmass.models.published import PublishedGraphCast
from airmass.models.published.archive import SORTED_INPUTS, STACKED

# Settings that shape parameters or their meaning; the number of steps may grow, and others only change where it runs.
_FIXED = ("width", "hidden_layers", "heads", "feedforward", "frequencies", "base_period", "encoder_sizes")
# What ends the branches of an added step or layer: at zero, it adds nothing to what it is given.
_LAST_OF_BRANCH = (
    *(f"{part}_mlp.norm.{leaf}" for part in ("edge", "node") for leaf in ("scale", "offset")),
    *(f".{part}.{leaf}" for part in ("attended", "down") for leaf in ("weight", "bias")),
)
_STRUCTURE = 3  # features of position that close the first maps

Network = TypeVar("Network")


class Slot(NamedTuple):
    """What one input row or output column of a network stands for.

    `role` is "input"; "expected" for what a linear model expects; "change" or "field" for outputs (and for GenCast's
    noisy targets), which are residuals of prognostic and whole fields of diagnostic variables; "position" for
    structural features. `lag` counts steps from the last frame.
    """

    role: str
    name: str
    level: int | None
    lag: int


@dataclass(frozen=True)
class Carried:
    """What a start took over. `new_rows` of the first map and `new_columns` of the last one start at zero."""

    source: str
    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]
    new_rows: tuple[int, ...]
    new_columns: tuple[int, ...]
    dropped: tuple[Slot, ...]
    changed: tuple[str, ...]

    def __str__(self) -> str:
        n, m = len(self.inputs), len(self.outputs)
        new = [self.inputs[row] for row in self.new_rows] + [self.outputs[column] for column in self.new_columns]
        return "; ".join(
            [
                f"{self.source}: carried {n - len(self.new_rows)} of {n} inputs and "
                f"{m - len(self.new_columns)} of {m} outputs",
                *([f"new, starting at zero: {_spoken(new)}"] if new else []),
                *([f"left out: {_spoken(self.dropped)}"] if self.dropped else []),
                *self.changed,
            ]
        )


def start_from(network: Network, task: Task, settings: Settings, source: str | Path) -> tuple[Network, Carried]:
    """`network`, freshly made for `task` and `settings`, with every parameter that the checkpoint `source` has for it.

    Mesh, grid and resolution may differ. Raises InputError for another kind of model, another length of step, other
    widths and fewer processor steps, with both values.
    """
    held = read_checkpoint(source)
    theirs, their_settings = _task(held), held.recipe.model if isinstance(held, SavedModel) else held.settings
    _require_alike(theirs, task, their_settings, settings, source)
    noisy = isinstance(settings, GenCastSettings)
    inputs, outputs = input_slots(task, noisy, _innovation(settings)), output_slots(task)
    old_inputs = input_slots(theirs, noisy, _innovation(their_settings))
    rows, columns = _places(inputs, old_inputs), _places(outputs, output_slots(theirs))
    fresh, old = named_leaves(network), named_leaves(held.network)
    last = f"decoder.output.layers.{settings.hidden_layers}."
    carried = {name: _carry(name, leaf, fresh.get(name, leaf), rows, columns, last) for name, leaf in old.items()}
    left = {*old_inputs, *output_slots(theirs)} - {*inputs, *outputs}
    about = Carried(
        str(source),
        tuple(inputs),
        tuple(outputs),
        tuple(np.flatnonzero(rows < 0).tolist()),
        tuple(np.flatnonzero(columns < 0).tolist()),
        tuple(sorted(left, key=lambda slot: (slot.name, slot.level or 0))),
        (*_changed_roles(theirs, task), *_changed_settings(their_settings, settings)),
    )
    return jax.tree.map(jnp.asarray, with_named_leaves(network, carried, source)), about


def restored_scales(
    own: Normaliser, task: Task, source: str | Path, statistics: str | Path | None = None
) -> Normaliser:
    """The scales that the checkpoint's parameters were trained under, and `own` for channels that it does not know.

    A published file needs the folder of its `statistics`; one of ours holds its scales and takes none.
    """
    held = read_checkpoint(source)
    theirs = _task(held)
    if not isinstance(held, SavedModel):
        scales = Normaliser.from_statistics(
            theirs, *published_statistics(Path(source), statistics, theirs), str(statistics)
        )
    elif statistics is None:
        scales = held.normaliser
    else:
        raise InputError(f"{source}: carries its own statistics; leave out --statistics {statistics}")
    merged: dict[str, Any] = {}
    for part, here, there in zip(_PARTS, _channels(task), _channels(theirs), strict=True):
        places = _places(here, there)
        merged |= {field: _merged(getattr(own, field), getattr(scales, field), places) for field in part}
    return dataclasses.replace(own, **merged)


def restored_fill(
    own: Float[np.ndarray, " prognostic"], task: Task, source: str | Path, statistics: str | Path | None = None
) -> Float[np.ndarray, " prognostic"]:
    """What replaces missing values, in the same way; a published GraphCast knows of none."""
    held = read_checkpoint(source)
    theirs = _task(held)
    if isinstance(held, PublishedGraphCast):
        return own
    fill = held.fill if isinstance(held, SavedModel) else missing_fill(theirs, str(statistics))
    return _merged(own, fill, _places(_channels(task)[0], _channels(theirs)[0]))


_PARTS = (
    ("history_mean", "history_std"),
    ("forcing_mean", "forcing_std"),
    ("static_mean", "static_std"),
    ("target_offset", "target_scale"),
)


def _channels(task: Task) -> tuple[Sequence, ...]:
    """What the arrays of each of `_PARTS` run over."""
    history, static = (Layout.of(names, task.levels).channels for names in (task.prognostic, task.static))
    return history, task.forcing, static, output_slots(task)


def _innovation(settings: Settings) -> bool:
    return isinstance(settings, GenCastSettings) and settings.innovation


def input_slots(task: Task, noisy: bool, innovation: bool = False) -> list[Slot]:
    """Rows of the first maps: `Normaliser.inputs`, what is expected, noisy targets (GenCast), features of position."""
    history, static = (Layout.of(names, task.levels).channels for names in (task.prognostic, task.static))
    lags = range(1 - task.history, 1)
    return [
        *(Slot("input", name, level, lag) for lag in lags for name, level in history),
        *(Slot("input", name, None, lag) for lag in (*lags, 1) for name in task.forcing),
        *(Slot("input", name, level, 0) for name, level in static),
        *(Slot("expected", name, level, 1) for name, level in history if innovation),
        *(output_slots(task) if noisy else []),
        *(Slot("position", str(feature), None, 0) for feature in range(_STRUCTURE)),
    ]


def output_slots(task: Task) -> list[Slot]:
    """Columns of the last map."""
    targets = Layout.of(task.targets, task.levels).channels
    return [Slot("change" if name in task.prognostic else "field", name, level, 1) for name, level in targets]


def _places(here: Sequence, there: Sequence) -> np.ndarray:
    """Where each of `here` stands in `there`, -1 where it does not."""
    known = {slot: place for place, slot in enumerate(there)}
    return np.array([known.get(slot, -1) for slot in here], int)


def _merged(own: Array, theirs: Array, places: np.ndarray) -> np.ndarray:
    """`theirs` where they have a place, `own` elsewhere."""
    return np.array([theirs[p] if p >= 0 else x for p, x in zip(places, own, strict=True)], np.float32)


def _carry(
    name: str, old: np.ndarray, fresh: np.ndarray, rows: np.ndarray, columns: np.ndarray, last: str
) -> np.ndarray:
    """One parameter: moved by row or column, grown by steps, or as it is."""
    if name in SORTED_INPUTS:
        return _moved(old, rows)
    if name.startswith(last):
        return _moved(old.T, columns).T
    if name.startswith(STACKED) and len(old) < len(fresh):
        more = fresh[len(old) :]
        return np.concatenate([old, np.zeros_like(more) if name.endswith(_LAST_OF_BRANCH) else more])
    return old


def _moved(old: np.ndarray, places: np.ndarray) -> np.ndarray:
    known = (places >= 0).reshape(-1, *[1] * (old.ndim - 1))
    return np.where(known, old[places], 0).astype(old.dtype)


def _task(held) -> Task:
    return held.recipe.task if isinstance(held, SavedModel) else held.task


def _require_alike(theirs: Task, task: Task, old: Settings, new: Settings, source: str | Path) -> None:
    if type(old) is not type(new):
        kinds = (type(settings).__name__.removesuffix("Settings") for settings in (old, new))
        raise InputError("{}: holds a {}, expected a {}".format(source, *kinds))
    if theirs.step != task.step:
        raise InputError(f"{source}: was trained for steps of {theirs.step} h, expected {task.step} h")
    for name in _FIXED:
        if hasattr(new, name) and getattr(old, name) != getattr(new, name):
            raise InputError(f"{source}: {name} is {getattr(old, name)}, expected {getattr(new, name)}")
    depth = "layers" if isinstance(new, GenCastSettings) else "steps"
    if getattr(old, depth) > getattr(new, depth):
        raise InputError(
            f"{source}: {depth} is {getattr(old, depth)}, expected at most {getattr(new, depth)}: they may only grow"
        )


def _changed_roles(theirs: Task, task: Task) -> Iterable[str]:
    both = sorted({*theirs.targets} & {*task.targets})
    for name in both:
        if (name in theirs.prognostic) != (name in task.prognostic):
            roles = ("prognostic", "diagnostic") if name in theirs.prognostic else ("diagnostic", "prognostic")
            yield f"{name} was {roles[0]} and is {roles[1]}"


def _changed_settings(old: Settings, new: Settings) -> Iterable[str]:
    for field in dataclasses.fields(new):
        before, now = getattr(old, field.name), getattr(new, field.name)
        if before != now and field.name != "recompute":
            yield f"{field.name} {before} -> {now}"


def _spoken(slots: Iterable[Slot]) -> str:
    levels: dict[str, set[int]] = {}
    for slot in slots:
        levels.setdefault(slot.name, set()).update([] if slot.level is None else [slot.level])
    return ", ".join(
        f"{name} at {' '.join(map(str, sorted(at)))} hPa" if at else name for name, at in sorted(levels.items())
    )
