"""From noise to data, given a denoiser."""

from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import Float

from airmass.arrays import Array
from airmass.diffusion.schedule import SamplerSettings, churned_levels, noise_levels

Denoiser = Callable[[Float[Array, "*shape"], np.float32], Float[Array, "*shape"]]
Draw = Callable[[int], Float[Array, "*shape"]]


def dpm_solver_2s(denoiser: Denoiser, draw: Draw, settings: SamplerSettings) -> Float[Array, "*shape"]:
    """One sample by DPM-Solver++(2S) (Lu et al. 2022) with churn (Karras et al. 2022), as GenCast samples.

    `denoiser(x, sigma)` returns the expected clean data; `draw(number)` returns white noise of unit variance, number 0
    to start from and number i + 1 to churn with before step i, so that the caller decides which random keys make a
    sample. A step from noise level s to t with the denoised D held fixed is x <- (t/s) x + (1 - t/s) D, exact for a
    constant D; taking D at the geometric middle of both levels makes it second order. The denoiser runs
    2 `levels` - 1 times.

    Levels run in a Python loop: pass a jitted denoiser, which then compiles once (a scan would hold the network twice,
    once for each half of a step), and which may keep what depends on sigma alone from one sample to the next.
    """
    sigmas, churned = noise_levels(settings), churned_levels(settings)
    x = _scale(draw(0), np.float32(sigmas[0]))
    for step, (before, sigma, target) in enumerate(zip(sigmas[:-1], churned, sigmas[1:], strict=True)):
        if sigma > before:
            spread = settings.inflation * np.sqrt(sigma**2 - before**2)
            x = _add(x, draw(step + 1), np.float32(spread))
        denoised = denoiser(x, np.float32(sigma))
        if target == 0:
            return denoised
        middle = np.sqrt(sigma * target)
        halfway = _mix(x, denoised, np.float32(middle / sigma))
        x = _mix(x, denoiser(halfway, np.float32(middle)), np.float32(target / sigma))
    raise AssertionError("noise levels end at 0")


# Noise levels are arguments, so that each of these compiles once, not once a level.


@jax.jit
def _scale(x, factor):
    return factor * x


@jax.jit
def _add(x, noise, spread):
    return x + spread * noise


@jax.jit
def _mix(x, denoised, ratio):
    return ratio * x + (1 - ratio) * denoised
