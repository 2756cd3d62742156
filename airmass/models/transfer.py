"""The meaning of a network's inputs, outputs and layers, for a warm start of another network."""

from dataclasses import dataclass
from typing import NamedTuple

from airmass.fields.channels import ChannelLayout
from airmass.fields.task import Task

_STRUCTURE = 3  # position features, the last inputs of the first maps


class NetworkChannel(NamedTuple):
    """The meaning of one input row or output column of a network.

    `role` is "input"; "expected" for the next frame of a linear model; "change" or "field" for outputs (and for
    GenCast's noisy targets), which are residuals of prognostic and whole fields of diagnostic variables; "position" for
    geometric features. `lag` counts steps from the last frame.
    """

    role: str
    name: str
    level: int | None
    lag: int


@dataclass(frozen=True)
class ParameterLayout:
    """Places of inputs, outputs and layers in a network's parameters.

    Rows of the parameters `first` are `inputs`, columns of those whose names begin with `last` are `outputs`. Those
    that begin with `stacked` have the layers along their first axis, as many as the setting `depth` says; where a name
    ends with one of `closing`, it closes the branch of a layer, which at zero adds nothing. `fixed` are settings that
    shape parameters or their meaning.
    """

    inputs: tuple[NetworkChannel, ...]
    outputs: tuple[NetworkChannel, ...]
    first: tuple[str, ...]
    last: str
    stacked: str
    depth: str
    closing: tuple[str, ...]
    fixed: tuple[str, ...]


def input_channels(
    task: Task, noisy: bool, linear_residual: bool = False, positions: int = _STRUCTURE
) -> list[NetworkChannel]:
    """Rows of the first maps: `Normaliser.inputs`, the expected frame, noisy targets (GenCast), position features."""
    history, static = (ChannelLayout.of(names, task.levels).channels for names in (task.prognostic, task.static))
    lags = range(1 - task.history, 1)
    return [
        *(NetworkChannel("input", name, level, lag) for lag in lags for name, level in history),
        *(NetworkChannel("input", name, None, lag) for lag in (*lags, 1) for name in task.forcing),
        *(NetworkChannel("input", name, level, 0) for name, level in static),
        *(NetworkChannel("expected", name, level, 1) for name, level in history if linear_residual),
        *(output_channels(task) if noisy else []),
        *(NetworkChannel("position", str(feature), None, 0) for feature in range(positions)),
    ]


def output_channels(task: Task) -> list[NetworkChannel]:
    """Columns of the last map."""
    targets = ChannelLayout.of(task.targets, task.levels).channels
    return [NetworkChannel("change" if name in task.prognostic else "field", name, level, 1) for name, level in targets]
