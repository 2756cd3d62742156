"""What training minimises: an objective turns a model, an example and a random key into a loss and its terms."""

from typing import Any, NamedTuple, Protocol

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray

from airmass.core.types import Array
from airmass.models.objectives.losses.base import WeightedLoss


class Example(eqx.Module):
    """Consecutive frames: a model's history, then the frames to predict.

    `frames` holds all target channels; `forcings` the frames of the same times; `valid_time` is that of the last frame
    of history, in hours since 1970.
    """

    frames: Float[Array, "time node target"]
    forcings: Float[Array, "time node forcing"]
    valid_time: Int[Array, ""]


class Reported(NamedTuple):
    """Terms as people read them: a `name`, their `unit` (None: each variable's own) and the numbers."""

    name: str
    unit: str | None
    values: Float[np.ndarray, "step target"]


class Objective(Protocol):
    """The loss of one example by a model of the kind that it is for, and its terms by step and channel."""

    loss: WeightedLoss

    def __call__(
        self, model: Any, example: Example, key: PRNGKeyArray
    ) -> tuple[Float[Array, ""], Float[Array, "step target"]]: ...

    def reported(self, terms: Float[np.ndarray, "step target"], scale: Float[np.ndarray, " target"]) -> Reported:
        """The terms as training logs them; `scale` is the unit of scaled targets, by channel."""
        ...


def of_this_device(
    field: Float[Array, "*lead grid channel"], nodes: int, space: str | None
) -> Float[Array, "*lead node channel"]:
    """The part of a field on the whole grid that a device along the axis `space` works on; all of it without one.

    What is drawn for the whole grid does not depend on how many devices share it.
    """
    if space is None:
        return field
    return jax.lax.dynamic_slice_in_dim(field, jax.lax.axis_index(space) * nodes, nodes, axis=-2)
