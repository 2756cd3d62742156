"""Normalisation: scales of inputs and outputs, of which some are residuals from the last frame."""

from itertools import pairwise

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Float

from airmass.core.errors import InputError
from airmass.core.types import Array
from airmass.fields.channels import Channel, ChannelLayout
from airmass.fields.forcing import FORCING_SCALES
from airmass.fields.task import Task
from airmass.fields.variables import CYCLONE_EXISTS, VARIABLES

# Targets that losses compare as they are: between 0 and 1 already, and nearly everywhere 0.
UNSCALED = (CYCLONE_EXISTS,)


class Normaliser(eqx.Module):
    """Per-channel scales of a task.

    A prognostic target is predicted as a residual: output * residual_std + last frame. A diagnostic target is
    output * std + mean, or the output itself if it is one of `UNSCALED`. Losses are computed on these scaled values.
    Arrays run over the prognostic, forcing, static and target channels of `task` in the order of `ChannelLayout.of`.
    Targets at `nonnegative_columns` are kept at zero or above in frames, which losses do not see. Forcings at
    `masked_forcing` are missing over land, where their mean stands in.
    """

    history_mean: Float[Array, " prognostic"]
    history_std: Float[Array, " prognostic"]
    forcing_mean: Float[Array, " forcing"]
    forcing_std: Float[Array, " forcing"]
    static_mean: Float[Array, " static"]
    static_std: Float[Array, " static"]
    target_offset: Float[Array, " target"]
    target_scale: Float[Array, " target"]
    prognostic_columns: tuple[int, ...] = eqx.field(static=True)
    nonnegative_columns: tuple[int, ...] = eqx.field(static=True, default=())
    masked_forcing: tuple[int, ...] = eqx.field(static=True, default=())

    def inputs(
        self,
        history: Float[Array, "time node prognostic"],
        forcing: Float[Array, "window node forcing"],
        static: Float[Array, "node static"],
    ) -> Float[Array, "node channel"]:
        """Scaled inputs of the network: history oldest first, then forcings oldest first, then static fields."""
        if self.masked_forcing:
            forcing = jnp.where(jnp.isnan(forcing), self.forcing_mean, forcing)
        parts = [
            *((history - self.history_mean) / self.history_std),
            *((forcing - self.forcing_mean) / self.forcing_std),
            (static - self.static_mean) / self.static_std,
        ]
        return jnp.concatenate(parts, axis=-1)

    def target(
        self, frame: Float[Array, "node target"], last: Float[Array, "node prognostic"]
    ) -> Float[Array, "node target"]:
        """The scaled network output that gives `frame` after the frame `last`."""
        return (frame - self._base(last)) / self.target_scale

    def restore(
        self, output: Float[Array, "node target"], last: Float[Array, "node prognostic"]
    ) -> Float[Array, "node target"]:
        """The frame in physical units of a scaled network output."""
        return self.bounded(output * self.target_scale + self._base(last))

    def bounded(self, frame: Float[Array, "node target"]) -> Float[Array, "node target"]:
        """`frame` with nothing below zero in the targets that cannot be negative."""
        if not self.nonnegative_columns:
            return frame
        least = np.full(frame.shape[-1], -np.inf, np.float32)
        least[list(self.nonnegative_columns)] = 0
        return jnp.maximum(frame, least)

    def prognostic(self, frame: Float[Array, "*lead target"]) -> Float[Array, "*lead prognostic"]:
        """The prognostic channels of a frame, which the next step reads."""
        runs = _runs(self.prognostic_columns, frame.shape[-1])
        return jnp.concatenate([frame[..., start:stop] for start, stop, kept in runs if kept], axis=-1)

    def with_prognostic(
        self, frame: Float[Array, "node target"], newest: Float[Array, "node prognostic"]
    ) -> Float[Array, "node target"]:
        """`frame` with its prognostic channels replaced: the inverse of `prognostic`."""
        parts, read = [], 0
        for start, stop, kept in _runs(self.prognostic_columns, frame.shape[-1]):
            parts.append(newest[:, read : read + stop - start] if kept else frame[:, start:stop])
            read += (stop - start) * kept
        return jnp.concatenate(parts, axis=-1)

    def _base(self, last: Float[Array, "node prognostic"]) -> Float[Array, "node target"]:
        """The base that scaled outputs are added to: the last frame, or the mean for diagnostic channels."""
        offset = jnp.broadcast_to(self.target_offset, (last.shape[0], self.target_offset.shape[0]))
        return self.with_prognostic(offset, last)

    @classmethod
    def from_statistics(
        cls, task: Task, mean: xr.Dataset, std: xr.Dataset, residual_std: xr.Dataset, source: str = "statistics"
    ) -> "Normaliser":
        """The scales of `task` from statistics by variable and level; raises InputError for missing ones.

        Forcings use the statistics if there are any (as in the published files) and fixed scales otherwise.
        """
        history = ChannelLayout.of(task.prognostic, task.levels).channels
        static = ChannelLayout.of(task.static, task.levels).channels
        targets = ChannelLayout.of(task.targets, task.levels).channels

        def pick(statistic: xr.Dataset, kind: str, channels: tuple[Channel, ...]) -> np.ndarray:
            values = [_value(statistic, channel, kind, source) for channel in channels]
            return np.array(values, np.float32).reshape(-1)

        def of_target(channel: Channel) -> tuple[float, float]:
            if channel[0] in UNSCALED and channel not in history:
                return 0.0, 1.0
            spread, kind = (residual_std, "residual_std") if channel in history else (std, "std")
            return _value(mean, channel, "mean", source), _value(spread, channel, kind, source)

        offset, scale = np.array([of_target(channel) for channel in targets], np.float32).T
        forcing = [_forcing_scale(name, mean, std, source) for name in task.forcing]
        return cls(
            pick(mean, "mean", history),
            _positive(pick(std, "std", history), history, source),
            np.array([m for m, _ in forcing], np.float32),
            np.array([s for _, s in forcing], np.float32),
            pick(mean, "mean", static),
            _positive(pick(std, "std", static), static, source),
            offset,
            _positive(scale, targets, source),
            cls.columns(task),
            cls.nonnegative(task),
            cls.masked(task),
        )

    @staticmethod
    def columns(task: Task) -> tuple[int, ...]:
        """Indices of the prognostic channels among the targets, in the order of the history's channels."""
        targets = ChannelLayout.of(task.targets, task.levels).channels
        return tuple(i for i, (name, _) in enumerate(targets) if name in task.prognostic)

    @staticmethod
    def nonnegative(task: Task) -> tuple[int, ...]:
        """Indices of the targets that are kept at zero or above."""
        targets = ChannelLayout.of(task.targets, task.levels).channels
        return tuple(i for i, (name, _) in enumerate(targets) if name in task.nonnegative)

    @staticmethod
    def masked(task: Task) -> tuple[int, ...]:
        """Indices of the forcings that are missing over land."""
        return tuple(i for i, name in enumerate(task.forcing) if VARIABLES[name].missing_over_land)


