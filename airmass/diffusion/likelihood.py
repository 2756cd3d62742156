"""The density that a denoiser implies, by integrating the probability flow to a known density (Song et al. 2021, 4.3).

In u, the logarithm of the noise level, the flow of every process is dy/du = y - D(y, e^u) with y = x / alpha. Along it
the log density falls at the rate of the divergence, d - tr dD/dy (Chen et al. 2018).
"""

import math
from collections.abc import Callable

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from airmass.core.types import Array
from airmass.diffusion.stepping import Denoiser

Trace = Callable[[Callable[[Array], Array], Array], tuple[Array, Array]]


def log_density(
    denoiser: Denoiser,
    y: Float[Array, "*shape"],
    min_noise: float,
    max_noise: float,
    probes: int = 0,
    key: PRNGKeyArray | None = None,
    tolerance: float = 1e-5,
) -> Float[Array, ""]:
    """Natural logarithm of the density at one `y` of data plus white noise of standard deviation `min_noise`.

    For x along a process that scales data by alpha, log p(x) = log_density(x / alpha) - size log(alpha). At `max_noise`
    the data are assumed to have mean 0 and variance 1: for mean m and variance v the error is about
    (m^2 + v - 1) / (2 max_noise^2) a dimension. With `probes` 0 the trace is that of the whole Jacobian, for few
    dimensions; otherwise an unbiased estimate from that many random sign vectors (Hutchinson 1990), drawn from `key`.
    JAX must be able to trace and differentiate `denoiser`.
    """
    trace = _hutchinson(probes, key, y) if probes else _exact

    def rates(u, state, _):
        clean, divergence = trace(lambda z: denoiser(z, jnp.exp(u)), state[0])
        return state[0] - clean, y.size - divergence

    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(rates),
        diffrax.Dopri5(),
        t0=np.float32(math.log(min_noise)),
        t1=np.float32(math.log(max_noise)),
        dt0=None,
        y0=(y, jnp.zeros((), y.dtype)),
        stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=tolerance),
        adjoint=diffrax.ForwardMode(),
    )
    reached, expansion = solution.ys[0][0], solution.ys[1][0]
    variance = 1 + max_noise**2
    at_end = -jnp.square(reached).sum() / (2 * variance) - y.size / 2 * math.log(2 * math.pi * variance)
    return at_end + expansion


def _exact(function, y):
    jacobian = jax.jacfwd(lambda flat: function(flat.reshape(y.shape)).ravel())(y.ravel())
    return function(y), jnp.trace(jacobian)


def _hutchinson(probes: int, key: PRNGKeyArray | None, y: Array) -> Trace:
    """A trace estimate with the same signs all along the flow, so that the integrand is smooth."""
    if key is None:
        raise ValueError("a trace by probes needs a key")
    signs = jax.random.rademacher(key, (probes, *y.shape), y.dtype)

    def trace(function, y):
        clean, forward = jax.linearize(function, y)
        return clean, jax.vmap(lambda sign: jnp.vdot(sign, forward(sign)))(signs).mean()

    return trace
