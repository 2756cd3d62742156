"""Symmetric extremal dependence index."""

import numpy as np

from airmass.evaluation.metrics.events import EventMetric, contingency_of

_LEAST = 1e-9


class SEDI(EventMetric):
    """Symmetric extremal dependence index; 1 is best, 0 is chance. It does not tend to 0 as the event becomes rare.

    With H the hit rate and F the false alarm rate, (ln F - ln H + ln(1 - H) - ln(1 - F)) / (ln F + ln H + ln(1 - H) +
    ln(1 - F)). Undefined (NaN) where the event never occurs, or always. Rates of 0 and 1 count as 1e-9 from them.

    Source: Ferro and Stephenson 2011, doi:10.1175/WAF-D-10-05030.1, equation 2.
    """

    perfect = 1.0
    better = "higher"
    limits = (None, 1.0)
    usual = False

    family = "sedi"
    words = "SEDI"
    statistic_of = staticmethod(contingency_of)

    def finish(self, mean):
        hits, false_alarms, misses, rejections = np.moveaxis(mean, -1, 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            hit_rate = np.clip(hits / (hits + misses), _LEAST, 1 - _LEAST)
            false_rate = np.clip(false_alarms / (false_alarms + rejections), _LEAST, 1 - _LEAST)
            hit, false = np.log(hit_rate), np.log(false_rate)
            no_hit, no_false = np.log1p(-hit_rate), np.log1p(-false_rate)
            return (false - hit + no_hit - no_false) / (false + hit + no_hit + no_false)
