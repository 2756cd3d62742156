"""Ratio of standard deviations in space."""

import numpy as np

from airmass.evaluation.metrics.base import Fields, Metric


def _variance(fields: Fields, values: np.ndarray):
    """Variance over the area about its mean in the bin; about the mean of truth first, against rounding."""
    centre = fields.mean(fields.truth)
    centre = (centre if fields.weights.ndim == 1 else centre[..., 0])[..., None]
    off = values - centre
    mean = fields.mean(off)
    return fields.mean(np.square(off, out=off)) - np.square(mean)


def truth_variance(fields: Fields):
    return _variance(fields, fields.truth)


def forecast_variance(fields: Fields):
    """Mean of the members' variances in space, not the variance of their mean, which is smoother."""
    return np.mean([_variance(fields, member) for member in fields.members], axis=0)


class StdRatio(Metric):
    """Standard deviation over the area of the forecast over that of the truth; 1 is best, below 1 is too smooth.

    Variances are averaged over initial times before the ratio and its root are taken. Of an ensemble, the members'.

    Source: Taylor 2001, doi:10.1029/2000JD900719, whose diagram has this ratio as its radius.
    """

    name = "std_ratio"
    title = "ratio of standard deviations"
    statistics = (forecast_variance, truth_variance)
    perfect = 1.0
    better = ""
    guide = 1.0

    def score(self, forecast, truth):
        return np.stack([forecast, truth], axis=-1)

    def finish(self, mean):
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.sqrt(mean[..., 0] / mean[..., 1])
