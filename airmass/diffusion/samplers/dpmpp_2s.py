"""DPM-Solver++(2S), GenCast's sampler."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from airmass.diffusion.samplers.base import ChurnedSampler
from airmass.diffusion.stepping import denoised, mix


@dataclass(frozen=True)
class DPMSolver2S(ChurnedSampler):
    """DPM-Solver++(2S) with churn, as GenCast samples (Lu et al. 2022, arXiv:2211.01095; Karras et al. 2022).

    A step from noise level s to t with the denoised D held fixed is y <- (t/s) y + (1 - t/s) D, exact for a constant D;
    taking D at the geometric middle of both levels makes it second order.
    """

    order: ClassVar[float | None] = 2
    kind: str = "dpmpp-2s"

    @property
    def evaluations(self) -> int:
        return 2 * self.levels - 1

    def step(self, denoiser, y, current, following, noise):
        middle = np.sqrt(current.level * following.level)
        halfway = mix(y, denoised(denoiser, y, current), middle / current.level)
        return mix(y, denoiser(halfway, np.float32(middle)), following.level / current.level)
