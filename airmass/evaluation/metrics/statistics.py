"""Statistics that several metrics share: area means of functions of the fields. `forecast` is the ensemble mean."""

from functools import cache

import numpy as np

from airmass.evaluation.metrics.base import Fields, Statistic


def error(fields: Fields):
    return fields.mean(fields.error)


def squared_error(fields: Fields):
    return fields.mean(np.square(fields.error))


def variance(fields: Fields):
    return fields.variance


def enlarged_variance(fields: Fields):
    """(m + 1) / m times the unbiased variance: the expected squared error of the ensemble mean if truth is
    statistically like a member.
    """
    return (1 + 1 / len(fields.members)) * variance(fields)


def anomaly_product(fields: Fields):
    return fields.mean((fields.forecast - fields.climatology) * (fields.truth - fields.climatology))


def squared_forecast_anomaly(fields: Fields):
    return fields.mean(np.square(fields.forecast - fields.climatology))


def squared_truth_anomaly(fields: Fields):
    return fields.mean(np.square(fields.truth - fields.climatology))


@cache
def brier_score_of(quantile: float) -> Statistic:
    """Statistic (p - o)^2: p is the share of members beyond the climatological quantile, o is 1 if truth is, else 0."""

    def brier_score(fields: Fields):
        threshold = fields.thresholds[quantile]
        share = np.mean([_beyond(member, threshold, quantile) for member in fields.members], axis=0)
        return fields.mean(np.square(share - _beyond(fields.truth, threshold, quantile)))

    return brier_score


@cache
def climatological_brier_score_of(quantile: float) -> Statistic:
    """Statistic (p - o)^2 of a forecast that always gives the climatological probability p of the event."""
    probability = min(quantile, 1 - quantile)

    def climatological_brier_score(fields: Fields):
        event = _beyond(fields.truth, fields.thresholds[quantile], quantile)
        return fields.mean(np.square(probability - event))

    return climatological_brier_score


def _beyond(values: np.ndarray, threshold: np.ndarray, quantile: float) -> np.ndarray:
    """1 where a value is below a quantile of less than one half, or above another; NaN stays."""
    beyond = values < threshold if quantile < 0.5 else values > threshold
    return np.where(np.isnan(values), np.nan, beyond)
