"""Huber loss: squared for small errors, absolute for large ones (Huber 1964, doi:10.1214/aoms/1177703732)."""

import jax.numpy as jnp

from airmass.models.objectives.losses.base import PointwiseLoss

# In standard deviations of the change over one step, for prognostic variables.
DELTA = 1.0


class Huber(PointwiseLoss):
    """Half the square of scaled errors up to DELTA, and beyond it a straight line that continues it smoothly."""

    reports, unit = "huber", "1"

    def of_errors(self, errors):
        size = abs(errors)
        return jnp.where(size <= DELTA, errors**2 / 2, DELTA * (size - DELTA / 2))


LOSS = Huber()
