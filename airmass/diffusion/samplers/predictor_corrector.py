"""The predictor-corrector of score-based models."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from airmass.core.typed import Range
from airmass.diffusion.samplers.reverse_sde import ReverseSDE
from airmass.diffusion.stepping import langevin_step


@dataclass(frozen=True)
class PredictorCorrector(ReverseSDE):
    """A reverse step, then one Langevin step (Song et al. 2021, algorithm 1).

    The Langevin step is `corrector` times level^2, by default that of a signal-to-noise ratio of 0.16: 2 (0.16 level)^2
    for a score of the norm of the noise.
    """

    # Each corrector takes away part of the predictor's error, and there are more of them.
    order: ClassVar[float | None] = 1.5
    kind: str = "predictor-corrector"
    corrector: Annotated[float, Range(0, 1, above=True)] = 2 * 0.16**2

    @property
    def evaluations(self) -> int:
        return 2 * self.levels - 1

    def step(self, denoiser, y, current, following, noise):
        predicted = super().step(denoiser, y, current, following, noise)
        return langevin_step(denoiser, predicted, following, noise(1), self.corrector)
