"""The reverse stochastic equation by Euler and Maruyama's method."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from airmass.diffusion.samplers.base import Sampler
from airmass.diffusion.stepping import combine, denoised, rate


@dataclass(frozen=True)
class ReverseSDE(Sampler):
    """Euler-Maruyama steps of dx = (f x - g^2 score) dt + g dW backwards in time.

    Anderson 1982; Song et al. 2021, equation 6.
    """

    order: ClassVar[float | None] = 1
    stochastic: ClassVar[bool] = True
    kind: str = "reverse-sde"

    def step(self, denoiser, y, current, following, noise):
        step = following.time - current.time
        of_y, of_clean = step * np.array(rate(current, 1.0))
        terms = (
            (current.alpha + of_y, y),
            (of_clean, denoised(denoiser, y, current)),
            (current.diffusion * np.sqrt(-step), noise(0)),
        )
        return combine(*((weight / following.alpha, array) for weight, array in terms))
