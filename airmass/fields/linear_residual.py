"""What a frame adds to what is expected after the frames before it, harmonic by harmonic."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Complex, Float

from airmass.core.types import Array
from airmass.fields.harmonics import Harmonics


class LinearResidual(eqx.Module):
    """Statistics of a task's prognostic channels by harmonic, and what they make of fields.

    Of a harmonic's deviation from `mean`, `persistence` of each frame of the history, oldest first, is expected in the
    next one: its size says how much of a wave is left, its phase how far the wave has moved. The rest of the next frame
    is its innovation, of standard deviation `spread` in units of a normaliser's scaled targets. What harmonics do not
    resolve stays as it was in the last frame and has no innovation.
    """

    mean: Float[Array, "node prognostic"]
    persistence: Complex[Array, "time order degree prognostic"]
    spread: Float[Array, "order degree prognostic"]
    harmonics: Harmonics

    def expected(self, history: Float[Array, "time node prognostic"]) -> Float[Array, "node prognostic"]:
        """The next frame without its innovation."""
        known = jnp.stack([self.harmonics.analyse(frame - self.mean) for frame in history])
        change = jnp.sum(self.persistence * known, axis=0) - known[-1]
        return history[-1] + self.harmonics.synthesise(change)

    def whitened(self, residual: Float[Array, "node prognostic"]) -> Float[Array, "node prognostic"]:
        """Scaled innovations with every harmonic brought to unit variance."""
        return self.harmonics.filtered(residual, 1 / self.spread)

    def coloured(self, white: Float[Array, "node prognostic"]) -> Float[Array, "node prognostic"]:
        """The inverse of `whitened`."""
        return self.harmonics.filtered(white, self.spread)

    @property
    def size(self) -> Float[Array, " prognostic"]:
        """Standard deviation of innovations at a node, the mean over the sphere."""
        orders, degrees = self.spread.shape[:2]
        # Of each order but 0 there is a wave to either side; those above the degree are none.
        twice = np.where(np.arange(orders) > 0, 2, 1)[:, None] * (np.arange(orders)[:, None] <= np.arange(degrees))
        return jnp.sqrt(jnp.einsum("ml,mlc->c", twice, jnp.square(self.spread))) / degrees


class Calibration(eqx.Module):
    """How much is kept of a drawn frame's innovation, harmonic by harmonic, so that it has the spread of true ones.

    What harmonics do not resolve stays as it was in the last frame.
    """

    innovation: LinearResidual
    gain: Float[Array, "order degree prognostic"]

    def __call__(
        self, drawn: Float[Array, "node prognostic"], expected: Float[Array, "node prognostic"]
    ) -> Float[Array, "node prognostic"]:
        """The frame in place of `drawn`, given the one that is `expected` after the history."""
        return expected + self.innovation.harmonics.filtered(drawn - expected, self.gain)
