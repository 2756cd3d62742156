"""Spread of an ensemble."""

import numpy as np

from airmass.evaluation.metrics.base import Metric
from airmass.evaluation.metrics.statistics import variance


class Spread(Metric):
    """sqrt(mean over initial times and area of the unbiased variance of the members), in the variable's units.

    Source: Fortin et al. 2014, doi:10.1175/JHM-D-14-0008.1: variances are averaged and the root taken last; a mean of
    standard deviations is too small.
    """

    name = "spread"
    statistics = (variance,)
    title = "spread"
    perfect = 0.0
    in_units = True
    better = ""
    mapped = True
    least_members = 2

    def finish(self, mean):
        return np.sqrt(mean)
