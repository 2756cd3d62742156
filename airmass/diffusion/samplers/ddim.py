"""DDIM: DDPM's process without its noise."""

from dataclasses import dataclass
from typing import ClassVar

from airmass.diffusion.samplers.base import ChurnedSampler
from airmass.diffusion.stepping import denoised, mix


@dataclass(frozen=True)
class DDIM(ChurnedSampler):
    """The estimated noise scaled to the next level, no fresh noise (Song, Meng & Ermon 2021, equation 12).

    Divided by alpha, the published formula depends on the schedule through noise levels only.
    """

    order: ClassVar[float | None] = 1
    kind: str = "ddim"

    def step(self, denoiser, y, current, following, noise):
        return mix(y, denoised(denoiser, y, current), following.level / current.level)
