"""Threshold-weighted continuous ranked probability score."""

from dataclasses import replace
from functools import cache

import numpy as np

from airmass.data.formats.climatology import QUANTILES, tail
from airmass.evaluation.metrics.base import Fields, Metric, Statistic
from airmass.evaluation.metrics.crps import fair_crps


@cache
def _tail_crps_of(quantile: float) -> Statistic:
    def tail_crps(fields: Fields):
        threshold, held = fields.thresholds[quantile], np.minimum if quantile < 0.5 else np.maximum
        return fair_crps(replace(fields, members=held(fields.members, threshold), truth=held(fields.truth, threshold)))

    return tail_crps


class TailCRPS(Metric):
    """Fair CRPS that counts only the part of the distribution beyond a climatological quantile, in the variable's
    units; 0 is best.

    The CRPS of max(x, t) and max(y, t), with t the quantile (min for lower tails): the integral of the squared
    difference of the distribution functions over the values beyond t.

    Source: Gneiting and Ranjan 2011, doi:10.1198/jbes.2010.08110; by chaining, Allen et al. 2023,
    doi:10.1137/22M1532184.
    """

    perfect = 0.0
    in_units = True
    usual = False

    def __init__(self, quantile: float):
        self.quantile = quantile
        self.name, self.title = f"tw_crps_{tail(quantile)}", f"CRPS {tail(quantile).replace('_', ' ')}"
        self.statistics = (_tail_crps_of(quantile),)

    @classmethod
    def instances(cls):
        return [cls(quantile) for quantile in QUANTILES]
