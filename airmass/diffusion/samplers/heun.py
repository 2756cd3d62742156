"""Heun's method along the probability flow."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from airmass.diffusion.samplers.base import ChurnedSampler
from airmass.diffusion.stepping import combine, denoised, rate


@dataclass(frozen=True)
class Heun(ChurnedSampler):
    """Euler steps repeated with the mean rate of both ends (Karras et al. 2022, algorithm 2), in the process's time."""

    order: ClassVar[float | None] = 2
    kind: str = "heun"

    @property
    def evaluations(self) -> int:
        return 2 * self.levels - 1

    def step(self, denoiser, y, current, following, noise):
        half = (following.time - current.time) / 2
        (of_y, of_clean), (of_next, of_next_clean) = half * np.array(rate(current)), half * np.array(rate(following))
        clean = denoised(denoiser, y, current)
        reached = combine(((current.alpha + 2 * of_y) / following.alpha, y), (2 * of_clean / following.alpha, clean))
        terms = (
            (current.alpha + of_y, y),
            (of_clean, clean),
            (of_next, reached),
            (of_next_clean, denoised(denoiser, reached, following)),
        )
        return combine(*((weight / following.alpha, array) for weight, array in terms))
