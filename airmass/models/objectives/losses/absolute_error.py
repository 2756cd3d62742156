"""Weighted mean absolute error, whose minimum is the median of what may happen."""

from airmass.models.objectives.losses.base import PointwiseLoss


class AbsoluteError(PointwiseLoss):
    """Absolute errors of a single forecast, reported in physical units."""

    reports = "mae"

    def of_errors(self, errors):
        return abs(errors)


LOSS = AbsoluteError()
