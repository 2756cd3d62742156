"""Brier skill of extremes against climatology."""

import numpy as np

from airmass.data.formats.climatology import QUANTILES, tail
from airmass.evaluation.metrics.base import Metric
from airmass.evaluation.metrics.statistics import brier_score_of, climatological_brier_score_of


class BrierSkill(Metric):
    """1 - Brier score / Brier score of the climatological probability of the event; 1 is best, 0 is climatology's.

    Both scores are averaged over initial times and area before they are divided.

    Source: Wilks 2019, Statistical Methods in the Atmospheric Sciences, doi:10.1016/C2017-0-03921-6, section 9.4.2 on
    skill of the Brier score.
    """

    perfect = 1.0
    better = "higher"
    limits = (None, 1.0)
    guide = 0.0

    def __init__(self, quantile: float):
        self.quantile = quantile
        self.name = f"brier_skill_{tail(quantile)}"
        self.title = f"Brier skill {tail(quantile).replace('_', ' ')}"
        self.statistics = (brier_score_of(quantile), climatological_brier_score_of(quantile))

    @classmethod
    def instances(cls):
        return [cls(quantile) for quantile in QUANTILES]

    def score(self, brier, reference):
        return np.stack([brier, reference], axis=-1)

    def finish(self, mean):
        return 1 - mean[..., 0] / mean[..., 1]
