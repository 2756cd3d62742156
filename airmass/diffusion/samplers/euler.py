"""Euler's method along the probability flow."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from airmass.diffusion.samplers.base import ChurnedSampler
from airmass.diffusion.stepping import combine, denoised, rate


@dataclass(frozen=True)
class Euler(ChurnedSampler):
    """Euler steps of the probability flow dx/dt = f x - g^2 score / 2, in the process's own time.

    Song et al. 2021, equation 13. Along `EDM` this is DDIM.
    """

    order: ClassVar[float | None] = 1
    kind: str = "euler"

    def step(self, denoiser, y, current, following, noise):
        of_y, of_clean = (following.time - current.time) * np.array(rate(current))
        clean = denoised(denoiser, y, current)
        return combine(((current.alpha + of_y) / following.alpha, y), (of_clean / following.alpha, clean))
