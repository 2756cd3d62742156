"""The fair continuous ranked probability score of members, the loss of functional generative networks."""

import jax.numpy as jnp
import numpy as np

from airmass.models.objectives.losses.base import Loss


class FairCRPS(Loss):
    """Mean distance of members from the target less half of that between members, unbiased in their number.

    Ferro 2014 (doi:10.1002/qj.2270); point by point, reported in physical units. Where the target is NaN, nothing is
    scored and no gradient flows; the point still counts in the mean, as in the published WeatherNext 2.
    """

    least_members = 2
    reports = "crps"

    def __call__(self, members, target, weights):
        known = jnp.isfinite(target)
        target, members = jnp.where(known, target, 0), jnp.where(known, members, 0)
        errors = jnp.einsum("n,nc->c", weights.nodes, fair_crps(members, target))
        return weights.total(errors), errors

    def reported(self, terms, scale):
        return np.asarray(terms) * scale


def fair_crps(members, target):
    """Per point, of members along the first axis: mean |x - y| - sum of |x - x'| over pairs / (N (N - 1))."""
    count = len(members)
    away = jnp.abs(members - target).mean(axis=0)
    # The sum over pairs by pairs, since N is small: sorting has no second term whose gradient at ties is 0.
    pairs = (jnp.abs(members[i] - members[j]) for i in range(count) for j in range(i))
    return away - sum(pairs) / (count * (count - 1))


LOSS = FairCRPS()
