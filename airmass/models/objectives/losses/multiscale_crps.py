"""The CRPS of fields and of their parts by scale (Lang et al. 2025, arXiv:2506.10868)."""

from dataclasses import dataclass
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np

from airmass.models.objectives.losses.base import known_parts
from airmass.models.objectives.losses.fair_crps import FairCRPS, crps

# A smoothed field has no more harmonics than so many times the total wavenumber that smoothing halves.
_WIDEST = 3


@dataclass(frozen=True)
class MultiscaleCRPS(FairCRPS):
    """The sum of the almost fair score, of `alpha`, of each part of the fields, which add up to them.

    Between neighbouring parts lies each total wavenumber of `scales`, which smoothing halves: the first part is the
    smoothest field, the last what the least smoothing takes away. The kernel, a Gaussian of the wavenumber, and the
    scales are ours. Points where the target is NaN are zero in every field before it is smoothed.
    """

    by_points = False
    alpha: float = 0.95
    scales: tuple[int, ...] = (8, 24)

    @property
    def degrees(self) -> int:
        return _WIDEST * self.scales[-1]

    def __call__(self, members, target, weights):
        members, target = known_parts(members, target)
        of_members, of_target = (self.parts(fields, weights.harmonics) for fields in (members, target[None]))
        scores = sum(crps(m, t[0], self.alpha) for m, t in zip(of_members, of_target, strict=True))
        errors = jnp.einsum("n,nc->c", weights.nodes, scores)
        return weights.total(errors), errors

    def parts(self, fields, harmonics):
        """Parts of fields [field, node, target], the smoothest first."""
        smoothed = [jax.vmap(lambda field, k=k: _smoothed(field, harmonics, k))(fields) for k in self.scales]
        return [smoothed[0], *(fine - rough for rough, fine in pairwise([*smoothed, fields]))]


def _smoothed(field, harmonics, wavenumber):
    """A field with each harmonic times a Gaussian of its degree that is a half at `wavenumber`."""
    degrees = np.arange(harmonics.rows.shape[0])
    gain = np.exp2(-((degrees / wavenumber) ** 2)).astype(np.float32)
    return harmonics.filtered(field, jnp.broadcast_to(gain[None, :, None], (len(gain), len(gain), field.shape[-1])))


LOSS = MultiscaleCRPS()
