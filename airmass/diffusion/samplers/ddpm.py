"""DDPM's ancestral sampling."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from airmass.diffusion.samplers.base import Sampler
from airmass.diffusion.stepping import combine, denoised


@dataclass(frozen=True)
class DDPMSampler(Sampler):
    """Draws from q(y_t | y_s, D), the posterior of the process given the data D (Ho et al. 2020, equation 7).

    Divided by alpha, the published formula depends on the schedule through noise levels only.
    """

    order: ClassVar[float | None] = 1
    stochastic: ClassVar[bool] = True
    kind: str = "ddpm"

    def step(self, denoiser, y, current, following, noise):
        kept = (following.level / current.level) ** 2
        clean = denoised(denoiser, y, current)
        return combine((kept, y), (1 - kept, clean), (following.level * np.sqrt(1 - kept), noise(0)))
