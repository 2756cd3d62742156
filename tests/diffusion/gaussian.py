"""Exact references for samplers: data with a known denoiser, and a sampler's moments computed without drawing."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from airmass.core.types import Array
from airmass.diffusion.samplers.base import Sampler
from airmass.diffusion.time_grid import TimeGrid


class Mixture(eqx.Module):
    """A mixture of Gaussians; `axes` are eigenvectors of the covariances, in columns, `variances` the eigenvalues."""

    weights: Float[Array, " part"]
    means: Float[Array, "part dim"]
    axes: Float[Array, "part dim dim"]
    variances: Float[Array, "part dim"]

    @classmethod
    def build(cls, weights: np.ndarray, means: np.ndarray, covariances: np.ndarray) -> "Mixture":
        """The mixture of weights that sum to 1, means [part, dim] and covariances [part, dim, dim]."""
        variances, axes = np.linalg.eigh(covariances)
        return cls(*(np.asarray(x, np.float32) for x in (weights, means, axes, variances)))

    def denoise(self, y: Float[Array, "*n dim"], level: Float[Array, ""]) -> Float[Array, "*n dim"]:
        """The expected data given `y`, the data plus white noise of standard deviation `level`."""
        along = self._along_axes(y)
        kept = along * self.variances / (self.variances + level**2)
        clean = self.means + jnp.einsum("kij,...kj->...ki", self.axes, kept)
        share = jax.nn.softmax(self._log_parts(along, level), axis=-1)
        return jnp.einsum("...k,...ki->...i", share, clean)

    def log_density(self, y: Float[Array, "*n dim"], level: float = 0.0) -> Float[Array, "*n"]:
        """Log density of the data plus white noise of standard deviation `level`."""
        return jax.nn.logsumexp(self._log_parts(self._along_axes(y), level), axis=-1)

    def draw(self, key: PRNGKeyArray, count: int) -> Float[Array, "count dim"]:
        """Samples of the data."""
        part_key, key = jax.random.split(key)
        part = jax.random.choice(part_key, len(self.weights), (count,), p=self.weights)
        along = jax.random.normal(key, (count, self.means.shape[1])) * jnp.sqrt(self.variances)[part]
        return self.means[part] + jnp.einsum("nij,nj->ni", self.axes[part], along)

    def _along_axes(self, y):
        return jnp.einsum("kij,...ki->...kj", self.axes, y[..., None, :] - self.means)

    def _log_parts(self, along, level):
        variance = self.variances + level**2
        return jnp.log(self.weights) - (along**2 / variance + jnp.log(2 * jnp.pi * variance)).sum(-1) / 2


def sampled_moments(
    sampler: Sampler, mean: float, variance: float, grid: TimeGrid | None = None
) -> tuple[float, float]:
    """Exact mean and variance of the samples of one-dimensional Gaussian data, without drawing.

    The exact denoiser of Gaussian data is linear, and so is every sampler that sums its evaluations and draws. With all
    draws 0 a sampler returns the mean; its response to a 1 in one draw and 0 in the others is the factor of that draw.
    """
    denoiser = jax.jit(lambda y, level: mean + variance / (variance + level**2) * (y - mean))
    place: dict[int, int] = {}

    def silent(number):
        place[number] = len(place)
        return np.zeros(1, np.float32)

    middle = sampler.sample(denoiser, silent, grid)
    each = np.arange(len(place))
    responses = sampler.sample(denoiser, lambda number: (each == place[number]).astype(np.float32), grid) - middle
    return float(middle[0]), float(np.square(np.asarray(responses, np.float64)).sum())


def exact_moments(grid: TimeGrid, mean: float, variance: float, stochastic: bool) -> tuple[float, float]:
    """Mean and variance with infinitely many steps, from a start of pure noise to the last denoising.

    The flow conserves (y - mean) / sqrt(variance + level^2); the reverse equation damps the start by the square of the
    flow's factor.
    """
    first, last = grid.at(grid.times[0]).level, grid.at(grid.times[-1]).level
    kept = (variance + last**2) / (variance + first**2)
    shrink = variance / (variance + last**2)
    if not stochastic:
        return mean * (1 - shrink * kept**0.5), shrink**2 * kept * first**2
    return mean * (1 - shrink * kept), shrink**2 * (variance + last**2 - variance * kept**2)
