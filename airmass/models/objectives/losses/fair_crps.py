"""The fair continuous ranked probability score of members, the loss of functional generative networks."""

import jax.numpy as jnp
import numpy as np

from airmass.models.objectives.losses.base import Loss, known_parts


class FairCRPS(Loss):
    """Mean distance of members from the target less half of that between members, unbiased in their number.

    Ferro 2014 (doi:10.1002/qj.2270); point by point, reported in physical units. Where the target is NaN, nothing is
    scored and no gradient flows; the point still counts in the mean, as in the published WeatherNext 2.
    """

    least_members = 2
    reports = "crps"

    def __call__(self, members, target, weights):
        members, target = known_parts(members, target)
        errors = jnp.einsum("n,nc->c", weights.nodes, crps(members, target))
        return weights.total(errors), errors

    def reported(self, terms, scale):
        return np.asarray(terms) * scale


def crps(members, target, share=1.0):
    """Per point, of members along the first axis: mean |x - y| - share' sum of |x - x'| over pairs / (N (N - 1)).

    share' is 1 - (1 - share) / N: a `share` of 1 is the fair score, of 0 that of the empirical distribution, and what
    lies between the almost fair score (Lang et al. 2024, arXiv:2412.15832).
    """
    count = len(members)
    away = jnp.abs(members - target).mean(axis=0)
    # The sum over pairs by pairs, since N is small: sorting has no second term whose gradient at ties is 0.
    pairs = (jnp.abs(members[i] - members[j]) for i in range(count) for j in range(i))
    return away - (1 - (1 - share) / count) * sum(pairs) / (count * (count - 1))


LOSS = FairCRPS()
