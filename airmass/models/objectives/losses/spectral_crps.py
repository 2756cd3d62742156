"""The CRPS of points and of harmonics, the loss of FourCastNet 3 (Bonev et al. 2025, arXiv:2507.12144)."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from airmass.core.types import Array
from airmass.fields.harmonics import Harmonics
from airmass.models.objectives.losses.base import known_parts
from airmass.models.objectives.losses.fair_crps import FairCRPS, crps


@dataclass(frozen=True)
class SpectralCRPS(FairCRPS):
    """The almost fair score, of `alpha`, of points plus `spectral` times its mean over coefficients of harmonics.

    Real and imaginary parts of coefficients are compared as numbers of their own, up to degree 255 and to what the grid
    resolves. Coefficients are scaled so that of white noise both means are alike. Points where the target is NaN are
    zero in every field. The weight is ours.
    """

    by_points = False
    alpha: float = 1.0
    spectral: float = 0.1

    @property
    def degrees(self) -> int:
        return 256

    def __call__(self, members, target, weights):
        members, target = known_parts(members, target)
        errors = jnp.einsum("n,nc->c", weights.nodes, crps(members, target, self.alpha))
        of_members, of_target = (scaled_numbers(weights.harmonics, fields) for fields in (members, target[None]))
        by_number = crps(of_members, of_target[0], self.alpha)
        count = len(weights.harmonics.rows) ** 2  # of real numbers that are not always zero
        errors += self.spectral * by_number.sum(axis=(0, 1, 2)) / count
        return weights.total(errors), errors


def scaled_numbers(
    harmonics: Harmonics, fields: Float[Array, "field node target"]
) -> Float[Array, "field part order degree target"]:
    """Real and imaginary parts of each field's harmonics, of unit variance where the field is such white noise.

    Orders above 0 stand for two harmonics, of the order and its opposite, in their real and imaginary part.
    """
    found = jax.vmap(harmonics.analyse)(fields)
    size = np.full((len(harmonics.rows), 1, 1), np.sqrt(2), np.float32)
    size[0] = 1
    return jnp.stack([found.real, found.imag], axis=1) * size


LOSS = SpectralCRPS()
