"""The published GraphCast loss: weighted mean squared error in the scaled space."""

import jax.numpy as jnp
import numpy as np

from airmass.models.objectives.losses.base import Loss


class SquaredError(Loss):
    """Squared errors of a single forecast (Lam et al. 2023, equation 19), reported as their root in physical units."""

    most_members = 1
    reports = "rmse"

    def __call__(self, members, target, weights):
        errors = jnp.einsum("n,nc->c", weights.nodes, jnp.square(members[0] - target))
        return weights.total(errors), errors

    def reported(self, terms, scale):
        return np.sqrt(terms) * scale


LOSS = SquaredError()
