"""The discrete schedules of DDPM: each of some 1000 steps replaces a fraction beta of the variance by noise."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from airmass.core.errors import InputError
from airmass.diffusion.process import VariancePreserving, numeric


def linear_betas(steps: int = 1000, first: float = 1e-4, last: float = 0.02) -> Float[np.ndarray, " step"]:
    """Linear schedule of Ho et al. 2020, section 4."""
    return np.linspace(first, last, steps)


def cosine_betas(steps: int = 1000, offset: float = 0.008, most: float = 0.999) -> Float[np.ndarray, " step"]:
    """Cosine schedule of Nichol & Dhariwal 2021, equation 17: alpha^2 is a squared cosine of the step."""
    signal = np.cos((np.arange(steps + 1) / steps + offset) / (1 + offset) * np.pi / 2) ** 2
    return np.minimum(1 - signal[1:] / signal[:-1], most)


@dataclass(frozen=True, eq=False)
class DDPM(VariancePreserving):
    """alpha^2 after step t is the product of 1 - beta over steps 1 to t; time counts steps.

    Between steps log alpha is linear in time. Raises InputError unless every beta is in (0, 1).
    """

    betas: Float[np.ndarray, " step"] = field(default_factory=linear_betas)

    def __post_init__(self):
        betas = np.asarray(self.betas)
        if not (betas.ndim == 1 and betas.size and np.all((betas > 0) & (betas < 1))):
            found = f"{betas.min()} to {betas.max()}" if betas.size else "none"
            raise InputError(
                f"DDPM process: betas are {found} in shape {betas.shape}, expected a vector of values in (0, 1)"
            )

    def log_alpha(self, t):
        return numeric(t).interp(t, *self._table)

    def drift(self, t):
        xp = numeric(t)
        step = xp.clip(xp.ceil(t).astype(int) - 1, 0, len(self.betas) - 1)
        return xp.take(np.diff(self._table[1]), step)

    def time_at(self, u):
        """An integer step from 1 to N, all equally likely for u uniform."""
        steps = len(self.betas)
        xp = numeric(u)
        return xp.minimum(1 + xp.floor(u * steps), steps)

    def time_of(self, level):
        steps, log_alpha = self._table
        xp = numeric(level)
        return xp.interp(xp.log1p(level**2) / 2, -log_alpha, steps)

    @property
    def _table(self) -> tuple[np.ndarray, np.ndarray]:
        """Steps, and log alpha after each."""
        return np.arange(len(self.betas) + 1.0), np.append(0, np.cumsum(np.log1p(-np.asarray(self.betas))) / 2)
