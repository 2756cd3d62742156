"""Ratio of spread to error."""

import numpy as np

from airmass.evaluation.metrics.base import Metric
from airmass.evaluation.metrics.statistics import enlarged_variance, squared_error


class SpreadSkill(Metric):
    """sqrt((m + 1) / m) spread / RMSE of the mean of m members: 1 if truth is statistically like a member.

    Below 1 the ensemble is underdispersive, above it overdispersive. Undefined (NaN) where all members equal the truth.

    Source: Fortin et al. 2014, doi:10.1175/JHM-D-14-0008.1, for the factor that finite ensembles need.
    """

    name = "spread_skill"
    statistics = (enlarged_variance, squared_error)
    title = "spread / RMSE"
    perfect = np.nan
    better = ""
    headline = 4
    guide = 1.0
    mapped = True
    least_members = 2

    def score(self, variance, error):
        return np.stack([variance, error], axis=-1)

    def finish(self, mean):
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.sqrt(mean[..., 0] / mean[..., 1])
