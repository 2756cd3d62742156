"""Brier resolution / uncertainty."""

import numpy as np

from airmass.evaluation.metrics.events import EventMetric, probability_table_of, unpacked


class BrierResolution(EventMetric):
    """Resolution term of the Brier score over its uncertainty term; 1 is best, 0 is a forecast that tells nothing.

    sum over classes of forecast probability of area (relative frequency - f)^2, over f (1 - f) with f the frequency of
    the event. Eleven classes.

    Source: Murphy 1973, doi:10.1175/1520-0450(1973)012<0595:ANVPOT>2.0.CO;2, equation 11.
    """

    perfect = 1.0
    better = "higher"
    limits = (None, 1.0)
    least_members = 2

    family = "brier_resolution"
    words = "Brier resolution"
    statistic_of = staticmethod(probability_table_of)

    def finish(self, mean):
        area, probability, occurrence = unpacked(mean)
        frequency = occurrence.sum(axis=-1, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            off = np.where(area > 0, np.square(occurrence - area * frequency) / area, 0.0) + 0 * probability
            return off.sum(axis=-1) / (frequency * (1 - frequency))[..., 0]
