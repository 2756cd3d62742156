"""What each sampler makes of Gaussian data, whose exact denoiser is known, and what a draw of noise costs.

    python -m benchmarks.samplers         bias and order of every sampler; exact, nothing is drawn or timed
    python -m benchmarks.samplers draw    time of one draw of noise on the sphere at 1 degree, 82 channels

Data have unit variance and mean 0, as normalised data are meant to; levels are the published ones.
"""

import sys
from dataclasses import replace

import jax
import numpy as np

from airmass.diffusion.samplers import known_samplers
from airmass.diffusion.samplers.base import Sampler
from airmass.diffusion.samplers.dpmpp_2s import DPMSolver2S
from airmass.diffusion.sphere import SphereNoise
from airmass.fields.grid import LatLonGrid
from benchmarks.measure import in_units
from tests.diffusion.gaussian import exact_moments, sampled_moments

PUBLISHED = DPMSolver2S()


def bias(sampler: Sampler) -> float:
    """Relative error of the standard deviation without churn, that of the last denoising left out."""
    grid = replace(sampler.grid, raised=sampler.grid.times)
    _, exact = exact_moments(grid, 0.0, 1.0, sampler.stochastic)
    return float(np.sqrt(sampled_moments(sampler, 0.0, 1.0, grid)[1] / exact)) - 1


def order(sampler: Sampler) -> float:
    """From 80 to 160 levels."""
    coarse, fine = (bias(replace(sampler, levels=levels)) for levels in (80, 160))
    return float(np.log2(abs(coarse / fine)))


def table() -> None:
    """Markdown."""
    print("| sampler | evaluations | bias, 20 levels | bias, 39 levels | order, 80 to 160 levels |")
    print("|---|---|---|---|---|")
    for name, kind in known_samplers().items():
        sampler = kind()
        if sampler.order is None:
            print(f"| {name} | by tolerance | {bias(sampler):+.2%} | | |")
            continue
        biases = f"{bias(sampler):+.2%} | {bias(replace(sampler, levels=39)):+.2%}"
        print(f"| {name} | {sampler.evaluations} | {biases} | {order(sampler):.2f} |")
    for text, sampler in (
        ("published, with churn", PUBLISHED),
        ("the same, inflation 1", replace(PUBLISHED, inflation=1.0)),
        ("40 levels, with churn", replace(PUBLISHED, levels=40)),
    ):
        spread = np.sqrt(sampled_moments(sampler, 0.0, 1.0)[1])
        print(f"dpmpp-2s {text}: standard deviation {spread:.4f} of 1")


def draw() -> None:
    """In units of a 4096^3 matrix product."""
    grid = LatLonGrid.equiangular(181, 360, poles=True)
    noise = SphereNoise.build(grid.latitude, grid.longitude)
    (units, wall), *_ = in_units({"draw": lambda: noise.draw(jax.random.key(0), 82)}).values()
    print(f"one draw at 1 degree, 82 channels: {units:.3f} units, {wall:.3f} s")


if __name__ == "__main__":
    draw() if sys.argv[1:] == ["draw"] else table()
