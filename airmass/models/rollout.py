"""Many steps from one: a differentiable scan for training, a generator for forecasts."""

from collections.abc import Callable, Iterable, Iterator

import jax
import jax.numpy as jnp
from jaxtyping import Float, PRNGKeyArray, PyTree

from airmass.core.types import Array
from airmass.models.nn.loops import over_tiles
from airmass.models.state import State

Step = Callable[..., tuple[State, PyTree]]


def rollout(
    step: Step, state: State, inputs: PyTree, *, key: PRNGKeyArray, recompute: bool = True
) -> tuple[State, PyTree]:
    """The last state and stacked outputs of one step for each entry of `inputs` along its leading axis, as a scan.

    `step` takes a state and an entry and returns the next state and an output. With `recompute`, each step's
    activations are recomputed in the backward pass, so that memory grows by one state a step and not by all
    activations.
    """

    def body(state, scanned):
        entry, step_key = scanned
        return step(state, entry, key=step_key)

    steps = jax.tree.leaves(inputs)[0].shape[0]
    keys = jax.random.split(key, steps)
    # No loop for a single step: JAX would hoist loop invariants, such as gathers of geometry, and store them.
    return over_tiles(body, state, (inputs, keys), recompute and steps > 1)


def sliding_windows(
    forcings: Float[Array, "time node forcing"], history: int
) -> Float[Array, "step window node forcing"]:
    """Windows of forcings, one a step: at the times of its history and at its target time."""
    steps = forcings.shape[0] - history
    return jnp.stack([forcings[k : k + history + 1] for k in range(steps)])


def iterate_frames(
    step: Step, state: State, windows: Iterable[Float[Array, "window node forcing"]], *, key: PRNGKeyArray | None
) -> Iterator[Float[Array, "node target"]]:
    """Frames one by one, so that memory does not grow with lead time. The caller compiles `step`.

    `key` is None for a deterministic model.
    """
    for number, window in enumerate(windows):
        state, frame = step(state, window, key=None if key is None else jax.random.fold_in(key, number))
        yield frame
