"""What each sampler makes of Gaussian data, whose exact denoiser is known, and what a draw of noise costs.

    python -m benchmarks.samplers         bias and order of every sampler; exact, nothing is drawn or timed
    python -m benchmarks.samplers draw    time of one draw of noise on the sphere at 1 degree, 82 channels

Data have unit variance and mean 0, as normalised data are meant to; levels are the published ones.
"""

import sys
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from airmass.diffusion.gaussian import exact_moments, sampled_moments
from airmass.diffusion.noise_levels import SamplerSettings
from airmass.diffusion.samplers import SAMPLERS
from airmass.diffusion.sphere import SphereNoise
from airmass.diffusion.time_grid import TimeGrid
from airmass.fields.grid import LatLonGrid
from benchmarks.measure import in_units

PUBLISHED = SamplerSettings()
PLAIN = replace(PUBLISHED, churn=0)
STOCHASTIC = ("ddpm", "reverse-sde", "predictor-corrector", "langevin")


def evaluations(name: str, settings: SamplerSettings) -> int:
    """Number of calls of the denoiser."""
    seen = []
    SAMPLERS[name](lambda y, level: seen.append(level) or y / 2, lambda number: jnp.ones(1), settings)
    return len(seen)


def bias(name: str, settings: SamplerSettings) -> float:
    """Relative error of the standard deviation, that of the last denoising left out."""
    _, exact = exact_moments(TimeGrid.of(settings), 0.0, 1.0, name in STOCHASTIC)
    return float(np.sqrt(sampled_moments(SAMPLERS[name], settings, 0.0, 1.0)[1] / exact)) - 1


def order(name: str, coarse: SamplerSettings, fine: SamplerSettings) -> float:
    """From one number of levels to twice as many."""
    return float(np.log2(abs(bias(name, coarse) / bias(name, fine))))


def table() -> None:
    """Markdown."""
    coarse, fine = replace(PLAIN, levels=80), replace(PLAIN, levels=160)
    print("| sampler | evaluations | bias, 20 levels | bias, 39 levels | order, 80 to 160 levels |")
    print("|---|---|---|---|---|")
    for name in SAMPLERS:
        if name == "adaptive":
            print(f"| {name} | by tolerance | {bias(name, PLAIN):+.2%} | | |")
            continue
        biases = f"{bias(name, PLAIN):+.2%} | {bias(name, replace(PLAIN, levels=39)):+.2%}"
        print(f"| {name} | {evaluations(name, PLAIN)} | {biases} | {order(name, coarse, fine):.2f} |")
    for text, settings in (
        ("published, with churn", PUBLISHED),
        ("the same, inflation 1", replace(PUBLISHED, inflation=1.0)),
        ("40 levels, with churn", replace(PUBLISHED, levels=40)),
    ):
        spread = np.sqrt(sampled_moments(SAMPLERS["dpmpp-2s"], settings, 0.0, 1.0)[1])
        print(f"dpmpp-2s {text}: standard deviation {spread:.4f} of 1")


def draw() -> None:
    """In units of a 4096^3 matrix product."""
    grid = LatLonGrid.equiangular(181, 360, poles=True)
    noise = SphereNoise.build(grid.latitude, grid.longitude)
    (units, wall), *_ = in_units({"draw": lambda: noise.draw(jax.random.key(0), 82)}).values()
    print(f"one draw at 1 degree, 82 channels: {units:.3f} units, {wall:.3f} s")


if __name__ == "__main__":
    draw() if sys.argv[1:] == ["draw"] else table()
