"""ROC area."""

import numpy as np

from airmass.evaluation.metrics.events import EventMetric, probability_table_of, rates


class ROCArea(EventMetric):
    """Area under the relative operating characteristic, by trapezoids; 1 is best, 0.5 is chance.

    Hit rate against false alarm rate, where the event is forecast from each class of probability upwards. Eleven
    classes.

    Source: Mason and Graham 1999, doi:10.1175/1520-0434(1999)014<0713:CPROCA>2.0.CO;2.
    """

    perfect = 1.0
    better = "higher"
    limits = (None, 1.0)
    least_members = 2

    family = "roc_area"
    words = "ROC area"
    statistic_of = staticmethod(probability_table_of)

    def finish(self, mean):
        hit_rate, false_rate = rates(mean)
        return np.trapezoid(hit_rate, false_rate, axis=-1)
