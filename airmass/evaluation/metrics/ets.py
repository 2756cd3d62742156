"""Equitable threat score."""

import numpy as np

from airmass.evaluation.metrics.events import EventMetric, contingency_of


class ETS(EventMetric):
    """Equitable threat score: (hits - h) / (hits + false alarms + misses - h), with h the hits of chance; 1 is best.

    The event is forecast where at least half of the members have it. Areas are summed over initial times first.

    Source: Wilks 2019, doi:10.1016/C2017-0-03921-6, section 9.2.2 (Gilbert skill score).
    """

    perfect = 1.0
    better = "higher"
    limits = (None, 1.0)
    usual = False

    family = "ets"
    words = "equitable threat score"
    statistic_of = staticmethod(contingency_of)

    def finish(self, mean):
        hits, false_alarms, misses, rejections = np.moveaxis(mean, -1, 0)
        total = hits + false_alarms + misses + rejections
        with np.errstate(invalid="ignore", divide="ignore"):
            chance = (hits + misses) * (hits + false_alarms) / total
            return (hits - chance) / (hits + false_alarms + misses - chance)
