"""DPM-Solver++ (Lu et al. 2022, arXiv:2211.01095): exact for a constant denoised array, of second order otherwise."""

from functools import partial
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from airmass.core.types import Array
from airmass.diffusion.noise_levels import SamplerSettings
from airmass.diffusion.stepping import Denoiser, Draw, combine, denoised, mix, sampler_of, scale
from airmass.diffusion.time_grid import TimeGrid


@partial(sampler_of, churn=True)
def _2s(denoiser, y, current, following, noise):
    middle = np.sqrt(current.level * following.level)
    halfway = mix(y, denoised(denoiser, y, current), middle / current.level)
    return mix(y, denoiser(halfway, np.float32(middle)), following.level / current.level)


def dpm_solver_2s(denoiser: Denoiser, draw: Draw, settings: SamplerSettings | TimeGrid) -> Float[Array, "*shape"]:
    """One sample by DPM-Solver++(2S) with churn (Karras et al. 2022), as GenCast samples.

    A step from noise level s to t with the denoised D held fixed is y <- (t/s) y + (1 - t/s) D, exact for a constant D;
    taking D at the geometric middle of both levels makes it second order. 2 `levels` - 1 evaluations.
    """
    return _2s(denoiser, draw, settings)


def dpm_solver_2m(denoiser: Denoiser, draw: Draw, settings: SamplerSettings | TimeGrid) -> Float[Array, "*shape"]:
    """One sample by DPM-Solver++(2M): D is extrapolated from two levels to the middle of the step in log level.

    Second order with `levels` evaluations. No churn: the previous D would belong to another trajectory.
    """
    points = list(TimeGrid.of(settings))
    y, before = scale(draw(0), points[0].level), None
    for current, following in pairwise(points):
        clean, step = denoised(denoiser, y, current), np.log(current.level / following.level)
        ahead = clean
        if before is not None:
            last, width = before
            ahead = combine((1 + step / width / 2, clean), (-step / width / 2, last))
        y, before = mix(y, ahead, following.level / current.level), (clean, step)
    return denoised(denoiser, y, points[-1])
