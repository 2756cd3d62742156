"""Noise processes x_t = alpha(t) x0 + sigma(t) noise, with their stochastic differential equations.

A linear process dx = f(t) x dt + g(t) dW has the signal scale alpha = exp(integral of f) and the noise sigma with
d sigma^2 / dt = 2 f sigma^2 + g^2 (Song et al. 2021, "Score-based generative modeling through stochastic differential
equations", appendix B). Divided by alpha, all processes give the same family of noisy data, x0 + level noise with
level = sigma / alpha. For a denoiser they differ only in the level as a function of time.

Methods take times as numpy or JAX values and return the same kind: samplers compute scalars in float64 on the host.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from airmass.core.errors import InputError
from airmass.diffusion.noise_levels import NoiseRange, TrainingNoise, noise_level

# Arrays or scalars of numpy or JAX.
Times = Float[Any, "*n"] | float


class Process(ABC):
    """Scales of signal and noise over time. The noise level grows with time."""

    @abstractmethod
    def log_alpha(self, t: Times) -> Times:
        """Logarithm of the signal's scale."""

    @abstractmethod
    def sigma(self, t: Times) -> Times:
        """Standard deviation of the noise."""

    @abstractmethod
    def drift(self, t: Times) -> Times:
        """f, the growth rate of the signal: d log alpha / dt."""

    @abstractmethod
    def diffusion(self, t: Times) -> Times:
        """g, the standard deviation of the noise added per square root of time."""

    @abstractmethod
    def time_at(self, u: Times) -> Times:
        """Time at u in [0, 1], 0 the least noise and 1 the most. Samplers and training use times evenly spaced in u."""

    @abstractmethod
    def time_of(self, level: Times) -> Times:
        """Time at which sigma / alpha is `level`."""

    def alpha(self, t: Times) -> Times:
        """Scale of the signal."""
        return numeric(t).exp(self.log_alpha(t))

    def level(self, t: Times) -> Times:
        """sigma / alpha: the noise level in units of the data."""
        return self.sigma(t) / self.alpha(t)


class VariancePreserving(Process):
    """Processes with alpha^2 + sigma^2 = 1: g^2 = -2 f, and alpha is a function of the level."""

    def sigma(self, t):
        xp = numeric(t)
        return xp.sqrt(-xp.expm1(2 * self.log_alpha(t)))

    def diffusion(self, t):
        return numeric(t).sqrt(-2 * self.drift(t))


@dataclass(frozen=True)
class EDM(Process):
    """Process whose time is the noise level (Karras et al. 2022); u is linear in level^(1 / rho)."""

    noise: NoiseRange = TrainingNoise()  # noqa: RUF009, frozen

    def log_alpha(self, t):
        return 0 * t

    def sigma(self, t):
        return t

    def drift(self, t):
        return 0 * t

    def diffusion(self, t):
        return numeric(t).sqrt(2 * t)

    def time_at(self, u):
        return noise_level(self.noise, u)

    def time_of(self, level):
        return level


@dataclass(frozen=True)
class VE(Process):
    """Variance exploding: level = min (max / min)^t for t in [0, 1] (Song et al. 2021, equation 30).

    Evenly spaced times give the geometric levels of annealed Langevin dynamics, SMLD (Song & Ermon 2019). Raises
    InputError for an empty range of levels.
    """

    min_noise: float = 0.01
    max_noise: float = 50.0

    def __post_init__(self):
        _check_order("VE process", min_noise=self.min_noise, max_noise=self.max_noise)

    def log_alpha(self, t):
        return 0 * t

    def sigma(self, t):
        return self.min_noise * numeric(t).exp(t * self._log_ratio)

    def drift(self, t):
        return 0 * t

    def diffusion(self, t):
        return self.sigma(t) * math.sqrt(2 * self._log_ratio)

    def time_at(self, u):
        return u

    def time_of(self, level):
        return numeric(level).log(level / self.min_noise) / self._log_ratio

    @property
    def _log_ratio(self) -> float:
        return math.log(self.max_noise / self.min_noise)


@dataclass(frozen=True)
class VP(VariancePreserving):
    """Variance preserving: beta = -2 f is linear in t in [0, 1] (Song et al. 2021, equation 32), the limit of DDPM.

    Times start at `least`, where the score is still finite. Raises InputError for values that do not form a schedule.
    """

    beta_min: float = 0.1
    beta_max: float = 20.0
    least: float = 1e-3

    def __post_init__(self):
        _check_order(f"{type(self).__name__} process", beta_min=self.beta_min, beta_max=self.beta_max)
        _check_order(f"{type(self).__name__} process", least=self.least, last=1.0)

    def log_alpha(self, t):
        return -t * self.beta_min / 2 - t**2 * (self.beta_max - self.beta_min) / 4

    def drift(self, t):
        return -(self.beta_min + t * (self.beta_max - self.beta_min)) / 2

    def time_at(self, u):
        return self.least + u * (1 - self.least)

    def time_of(self, level):
        return self._time_of_log_alpha(-numeric(level).log1p(level**2) / 2)

    def _time_of_log_alpha(self, log_alpha):
        """Time from log alpha: the positive root of a quadratic, in the form without cancellation."""
        b, a = self.beta_min, self.beta_max - self.beta_min
        return -4 * log_alpha / (b + numeric(log_alpha).sqrt(b**2 - 4 * a * log_alpha))


@dataclass(frozen=True)
class SubVP(VP):
    """The signal of `VP` with less noise, sigma = 1 - alpha^2 (Song et al. 2021, equation 33 and appendix B)."""

    def sigma(self, t):
        return -numeric(t).expm1(2 * self.log_alpha(t))

    def diffusion(self, t):
        xp = numeric(t)
        return xp.sqrt(2 * self.drift(t) * xp.expm1(4 * self.log_alpha(t)))

    def time_of(self, level):
        # (1 - alpha^2) / alpha = level is 2 sinh(-log alpha) = level.
        return self._time_of_log_alpha(-numeric(level).arcsinh(level / 2))


def numeric(t):
    """jax.numpy for a JAX array or tracer, otherwise numpy."""
    if isinstance(t, np.ndarray | np.generic | float | int):
        return np
    import jax.numpy as jnp  # not before there is an array of JAX: samplers are settings too

    return jnp


def _check_order(what: str, **values: float) -> None:
    (low, small), (high, large) = values.items()
    if not 0 < small < large < math.inf:
        raise InputError(f"{what}: {low} is {small} and {high} {large}, expected 0 < {low} < {high}, both finite")
