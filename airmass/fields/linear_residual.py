"""Residuals of a linear model of the next frame, by spherical harmonic (`--model.linear-residual`)."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Complex, Float

from airmass.core.types import Array
from airmass.fields.harmonics import Harmonics


class LinearResidual(eqx.Module):
    """A linear model of the next frame of a task's prognostic channels, and the statistics of its residual.

    The expected coefficient of a harmonic, as a deviation from `mean`, is the sum over the frames of the history,
    oldest first, of `persistence` times the frame's coefficient: the modulus damps a wave, the phase moves it. The
    residual is the next frame minus the expected one, of standard deviation `spread` in units of a normaliser's scaled
    targets. Unresolved scales persist from the last frame and have no residual.
    """

    mean: Float[Array, "node prognostic"]
    persistence: Complex[Array, "time order degree prognostic"]
    spread: Float[Array, "order degree prognostic"]
    harmonics: Harmonics

    def expected(self, history: Float[Array, "time node prognostic"]) -> Float[Array, "node prognostic"]:
        """The next frame that the linear model expects."""
        known = jnp.stack([self.harmonics.analyse(frame - self.mean) for frame in history])
        change = jnp.sum(self.persistence * known, axis=0) - known[-1]
        return history[-1] + self.harmonics.synthesise(change)

    def whitened(self, residual: Float[Array, "node prognostic"]) -> Float[Array, "node prognostic"]:
        """Scaled residuals divided by `spread`: unit variance in every harmonic."""
        return self.harmonics.filtered(residual, 1 / self.spread)

    def coloured(self, white: Float[Array, "node prognostic"]) -> Float[Array, "node prognostic"]:
        """The inverse of `whitened`."""
        return self.harmonics.filtered(white, self.spread)

    @property
    def size(self) -> Float[Array, " prognostic"]:
        """Standard deviation of the residual at a node, averaged over the sphere."""
        orders, degrees = self.spread.shape[:2]
        # Each order but 0 counts twice, for its negative; orders above the degree do not exist.
        twice = np.where(np.arange(orders) > 0, 2, 1)[:, None] * (np.arange(orders)[:, None] <= np.arange(degrees))
        return jnp.sqrt(jnp.einsum("ml,mlc->c", twice, jnp.square(self.spread))) / degrees


class Calibration(eqx.Module):
    """Gains by harmonic that bring the residuals of drawn frames to the spread of observed ones.

    Unresolved scales persist from the last frame.
    """

    residual: LinearResidual
    gain: Float[Array, "order degree prognostic"]

    def __call__(
        self, drawn: Float[Array, "node prognostic"], expected: Float[Array, "node prognostic"]
    ) -> Float[Array, "node prognostic"]:
        """The calibrated frame for a `drawn` one and the one `expected` after the history."""
        return expected + self.residual.harmonics.filtered(drawn - expected, self.gain)
