"""The published GraphCast loss: weighted mean squared error in the scaled space."""

import numpy as np

from airmass.models.objectives.losses.base import PointwiseLoss


class SquaredError(PointwiseLoss):
    """Squared errors of a single forecast (Lam et al. 2023, equation 19), reported as their root in physical units."""

    reports = "rmse"

    def of_errors(self, errors):
        return errors**2

    def reported(self, terms, scale):
        return np.sqrt(terms) * scale


LOSS = SquaredError()
