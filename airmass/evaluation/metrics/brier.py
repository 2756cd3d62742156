"""Brier score of extremes."""

from airmass.data.formats.climatology import QUANTILES, tail
from airmass.evaluation.metrics.base import Metric
from airmass.evaluation.metrics.statistics import brier_score_of


class Brier(Metric):
    """Mean over initial times and area of (p - o)^2 for the event beyond a climatological quantile; 0 is best.

    p is the share of members beyond the quantile (0 or 1 for a deterministic forecast); o is 1 if the truth is beyond
    it, else 0. Quantiles below one half are lower tails, others upper tails. There is no correction for the ensemble
    size: with m members the expected score is about p (1 - p) / m too high.

    Source: Brier 1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.
    """

    perfect = 0.0
    mapped = True

    def __init__(self, quantile: float):
        self.quantile = quantile
        self.name = f"brier_{tail(quantile)}"
        self.title = f"Brier score {tail(quantile).replace('_', ' ')}"
        self.statistics = (brier_score_of(quantile),)

    @classmethod
    def instances(cls):
        return [cls(quantile) for quantile in QUANTILES]
