"""DPM-Solver++(2M): second order with one evaluation a level."""

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np

from airmass.diffusion.samplers.base import Sampler
from airmass.diffusion.stepping import combine, denoised, mix, scale


@dataclass(frozen=True)
class DPMSolver2M(Sampler):
    """DPM-Solver++(2M): D is extrapolated from two levels to the middle of the step in log level (Lu et al. 2022).

    No churn: the previous D would belong to another trajectory.
    """

    order: ClassVar[float | None] = 2
    kind: str = "dpmpp-2m"

    def sample(self, denoiser, draw, grid=None):
        points = list(grid or self.grid)
        y, before = scale(draw(0), points[0].level), None
        for current, following in pairwise(points):
            clean, step = denoised(denoiser, y, current), np.log(current.level / following.level)
            ahead = clean
            if before is not None:
                last, width = before
                ahead = combine((1 + step / width / 2, clean), (-step / width / 2, last))
            y, before = mix(y, ahead, following.level / current.level), (clean, step)
        return denoised(denoiser, y, points[-1])
