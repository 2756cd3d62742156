"""Many steps out of one, on a step whose trajectory is known."""

import jax
import jax.numpy as jnp
import numpy as np

from airmass.models.rollout import iterate_frames, rollout, sliding_windows
from airmass.models.state import State


def _step(state, window, *, key=None):
    """x doubles and gains the forcing at the target time."""
    newest = 2 * state.history[-1] + window[-1]
    return State(jnp.concatenate([state.history[1:], newest[None]]), state.valid_time + 6), newest


def _start():
    return State(jnp.array([[[0.0]], [[1.0]]]), jnp.int32(0))


FORCINGS = jnp.array([9.0, 9.0, 1.0, 2.0, 3.0]).reshape(5, 1, 1)


def test_windows_end_at_their_target_time():
    windows = sliding_windows(FORCINGS, 2)[..., 0, 0]
    np.testing.assert_array_equal(windows, [[9, 9, 1], [9, 1, 2], [1, 2, 3]])


def test_scan_and_generator_make_the_same_trajectory():
    windows = sliding_windows(FORCINGS, 2)
    state, frames = rollout(_step, _start(), windows, key=jax.random.key(0))
    np.testing.assert_array_equal(frames[:, 0, 0], [3, 8, 19])
    assert int(state.valid_time) == 18
    served = list(iterate_frames(_step, _start(), windows, key=jax.random.key(0)))
    np.testing.assert_array_equal(served, frames)


def test_gradients_flow_through_every_step():
    windows = sliding_windows(FORCINGS, 2)

    def last(x, recompute):
        start = State(_start().history.at[1, 0, 0].set(x), jnp.int32(0))
        return rollout(_step, start, windows, key=jax.random.key(0), recompute=recompute)[1][-1, 0, 0]

    assert jax.grad(last)(1.0, True) == jax.grad(last)(1.0, False) == 8
