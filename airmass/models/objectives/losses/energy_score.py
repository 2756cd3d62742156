"""The energy score of members: the CRPS of whole fields (Gneiting and Raftery 2007, doi:10.1198/016214506000001437)."""

import jax.numpy as jnp
import numpy as np

from airmass.models.objectives.losses.base import Loss, known_parts


class EnergyScore(Loss):
    """Mean distance of members' fields from the target's less half of that between members, unbiased in their number.

    The distance of two fields of a channel is the root of their weighted mean squared difference, so that how values at
    different points go together counts, which point by point they do not. Reported in physical units. Points where the
    target is NaN add nothing.
    """

    least_members = 2
    by_points = False
    reports = "energy_score"

    def __call__(self, members, target, weights):
        members, target = known_parts(members, target)
        count = len(members)
        away = sum(_distance(member, target, weights) for member in members) / count
        pairs = sum(_distance(members[i], members[j], weights) for i in range(count) for j in range(i))
        errors = away - pairs / (count * (count - 1))
        return weights.total(errors), errors

    def reported(self, terms, scale):
        return np.asarray(terms) * scale


def _distance(one, other, weights):
    """Of two fields, by channel."""
    squares = jnp.einsum("n,nc->c", weights.nodes, jnp.square(one - other))
    # The root has no derivative at 0, where fields are equal.
    apart = squares > 0
    return jnp.where(apart, jnp.sqrt(jnp.where(apart, squares, 1)), 0)


LOSS = EnergyScore()
