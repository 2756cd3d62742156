"""The state that a step reads and returns, for every model."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Float, Int

from airmass.core.types import Array


class State(eqx.Module):
    """The last frames of the prognostic channels, oldest first, and the valid time of the newest.

    `valid_time` is in whole hours since 1970-01-01: small enough for 32 bits, exact, and the same in every timezone.
    """

    history: Float[Array, "time node prognostic"]
    valid_time: Int[Array, ""]

    def advanced(self, newest: Float[Array, "node prognostic"], hours: int) -> "State":
        """The state so many hours later, with `newest` in place of the oldest frame."""
        return State(jnp.concatenate([self.history[1:], newest[None]]), self.valid_time + jnp.int32(hours))
