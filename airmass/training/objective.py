"""What training minimises: the mean loss over an autoregressive rollout."""

import equinox as eqx
import jax
from jaxtyping import Float, Int, PRNGKeyArray

from airmass.arrays import Array
from airmass.losses.squared_error import SquaredError
from airmass.models.graphcast import GraphCast
from airmass.models.state import State
from airmass.rollout import forcing_windows, rollout


class Example(eqx.Module):
    """Consecutive frames: a model's history, then the frames to predict.

    `frames` holds all target channels; `forcings` the frames of the same times; `valid_time` is that of the last frame
    of history, in hours since 1970.
    """

    frames: Float[Array, "time node target"]
    forcings: Float[Array, "time node forcing"]
    valid_time: Int[Array, ""]


def rollout_loss(
    model: GraphCast, loss: SquaredError, example: Example, history: int, *, key: PRNGKeyArray, recompute: bool = True
) -> tuple[Float[Array, ""], Float[Array, "step variable"]]:
    """Mean over steps of the loss of each step, and its terms by step and variable.

    Each target is scaled relative to the frame that the rollout had reached, as in the published code.
    """
    model = model.ready()
    start = State(model.normaliser.prognostic(example.frames[:history]), example.valid_time)

    def step(state, entry, *, key):
        window, frame = entry
        output = model.predict(state, window)
        last = state.history[-1]
        reached = model.advance(state, model.normaliser.restore(output, last))
        return reached, loss(output, model.normaliser.target(frame, last))

    entries = forcing_windows(example.forcings, history), example.frames[history:]
    _, (losses, terms) = rollout(step, start, entries, key=key, recompute=recompute)
    return losses.mean(), terms


def batch_loss(
    model: GraphCast, loss: SquaredError, batch: Example, history: int, *, key: PRNGKeyArray, recompute: bool = True
) -> tuple[Float[Array, ""], Float[Array, "step variable"]]:
    """The mean over a batch of `rollout_loss`; every leaf of `batch` has a leading batch axis."""
    keys = jax.random.split(key, batch.valid_time.shape[0])
    losses, terms = jax.vmap(lambda e, k: rollout_loss(model, loss, e, history, key=k, recompute=recompute))(
        batch, keys
    )
    return losses.mean(), terms.mean(axis=0)
