"""Lifts one step to many: a scan to train through, a generator to serve from."""

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
    """One step for each entry of `inputs` along its leading axis, as one scan that can be differentiated.

    `step` takes a state and an entry and returns the next state and an output; outputs are stacked. With `recompute`,
    each step's activations are made again in the backward pass, so memory grows by one state a step and not by one
    network.
    """

    def body(state, scanned):
        entry, step_key = scanned
        return step(state, entry, key=step_key)

    steps = jax.tree.leaves(inputs)[0].shape[0]
    keys = jax.random.split(key, steps)
    # One step makes no loop: JAX would compute what is equal in all of a loop's steps, as gathers of geometry, ahead.
    return over_tiles(body, state, (inputs, keys), recompute and steps > 1)


def sliding_windows(
    forcings: Float[Array, "time node forcing"], history: int
) -> Float[Array, "step window node forcing"]:
    """For every step, the forcings at its history's times and at its target time."""
    steps = forcings.shape[0] - history
    return jnp.stack([forcings[k : k + history + 1] for k in range(steps)])


def iterate_frames(
    step: Step, state: State, windows: Iterable[Float[Array, "window node forcing"]], *, key: PRNGKeyArray | None
) -> Iterator[Float[Array, "node target"]]:
    """Frames one by one, so that memory does not grow with lead time. `step` should be compiled by the caller.

    `key` is None for a model that draws nothing.
    """
    for number, window in enumerate(windows):
        state, frame = step(state, window, key=None if key is None else jax.random.fold_in(key, number))
        yield frame
