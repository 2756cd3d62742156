"""Brier reliability / uncertainty."""

import numpy as np

from airmass.evaluation.metrics.events import EventMetric, probability_table_of, unpacked


class BrierReliability(EventMetric):
    """Reliability term of the Brier score over its uncertainty term; 0 is best.

    sum over classes of forecast probability of area (mean probability - relative frequency)^2, over f (1 - f) with f
    the frequency of the event. Eleven classes; Brier skill against the sample's frequency is resolution - reliability,
    but for the variation inside the classes.

    Source: Murphy 1973, doi:10.1175/1520-0450(1973)012<0595:ANVPOT>2.0.CO;2, equation 11.
    """

    perfect = 0.0
    better = "lower"
    limits = (0.0, None)
    least_members = 2

    family = "brier_reliability"
    words = "Brier reliability"
    statistic_of = staticmethod(probability_table_of)

    def finish(self, mean):
        area, probability, occurrence = unpacked(mean)
        frequency = occurrence.sum(axis=-1)
        with np.errstate(invalid="ignore", divide="ignore"):
            off = np.where(area > 0, np.square(probability - occurrence) / area, 0.0) + 0 * probability
            return off.sum(axis=-1) / (frequency * (1 - frequency))
