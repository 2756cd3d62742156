"""Noise correlated in time: at large scales, each frame's draws are correlated with those of the frame before.

Model errors persist for longer than a frame, so members with independent draws in every frame have too little spread
after some days. Stochastic physics uses correlated noise for the same reason (Palmer et al. 2009, ECMWF Technical
Memorandum 598). Each single draw is still white noise, as samplers need it.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int, PRNGKeyArray

from airmass.core.types import Array


def draw_key(member: PRNGKeyArray, frame: int | Int[Array, ""], number: int) -> PRNGKeyArray:
    """The random key of draw `number` for one frame of a member."""
    return jax.random.fold_in(jax.random.fold_in(member, frame), number)


@partial(jax.jit, static_argnames=("degrees", "channels"))
def correlated_coefficients(
    member: PRNGKeyArray, frame: int, number: int, correlation: float, degrees: int, channels: int
) -> Float[Array, "degrees degrees channel"]:
    """Coefficients of degrees below `degrees`, packed as in `SphereNoise`, for one draw of a member's frame.

    A first-order autoregression over frames: unit variance in each, and `correlation` to the power of their distance
    between two. All frames up to this one are drawn again, so that a forecast can be resumed from any of them.
    """

    def own(frame):
        # A key apart from that of the draw itself, which gives the small scales.
        key = jax.random.fold_in(draw_key(member, frame, number), 1)
        return jax.random.normal(key, (degrees, degrees, channels))

    def follow(frame, before):
        return correlation * before + jnp.sqrt(1 - correlation**2) * own(frame)

    return jax.lax.fori_loop(1, frame + 1, follow, own(0))
