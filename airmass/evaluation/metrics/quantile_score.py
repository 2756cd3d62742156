"""Quantile score."""

from functools import cache

import numpy as np

from airmass.evaluation.metrics.base import Fields, Metric, Statistic

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)


@cache
def _quantile_score_of(level: float) -> Statistic:
    def quantile_score(fields: Fields):
        off = fields.truth - np.quantile(fields.members, level, axis=0)
        return fields.mean(np.where(off > 0, level * off, (level - 1) * off))

    return quantile_score


class QuantileScore(Metric):
    """Mean over initial times and area of the quantile (pinball) loss of a quantile of the members; 0 is best.

    For a quantile q at level a and truth y: a (y - q) above it, (1 - a) (q - y) below it, in the variable's units. The
    members' quantiles are interpolated linearly (type 7).

    Source: Koenker and Bassett 1978, doi:10.2307/1913643; Gneiting 2011, doi:10.1198/jasa.2011.r10138.
    """

    perfect = 0.0
    in_units = True
    least_members = 2
    usual = False

    def __init__(self, level: float):
        self.name, self.title = f"quantile_score_{level:g}", f"quantile score at {level:g}"
        self.statistics = (_quantile_score_of(level),)

    @classmethod
    def instances(cls):
        return [cls(level) for level in LEVELS]
