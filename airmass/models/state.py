"""The state that a step reads and returns, for every model."""

import equinox as eqx
from jaxtyping import Float, Int

from airmass.core.types import Array


class State(eqx.Module):
    """The last frames of the prognostic channels, oldest first, and the valid time of the newest.

    `valid_time` is in whole hours since 1970-01-01: small enough for 32 bits, exact, and the same in every timezone.
    """

    history: Float[Array, "time node prognostic"]
    valid_time: Int[Array, ""]
