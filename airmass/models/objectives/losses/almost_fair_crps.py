"""The almost fair continuous ranked probability score, the loss of AIFS-CRPS (Lang et al. 2024, arXiv:2412.15832)."""

from dataclasses import dataclass

import jax.numpy as jnp

from airmass.models.objectives.losses.base import known_parts
from airmass.models.objectives.losses.fair_crps import FairCRPS, crps


@dataclass(frozen=True)
class AlmostFairCRPS(FairCRPS):
    """`alpha` times the fair score plus 1 - `alpha` times that of the empirical distribution, equation 4.

    The fair score of two members alone has a direction in which it does not change: one member on the truth, the other
    anywhere. A little of the other score closes it.
    """

    alpha: float = 0.95

    def __call__(self, members, target, weights):
        members, target = known_parts(members, target)
        errors = jnp.einsum("n,nc->c", weights.nodes, crps(members, target, self.alpha))
        return weights.total(errors), errors


LOSS = AlmostFairCRPS()
