"""The loss of a deterministic model over an autoregressive rollout."""

from typing import Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from airmass.core.types import Array
from airmass.models.model import Model
from airmass.models.objectives.base import Example, Reported, of_this_device
from airmass.models.objectives.losses.base import WeightedLoss
from airmass.models.rollout import rollout, sliding_windows
from airmass.models.state import State


class Predictor(Model, Protocol):
    """A model that is trained by what it predicts, in the scaled space in which losses compare."""

    def predict(self, state: State, forcing: Float[Array, "window node forcing"]) -> Float[Array, "node target"]: ...


class RolloutObjective(eqx.Module):
    """The mean loss over an autoregressive rollout, with gradients through all of it."""

    loss: WeightedLoss
    history: int = eqx.field(static=True)
    recompute: bool = eqx.field(static=True, default=True)
    input_noise: float = eqx.field(static=True, default=0.0)

    def __call__(
        self, model: Predictor, example: Example, key: PRNGKeyArray
    ) -> tuple[Float[Array, ""], Float[Array, "step target"]]:
        if self.input_noise:
            example = self._noisy(model, example, key)
        return rollout_loss(model, self.loss, example, self.history, key=key, recompute=self.recompute)

    def reported(self, terms: Float[np.ndarray, "step target"], scale: Float[np.ndarray, " target"]) -> Reported:
        return Reported(self.loss.kind.reports, self.loss.kind.unit, self.loss.kind.reported(terms, scale))

    def _noisy(self, model: Predictor, example: Example, key: PRNGKeyArray) -> Example:
        """White noise on the frames of history, `input_noise` times the standard deviation of a step's change."""
        times, nodes, channels = example.frames[: self.history].shape
        space = model.space
        whole = nodes if space is None else nodes * jax.lax.axis_size(space)
        noise = of_this_device(jax.random.normal(key, (times, whole, channels)), nodes, space)
        noise = self.input_noise * model.normaliser.target_scale * noise
        return eqx.tree_at(lambda e: e.frames, example, jnp.asarray(example.frames).at[: self.history].add(noise))


def rollout_loss(
    model: Predictor, loss: WeightedLoss, example: Example, history: int, *, key: PRNGKeyArray, recompute: bool = True
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
        return reached, loss(output[None], model.normaliser.target(frame, last))

    entries = sliding_windows(example.forcings, history), example.frames[history:]
    _, (losses, terms) = rollout(step, start, entries, key=key, recompute=recompute)
    return losses.mean(), terms
