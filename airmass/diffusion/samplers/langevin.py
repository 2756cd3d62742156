"""Annealed Langevin dynamics."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from airmass.core.typed import Range
from airmass.diffusion.samplers.base import Sampler
from airmass.diffusion.stepping import langevin_step


@dataclass(frozen=True)
class Langevin(Sampler):
    """Annealed Langevin dynamics, SMLD (Song & Ermon 2019, algorithm 1): `steps` of it at each level.

    A step is `share` times level^2: it moves that fraction of the way to the denoised array. Song & Ermon take steps of
    2e-5 at the level 0.01, which in their units of level^2 / 2 is a tenth. Steps must be enough to remove the excess
    noise of the level before.
    """

    order: ClassVar[float | None] = 1
    stochastic: ClassVar[bool] = True
    kind: str = "langevin"
    steps: Annotated[int, Range(1, 10_000)] = 20
    share: Annotated[float, Range(0, 1, above=True)] = 0.1

    @property
    def evaluations(self) -> int:
        return 1 + self.steps * (self.levels - 1)

    def step(self, denoiser, y, current, following, noise):
        for number in range(self.steps):
            y = langevin_step(denoiser, y, following, noise(number), self.share)
        return y
