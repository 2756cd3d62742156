"""The arithmetic of a sampler's step: weighted sums of arrays, and the rate of the flow.

The functions compiled here take scalars as arguments, so that they compile once, not once a level. They are compiled at
their first call, since samplers are read as settings before JAX is loaded.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float

from airmass.diffusion.time_grid import Point

# Functions of arrays of numpy or JAX.
Denoiser = Callable[[Float[Any, "*shape"], Any], Float[Any, "*shape"]]
Draw = Callable[[int], Float[Any, "*shape"]]
Noise = Callable[[int], Float[Any, "*shape"]]


def denoised(denoiser: Denoiser, y: Float[Any, "*shape"], point: Point) -> Float[Any, "*shape"]:
    """The denoised array: the expected data at a point's noise level."""
    return denoiser(y, np.float32(point.level))


def scale(y: Float[Any, "*shape"], factor: float) -> Float[Any, "*shape"]:
    """factor y"""
    return _compiled(_scale)(y, np.float32(factor))


def add(y: Float[Any, "*shape"], noise: Float[Any, "*shape"], spread: float) -> Float[Any, "*shape"]:
    """y + spread noise"""
    return _compiled(_add)(y, noise, np.float32(spread))


def mix(y: Float[Any, "*shape"], clean: Float[Any, "*shape"], share: float) -> Float[Any, "*shape"]:
    """share y + (1 - share) clean: the step to `share` times the level, exact for constant `clean`."""
    return _compiled(_mix)(y, clean, np.float32(share))


def combine(*terms: tuple[float, Float[Any, "*shape"]]) -> Float[Any, "*shape"]:
    """Sum of weight times array."""
    weights = np.array([weight for weight, _ in terms], np.float32)
    return _compiled(_combine)(weights, [array for _, array in terms])


def rate(point: Point, half: float = 0.5) -> tuple[np.float64, np.float64]:
    """dx/dt = f x - `half` g^2 score as factors of y and of the denoised D, with score (D - y) / (alpha level^2).

    This is the probability flow, which has the distributions of the process without its noise (Song et al. 2021,
    equation 13). With `half` = 1 it is the drift of the reverse stochastic equation.
    """
    pull = half * point.diffusion**2 / (point.alpha * point.level**2)
    return point.drift * point.alpha + pull, -pull


def langevin_step(
    denoiser: Denoiser, y: Float[Any, "*shape"], point: Point, noise: Float[Any, "*shape"], share: float
) -> Float[Any, "*shape"]:
    """y + e score + sqrt(2 e) noise with e = share level^2, which conserves the distribution of y for a small share.

    The published corrector takes e from the norms of noise and score over a batch; here it is from their expectation,
    so that a sample does not depend on the others of its batch.
    """
    return combine((1 - share, y), (share, denoised(denoiser, y, point)), (point.level * np.sqrt(2 * share), noise))


@cache
def _compiled(function: Callable) -> Callable:
    import jax

    return jax.jit(function)


def _scale(y, factor):
    return factor * y


def _add(y, noise, spread):
    return y + spread * noise


def _mix(y, clean, share):
    return share * y + (1 - share) * clean


def _combine(weights, arrays):
    return sum(weight * array for weight, array in zip(weights, arrays, strict=True))
