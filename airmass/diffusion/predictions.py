"""Kinds of network outputs: data, noise, v, score, or EDM's mixture. Each can be converted to the others.

x = alpha x0 + sigma noise is one linear combination of data and noise, a network's output another; the two give data
and noise. v is from Salimans & Ho 2022 (appendix D), generalised to any alpha and sigma.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Float

from airmass.core.types import Array, Scalar
from airmass.diffusion.process import Process
from airmass.diffusion.stepping import Denoiser

Field = Float[Array, "*shape"]
TimedNetwork = Callable[[Field, Scalar], Field]


class Prediction(NamedTuple):
    """A linear combination of data and noise that a network outputs.

    `of(x0, noise, alpha, sigma)` is the combination; `split(output, x, alpha, sigma)` solves it and x for data and
    noise; `gain(alpha, sigma)` is the squared error of the output divided by that of the data that it implies.
    """

    of: Callable[[Field, Field, Scalar, Scalar], Field]
    split: Callable[[Field, Field, Scalar, Scalar], tuple[Field, Field]]
    gain: Callable[[Scalar, Scalar], Scalar | float]


PREDICTIONS = {
    "x0": Prediction(
        of=lambda x0, noise, alpha, sigma: x0,
        split=lambda x0, x, alpha, sigma: (x0, (x - alpha * x0) / sigma),
        gain=lambda alpha, sigma: 1.0,
    ),
    "epsilon": Prediction(
        of=lambda x0, noise, alpha, sigma: noise,
        split=lambda noise, x, alpha, sigma: ((x - sigma * noise) / alpha, noise),
        gain=lambda alpha, sigma: (alpha / sigma) ** 2,
    ),
    "score": Prediction(
        of=lambda x0, noise, alpha, sigma: -noise / sigma,
        split=lambda score, x, alpha, sigma: ((x + sigma**2 * score) / alpha, -sigma * score),
        gain=lambda alpha, sigma: (alpha / sigma**2) ** 2,
    ),
    "v": Prediction(
        of=lambda x0, noise, alpha, sigma: alpha * noise - sigma * x0,
        split=lambda v, x, alpha, sigma: _turn(v, x, alpha, sigma),
        gain=lambda alpha, sigma: ((alpha**2 + sigma**2) / sigma) ** 2,
    ),
    # The network inside `precondition.denoise` at level sigma / alpha: -v, brought to unit variance.
    "edm": Prediction(
        of=lambda x0, noise, alpha, sigma: (sigma * x0 - alpha * noise) / _norm(alpha, sigma),
        split=lambda output, x, alpha, sigma: _turn(-_norm(alpha, sigma) * output, x, alpha, sigma),
        gain=lambda alpha, sigma: (alpha**2 + sigma**2) / sigma**2,
    ),
}


def convert_prediction(
    output: Field, x: Field, alpha: Scalar, sigma: Scalar, source: Prediction, target: Prediction
) -> Field:
    """The output of kind `target` that is equivalent to an output of kind `source`."""
    return target.of(*source.split(output, x, alpha, sigma), alpha, sigma)


def denoiser_of(network: TimedNetwork, process: Process, prediction: Prediction) -> Denoiser:
    """The denoiser for samplers from a network(x, time) trained along any process.

    A sampler's y at noise level s is x / alpha at the time at which sigma / alpha = s.
    """

    def denoiser(y, level):
        time = process.time_of(jnp.asarray(level))
        alpha, sigma = process.alpha(time), process.sigma(time)
        return prediction.split(network(alpha * y, time), alpha * y, alpha, sigma)[0]

    return denoiser


def _turn(v: Field, x: Field, alpha: Scalar, sigma: Scalar) -> tuple[Field, Field]:
    """Data and noise from x = alpha x0 + sigma noise and v = alpha noise - sigma x0."""
    square = alpha**2 + sigma**2
    return (alpha * x - sigma * v) / square, (sigma * x + alpha * v) / square


def _norm(alpha: Scalar, sigma: Scalar) -> Scalar:
    return (alpha**2 + sigma**2) ** 0.5
