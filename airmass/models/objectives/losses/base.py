"""What a loss is: members and the truth to one number, and the terms of it by channel that people look at."""

from abc import abstractmethod
from dataclasses import fields, is_dataclass, replace
from typing import ClassVar, Protocol

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from airmass.core.errors import InputError
from airmass.core.types import Array
from airmass.fields.channels import ChannelLayout
from airmass.fields.grid import LatLonGrid
from airmass.fields.harmonics import Harmonics, check_resolved
from airmass.models.objectives.losses import loss_named
from airmass.models.objectives.settings import LossSettings
from airmass.models.objectives.weights import channel_weights, node_weights, variable_weights


class Weights(eqx.Module):
    """Weights of errors: mean over latitude, longitude and level, then a weighted sum over variables.

    Lam et al. 2023, equation 19. `harmonics`, of so many `degrees` or those that the grid resolves, are for losses that
    compare scales.
    """

    nodes: Float[Array, " node"]
    by_channel: Float[Array, "target variable"]
    by_variable: Float[Array, " variable"]
    harmonics: Harmonics | None

    def __init__(self, settings: LossSettings, layout: ChannelLayout, grid: LatLonGrid, degrees: int = 0):
        self.nodes = node_weights(settings, grid) / grid.size
        table = np.zeros((len(layout), len(layout.variables)), np.float32)
        weights = channel_weights(settings, layout)
        for column, name in enumerate(layout.variables):
            table[layout.columns(name), column] = weights[layout.columns(name)]
        self.by_channel = table
        self.by_variable = variable_weights(settings, layout)
        self.harmonics = Harmonics.build(grid.latitude, grid.longitude, degrees) if degrees else None

    def terms(self, errors: Float[Array, "*lead target"]) -> Float[Array, "*lead variable"]:
        """Means over levels by variable, before the variables' weights, in the order of the layout's variables."""
        return errors @ self.by_channel

    def total(self, errors: Float[Array, " target"]) -> Float[Array, ""]:
        """The weighted sum over variables of what has been found by channel."""
        return self.terms(errors) @ self.by_variable


class Loss(Protocol):
    """Members and target, both scaled, to the loss and its terms by channel.

    It takes from `least_members` to `most_members` (None: any number) at once. Terms are reported as `reports`, in the
    unit `unit`; a unit of None is each variable's own. A loss of which `by_points` is False is no mean over points, so
    devices cannot share a grid. A loss with settings of its own (`own` of LossSettings) is a frozen dataclass of them.
    """

    least_members: ClassVar[int] = 1
    most_members: ClassVar[int | None] = None
    by_points: ClassVar[bool] = True
    reports: ClassVar[str]
    unit: ClassVar[str | None] = None

    @property
    def degrees(self) -> int:
        """Number of degrees of harmonics that it compares fields by; 0 for none."""
        return 0

    def __call__(
        self, members: Float[Array, "member node target"], target: Float[Array, "node target"], weights: Weights
    ) -> tuple[Float[Array, ""], Float[Array, " target"]]: ...

    def reported(
        self, terms: Float[np.ndarray, "*lead target"], scale: Float[np.ndarray, " target"]
    ) -> Float[np.ndarray, "*lead target"]:
        """Terms as they are reported; `scale` is the unit of scaled targets, by channel."""
        ...


class PointwiseLoss(Loss):
    """A loss of a single forecast that is a function of the error at each point, weighted and averaged.

    Where the target is NaN, nothing is scored and no gradient flows; the point still counts in the mean.
    """

    most_members = 1

    @abstractmethod
    def of_errors(self, errors: Float[Array, "node target"]) -> Float[Array, "node target"]:
        """The loss of scaled errors, prediction minus target; 0 for 0."""

    def __call__(self, members, target, weights):
        members, target = known_parts(members, target)
        errors = jnp.einsum("n,nc->c", weights.nodes, self.of_errors(members[0] - target))
        return weights.total(errors), errors

    def reported(self, terms, scale):
        return np.asarray(terms) * (scale if self.unit is None else 1)


def known_parts(
    members: Float[Array, "member node target"], target: Float[Array, "node target"]
) -> tuple[Float[Array, "member node target"], Float[Array, "node target"]]:
    """Members and target with zeros in both where the target is NaN, so that no gradient flows there, not even NaN."""
    known = jnp.isfinite(target)
    return jnp.where(known, members, 0), jnp.where(known, target, 0)


def loss_of(settings: LossSettings) -> Loss:
    """The loss that settings name, with its own settings; raises InputError for one that it does not have."""
    loss, given = loss_named(settings.kind), settings.own
    has: list[str] = [item.name for item in fields(loss)] if is_dataclass(loss) else []
    if name := next((name for name in given if name not in has), None):
        takes = f"takes {', '.join(has)}" if has else "has no settings of its own"
        raise InputError(f"loss.{name} is {given[name]}, but {settings.kind} {takes}")
    return replace(loss, **given) if given else loss  # type: ignore[type-var]


def require_loss(settings: LossSettings, members: int, title: str, space: int = 1) -> None:
    """Raise InputError where a loss cannot train a model of `title`.

    It must take as many `members` as the model trains with, and be a mean over points if `space` devices share a grid.
    """
    loss, kind = loss_of(settings), settings.kind
    if space > 1 and not loss.by_points:
        raise InputError(f"devices: space is {space}, expected 1: {kind} compares whole fields")
    least, most = loss.least_members, loss.most_members
    if members < least or (most is not None and members > most):
        taken = f"{least} or more" if most is None else f"{least}" if least == most else f"{least} to {most}"
        raise InputError(f"loss.kind is {kind}, for members: {taken}, but {title} trains with {members}")


def require_losses(
    settings: LossSettings, stages: int, members: int, title: str, along_member: int = 1, space: int = 1
) -> None:
    """Raise InputError where the loss of any stage cannot train a model of `title`: `require_loss`.

    Stages before the last may have a loss of single forecasts, which devices cannot share `along_member`.
    """
    for number in range(stages):
        of_stage = settings.of_stage(number)
        alone = members > 1 and number < stages - 1 and loss_of(of_stage).most_members == 1
        if alone and along_member > 1:
            raise InputError(f"devices: member is {along_member}, expected 1: {of_stage.kind} trains one member")
        if members > 1 and not alone and number < len(settings.stages) and loss_of(of_stage).most_members == 1:
            raise InputError(
                f"loss.stages names {of_stage.kind} for stage {number + 1} of {stages}, but the last stage trains "
                f"{members} members by loss.kind: give --training.updates more stages, or --loss.stages fewer"
            )
        require_loss(of_stage, 1 if alone else members, title, space)


def require_grid(settings: LossSettings, grid: LatLonGrid) -> None:
    """Raise InputError for a grid that a loss needs harmonics on and that has none."""
    if degrees := loss_of(settings).degrees:
        check_resolved(grid.latitude, grid.longitude, degrees)


class WeightedLoss(eqx.Module):
    """A loss with the weights of a task on a grid."""

    weights: Weights
    kind: Loss = eqx.field(static=True)

    def __init__(self, settings: LossSettings, layout: ChannelLayout, grid: LatLonGrid):
        self.kind = loss_of(settings)
        self.weights = Weights(settings, layout, grid, self.kind.degrees)

    def __call__(
        self, members: Float[Array, "member node target"], target: Float[Array, "node target"]
    ) -> tuple[Float[Array, ""], Float[Array, " target"]]:
        return self.kind(members, target, self.weights)
