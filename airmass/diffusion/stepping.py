"""Samplers from steps: the loop over noise levels, and the arithmetic of a step.

Samplers work on y = x / alpha = data + level noise. In y a denoiser is the same for every process, and a step is a
weighted sum of arrays.

The loop over levels is a Python loop. Pass a jitted denoiser: it compiles once (a scan would contain the network once
for each evaluation of a step), and it may cache terms that depend on the level alone. The functions compiled here take
scalars as arguments, so that they compile once, not once a level.
"""

from collections.abc import Callable
from functools import wraps

import jax
import numpy as np
from jaxtyping import Float

from airmass.core.types import Array
from airmass.diffusion.noise_levels import SamplerSettings
from airmass.diffusion.time_grid import Point, TimeGrid

Denoiser = Callable[[Float[Array, "*shape"], Float[Array, ""] | np.float32], Float[Array, "*shape"]]
Draw = Callable[[int], Float[Array, "*shape"]]
Sampler = Callable[[Denoiser, Draw, SamplerSettings | TimeGrid], Float[Array, "*shape"]]
Noise = Callable[[int], Float[Array, "*shape"]]
Step = Callable[[Denoiser, Float[Array, "*shape"], Point, Point, Noise], Float[Array, "*shape"]]


def sampler_of(step: Step, churn: bool) -> Sampler:
    """A sampler that takes `step` between every two times of a grid and returns the last denoised array.

    `step(denoiser, y, current, following, noise)` gets the points before and after it; `noise(0)`, `noise(1)`, ... are
    white and independent. With `churn`, fresh noise raises the level before a step where the grid says so (Karras et
    al. 2022, algorithm 2).
    """

    @wraps(step)
    def sampler(denoiser, draw, settings):
        grid = TimeGrid.of(settings)
        raised = grid.raised if churn else grid.times
        points = list(grid)
        y = scale(draw(0), points[0].level)
        for number, (point, time) in enumerate(zip(points, raised, strict=True)):
            current = grid.at(time)
            if current.level > point.level:
                spread = grid.inflation * np.sqrt(current.level**2 - point.level**2)
                y = add(y, draw(number + 1), spread)
            if number + 1 == len(points):
                return denoised(denoiser, y, current)
            y = step(denoiser, y, current, points[number + 1], _noise(draw, number, len(points)))

    return sampler


def denoised(denoiser: Denoiser, y: Float[Array, "*shape"], point: Point) -> Float[Array, "*shape"]:
    """The denoised array: the expected data at a point's noise level."""
    return denoiser(y, np.float32(point.level))


def scale(y: Float[Array, "*shape"], factor: float) -> Float[Array, "*shape"]:
    """factor y"""
    return _scale(y, np.float32(factor))


def add(y: Float[Array, "*shape"], noise: Float[Array, "*shape"], spread: float) -> Float[Array, "*shape"]:
    """y + spread noise"""
    return _add(y, noise, np.float32(spread))


def mix(y: Float[Array, "*shape"], clean: Float[Array, "*shape"], share: float) -> Float[Array, "*shape"]:
    """share y + (1 - share) clean: the step to `share` times the level, exact for constant `clean`."""
    return _mix(y, clean, np.float32(share))


def combine(*terms: tuple[float, Float[Array, "*shape"]]) -> Float[Array, "*shape"]:
    """Sum of weight times array."""
    return _combine(np.array([weight for weight, _ in terms], np.float32), [array for _, array in terms])


def _noise(draw: Draw, step: int, steps: int) -> Noise:
    """The noise of a step: number 0 is the draw that churn would take, further numbers follow those of all steps."""
    return lambda number: draw(1 + step + number * steps)


@jax.jit
def _scale(y, factor):
    return factor * y


@jax.jit
def _add(y, noise, spread):
    return y + spread * noise


@jax.jit
def _mix(y, clean, share):
    return share * y + (1 - share) * clean


@jax.jit
def _combine(weights, arrays):
    return sum(weight * array for weight, array in zip(weights, arrays, strict=True))
