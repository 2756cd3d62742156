"""Logarithm of the hyperbolic cosine of errors: a Huber loss with all derivatives."""

import jax.numpy as jnp

from airmass.models.objectives.losses.base import PointwiseLoss


class LogCosh(PointwiseLoss):
    """log cosh of scaled errors: half their square where they are small, their size less log 2 where they are large."""

    reports, unit = "log_cosh", "1"

    def of_errors(self, errors):
        # log cosh x = log (e^x + e^-x) - log 2, without overflow.
        return jnp.logaddexp(errors, -errors) - jnp.log(2)


LOSS = LogCosh()
