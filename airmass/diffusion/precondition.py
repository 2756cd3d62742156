"""Preconditioning: a denoiser from a network whose input and target are scaled to unit variance at every noise level.

Karras et al. 2022 (EDM), table 1, with data of unit variance, as GenCast uses it (Price et al. 2025). At low noise
the noisy input itself is nearly the clean data and the network adds a small correction; at high noise the result is
that of the network.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Float

from airmass.core.types import Array, Scalar

# Noise levels of any shape, one number among them.
Levels = Float[Array, "*n"] | Scalar
ScaledNetwork = Callable[[Float[Array, "*shape"], Scalar], Float[Array, "*shape"]]


def c_in(sigma: Levels) -> Levels:
    """Factor of the network's input, which brings noisy data to unit variance."""
    return 1 / jnp.sqrt(jnp.square(sigma) + 1)


def c_skip(sigma: Levels) -> Levels:
    """Factor of the noisy data in the result."""
    return 1 / (jnp.square(sigma) + 1)


def c_out(sigma: Levels) -> Levels:
    """Factor of the network's output: the standard deviation of the clean data minus `c_skip` times the noisy data."""
    return sigma / jnp.sqrt(jnp.square(sigma) + 1)


def loss_weight(sigma: Levels) -> Levels:
    """1 / c_out^2, which makes the denoiser's weighted squared error that of the network at every noise level."""
    return (jnp.square(sigma) + 1) / jnp.square(sigma)


def denoise(network: ScaledNetwork, x: Float[Array, "*shape"], sigma: Scalar) -> Float[Array, "*shape"]:
    """The expected clean data given `x`, the data plus white noise of standard deviation `sigma`."""
    return c_skip(sigma) * x + c_out(sigma) * network(c_in(sigma) * x, sigma)
