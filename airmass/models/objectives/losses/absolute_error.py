"""Weighted mean absolute error, whose minimum is the median of what may happen."""

import numpy as np

from airmass.models.objectives.losses.base import PointwiseLoss


class AbsoluteError(PointwiseLoss):
    """Absolute errors of a single forecast, reported in physical units."""

    reports = "mae"

    def of_errors(self, errors):
        return abs(errors)

    def reported(self, terms, scale):
        return np.asarray(terms) * scale


LOSS = AbsoluteError()
