"""Critical success index."""

import numpy as np

from airmass.evaluation.metrics.events import EventMetric, contingency_of


class CSI(EventMetric):
    """Critical success index: hits / (hits + false alarms + misses); 1 is best.

    The event is forecast where at least half of the members have it. Areas are summed over initial times first.

    Source: Schaefer 1990, doi:10.1175/1520-0434(1990)005<0570:TCSIAA>2.0.CO;2.
    """

    perfect = 1.0
    better = "higher"
    limits = (None, 1.0)
    usual = False

    family = "csi"
    words = "critical success index"
    statistic_of = staticmethod(contingency_of)

    def finish(self, mean):
        hits, false_alarms, misses, rejections = np.moveaxis(mean, -1, 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            return hits / (hits + false_alarms + misses) + 0 * rejections
