"""From network to denoiser: scaling by noise level that keeps the network's input and target at unit variance.

Karras et al. 2022 (EDM), table 1, with data of unit variance, as GenCast uses it (Price et al. 2025). At little noise
the noisy input itself is nearly the answer and the network adds a small correction; at much noise the network
gives the answer.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Float

from airmass.core.types import Array

Network = Callable[[Float[Array, "*shape"], Float[Array, ""]], Float[Array, "*shape"]]


def c_in(sigma: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Factor that gives the noisy input unit variance."""
    return 1 / jnp.sqrt(jnp.square(sigma) + 1)


def c_skip(sigma: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Share of the noisy input in the answer."""
    return 1 / (jnp.square(sigma) + 1)


def c_out(sigma: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Factor of the network's output: the standard deviation of what `c_skip` leaves."""
    return sigma / jnp.sqrt(jnp.square(sigma) + 1)


def loss_weight(sigma: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """1 / c_out^2, so that a squared error of the denoiser weighs as that of the network at every noise level."""
    return (jnp.square(sigma) + 1) / jnp.square(sigma)


def denoise(network: Network, x: Float[Array, "*shape"], sigma: Float[Array, ""]) -> Float[Array, "*shape"]:
    """The expected clean data given `x`, which is the data plus white noise of standard deviation `sigma`."""
    return c_skip(sigma) * x + c_out(sigma) * network(c_in(sigma) * x, sigma)
