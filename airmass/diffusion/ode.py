"""Solvers of the probability flow dx/dt = f x - g^2 score / 2: the distributions of the process without its noise.

Song et al. 2021, equation 13. Euler and Heun step in the process's own time; Heun along `EDM` with churn is Karras et
al. 2022, algorithm 2.
"""

from functools import partial

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from airmass.core.types import Array
from airmass.diffusion.noise_levels import SamplerSettings
from airmass.diffusion.stepping import Denoiser, Draw, combine, denoised, sampler_of, scale
from airmass.diffusion.time_grid import Point, TimeGrid


def rate(point: Point, half: float = 0.5) -> tuple[np.float64, np.float64]:
    """dx/dt = f x - `half` g^2 score as factors of y and of the denoised D, with score (D - y) / (alpha level^2).

    With `half` = 1 it is the drift of the reverse stochastic equation.
    """
    pull = half * point.diffusion**2 / (point.alpha * point.level**2)
    return point.drift * point.alpha + pull, -pull


@partial(sampler_of, churn=True)
def euler(denoiser, y, current, following, noise):
    """Euler step. First order, `levels` evaluations. Along `EDM` this is DDIM."""
    of_y, of_clean = (following.time - current.time) * np.array(rate(current))
    return combine(
        ((current.alpha + of_y) / following.alpha, y), (of_clean / following.alpha, denoised(denoiser, y, current))
    )


@partial(sampler_of, churn=True)
def heun(denoiser, y, current, following, noise):
    """Heun step: an Euler step, repeated with the mean rate of both ends. Second order, 2 `levels` - 1 evaluations."""
    half = (following.time - current.time) / 2
    (of_y, of_clean), (of_next, of_next_clean) = half * np.array(rate(current)), half * np.array(rate(following))
    clean = denoised(denoiser, y, current)
    reached = combine(((current.alpha + 2 * of_y) / following.alpha, y), (2 * of_clean / following.alpha, clean))
    terms = (
        (current.alpha + of_y, y),
        (of_clean, clean),
        (of_next, reached),
        (of_next_clean, denoised(denoiser, reached, following)),
    )
    return combine(*((weight / following.alpha, array) for weight, array in terms))


def adaptive(
    denoiser: Denoiser, draw: Draw, settings: SamplerSettings | TimeGrid, tolerance: float = 1e-4
) -> Float[Array, "*shape"]:
    """One sample by integrating the flow with Dormand and Prince's solver, which adapts its steps to their error.

    `tolerance` is that of a step, relative, and absolute in units of the data. In the logarithm u of the level the flow
    is dy/du = y - D for every process. JAX must be able to trace `denoiser`, which is compiled at every call. The error
    is that of the whole array, so a sample's steps depend on the other samples in the array.
    """
    first, *_, last = TimeGrid.of(settings)

    @jax.jit
    def flow(y):
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(lambda u, y, _: y - denoiser(y, jnp.exp(u))),
            diffrax.Dopri5(),
            t0=np.float32(np.log(first.level)),
            t1=np.float32(np.log(last.level)),
            dt0=None,
            y0=y,
            stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=tolerance),
            adjoint=diffrax.ForwardMode(),  # compiles faster; no reverse-mode gradient is needed
        )
        return solution.ys[0]

    return denoised(denoiser, flow(scale(draw(0), first.level)), last)
