"""Noise that lasts: at large scales a frame's draws resemble those of the frame before.

What a model does not know acts for longer than a frame, so members whose draws are new in every frame stay too alike
after some days; stochastic physics lets its noise last for the same reason (Palmer et al. 2009, ECMWF Technical
Memorandum 598). Every draw by itself is as white as a sampler asks for.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int, PRNGKeyArray

from airmass.core.types import Array


def draw_key(member: PRNGKeyArray, frame: int | Int[Array, ""], number: int) -> PRNGKeyArray:
    """Of one draw for one frame of a member."""
    return jax.random.fold_in(jax.random.fold_in(member, frame), number)


@partial(jax.jit, static_argnames=("degrees", "channels"))
def correlated_coefficients(
    member: PRNGKeyArray, frame: int, number: int, memory: float, degrees: int, channels: int
) -> Float[Array, "degrees degrees channel"]:
    """Coefficients of degrees below `degrees`, packed as `SphereNoise` does, for one draw of a member's frame.

    A first-order autoregression over frames: unit variance in each, a correlation of `memory` to the power of their
    distance between two. All frames up to this one are drawn again, so that a forecast can go on from any of them.
    """

    def own(frame):
        # Not the key of the draw itself, which makes the small scales.
        key = jax.random.fold_in(draw_key(member, frame, number), 1)
        return jax.random.normal(key, (degrees, degrees, channels))

    def follow(frame, before):
        return memory * before + jnp.sqrt(1 - memory**2) * own(frame)

    return jax.lax.fori_loop(1, frame + 1, follow, own(0))
