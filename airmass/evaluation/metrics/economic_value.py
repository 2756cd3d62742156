"""Relative economic value."""

from airmass.evaluation.metrics.events import EventMetric, probability_table_of, rates


class EconomicValue(EventMetric):
    """Greatest relative economic value over all cost/loss ratios and thresholds; 1 is best, 0 is climatology.

    A user whose cost/loss ratio equals the frequency of the event gains most: hit rate - false alarm rate at the best
    threshold.

    Source: Richardson 2000, doi:10.1002/qj.49712656313, equation 11.
    """

    perfect = 1.0
    better = "higher"
    limits = (None, 1.0)
    least_members = 2

    family = "economic_value"
    words = "relative economic value"
    statistic_of = staticmethod(probability_table_of)

    def finish(self, mean):
        hit_rate, false_rate = rates(mean)
        return (hit_rate - false_rate).max(axis=-1)