def _runs(columns: tuple[int, ...], n: int) -> list[tuple[int, int, bool]]:
    """Runs (start, stop, True if in `columns`) that cover 0 to n.

    Slices rather than an index array: the gradient of an index is a scatter, which XLA constant-folds for seconds.
    """
    edges = [i for i in range(1, n) if (i in columns) != (i - 1 in columns)]
    return [(start, stop, start in columns) for start, stop in pairwise([0, *edges, n])]


def _forcing_scale(name: str, mean: xr.Dataset, std: xr.Dataset, source: str) -> tuple[float, float]:
    if name in FORCING_SCALES and not (name in mean and name in std):
        return FORCING_SCALES[name]
    offset, scale = _value(mean, (name, None), "mean", source), _value(std, (name, None), "std", source)
    if name not in FORCING_SCALES:
        _positive(np.array([scale]), ((name, None),), source)
    return offset, scale


def _value(statistic: xr.Dataset, channel: Channel, kind: str, source: str) -> float:
    name, level = channel
    if name not in statistic:
        raise InputError(f"{source}: no {kind} of {name}")
    if level is None:
        return float(statistic[name])
    if level not in statistic.level.values:
        available = [int(x) for x in statistic.level.values]
        raise InputError(f"{source}: no {kind} of {name} at {level} hPa; it has the levels {available}")
    return float(statistic[name].sel(level=level))


def _positive(scale: np.ndarray, channels: tuple[Channel, ...], source: str) -> np.ndarray:
    for value, (name, level) in zip(scale, channels, strict=True):
        if not (np.isfinite(value) and value > 0):
            where = name if level is None else f"{name} at {level} hPa"
            raise InputError(f"{source}: the standard deviation of {where} is {value:g}, expected above zero")
    return scale
