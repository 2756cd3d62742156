"""What training minimises: an objective turns a model, an example and a random key into a loss and its terms."""

from typing import Any, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, Int, PRNGKeyArray

from airmass.core.types import Array
from airmass.models.graphcast.model import GraphCast
from airmass.models.objectives.squared_error import SquaredError
from airmass.models.rollout import forcing_windows, rollout
from airmass.models.state import State


class Example(eqx.Module):
    """Consecutive frames: a model's history, then the frames to predict.

    `frames` holds all target channels; `forcings` the frames of the same times; `valid_time` is that of the last frame
    of history, in hours since 1970.
    """

    frames: Float[Array, "time node target"]
    forcings: Float[Array, "time node forcing"]
    valid_time: Int[Array, ""]


class Objective(Protocol):
    """The loss of one example by a model of the kind that it is for.

    Returned beside it is the area mean of squared errors by step and channel, in units of a step's change.
    """

    loss: SquaredError

    def __call__(
        self, model: Any, example: Example, key: PRNGKeyArray
    ) -> tuple[Float[Array, ""], Float[Array, "step target"]]: ...


class RolloutObjective(eqx.Module):
    """The mean loss over an autoregressive rollout, with gradients through all of it."""

    loss: SquaredError
    history: int = eqx.field(static=True)
    recompute: bool = eqx.field(static=True, default=True)
    input_noise: float = eqx.field(static=True, default=0.0)

    def __call__(
        self, model: GraphCast, example: Example, key: PRNGKeyArray
    ) -> tuple[Float[Array, ""], Float[Array, "step target"]]:
        if self.input_noise:
            example = self._noisy(model, example, key)
        return rollout_loss(model, self.loss, example, self.history, key=key, recompute=self.recompute)

    def _noisy(self, model: GraphCast, example: Example, key: PRNGKeyArray) -> Example:
        """White noise on the frames of history, `input_noise` times the standard deviation of a step's change."""
        times, nodes, channels = example.frames[: self.history].shape
        space = model.tiles.space
        whole = nodes if space is None else nodes * jax.lax.axis_size(space)
        noise = of_this_device(jax.random.normal(key, (times, whole, channels)), nodes, space)
        noise = self.input_noise * model.normaliser.target_scale * noise
        return eqx.tree_at(lambda e: e.frames, example, jnp.asarray(example.frames).at[: self.history].add(noise))


def of_this_device(
    field: Float[Array, "*lead grid channel"], nodes: int, space: str | None
) -> Float[Array, "*lead node channel"]:
    """The part of a field on the whole grid that a device along the axis `space` works on; all of it without one.

    What is drawn for the whole grid does not depend on how many devices share it.
    """
    if space is None:
        return field
    return jax.lax.dynamic_slice_in_dim(field, jax.lax.axis_index(space) * nodes, nodes, axis=-2)


def rollout_loss(
    model: GraphCast, loss: SquaredError, example: Example, history: int, *, key: PRNGKeyArray, recompute: bool = True
) -> tuple[Float[Array, ""], Float[Array, "step target"]]:
    """Mean over steps of the loss of each step, and squared errors by step and channel.

    Each target is scaled relative to the frame that the rollout had reached, as in the published code.
    """
    model = model.ready()
    start = State(model.normaliser.prognostic(example.frames[:history]), jnp.asarray(example.valid_time))

    def step(state, entry, *, key):
        window, frame = entry
        output = model.predict(state, window)
        last = state.history[-1]
        reached = model.advance(state, model.normaliser.restore(output, last))
        return reached, loss(output, model.normaliser.target(frame, last))

    entries = forcing_windows(example.forcings, history), example.frames[history:]
    _, (losses, terms) = rollout(step, start, entries, key=key, recompute=recompute)
    return losses.mean(), terms
