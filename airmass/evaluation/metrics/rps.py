"""Ranked probability score."""

import numpy as np

from airmass.evaluation.metrics.base import Fields, Metric


def ranked_probability_score(fields: Fields):
    """Mean over the quantiles of the squared difference of cumulative probabilities, then the area mean."""
    squares = [
        np.square(np.mean([_below(member, limit) for member in fields.members], axis=0) - _below(fields.truth, limit))
        for limit in fields.thresholds.values()
    ]
    return fields.mean(np.mean(squares, axis=0))


def _below(values: np.ndarray, limit: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(values), np.nan, values <= limit)


class RPS(Metric):
    """Mean over initial times and area of the ranked probability score between climatological quantiles; 0 is best.

    The categories are those between all quantiles that the climatology has; the score is the mean over their limits of
    (cumulative share of members - cumulative occurrence)^2, from 0 to 1, without a correction for ensemble size.

    Source: Epstein 1969, doi:10.1175/1520-0450(1969)008<0985:ASSFPF>2.0.CO;2; normalised as in Wilks 2019, section
    9.4.9.
    """

    name = "rps"
    title = "ranked probability score"
    statistics = (ranked_probability_score,)
    perfect = 0.0
    needs_quantiles = True
    mapped = True
    usual = False
