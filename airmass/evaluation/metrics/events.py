"""Events that a forecast may get right or wrong: beyond a climatological quantile, or an amount of precipitation."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from airmass.data.formats.climatology import QUANTILES, tail
from airmass.evaluation.metrics.base import Fields, Metric, Statistic

PRECIPITATION = ("total_precipitation_6hr", "total_precipitation_12hr")
# Quantiles beyond which there are enough events for a reliability diagram of some dates.
MODERATE = (0.1, 0.9)
# Families of metrics whose statistic is a probability table.
TABULATED = ("roc_area", "brier_reliability", "brier_resolution", "economic_value")
PROBABILITIES = 11  # classes of forecast probability: 0, 0.1, ... 1, to the nearest


@dataclass(frozen=True)
class Event:
    """Value beyond a climatological quantile (a lower tail below one half) or, of some variables, above an amount."""

    name: str
    quantile: float | None = None
    amount: float | None = None
    variables: tuple[str, ...] | None = None

    def occurs(self, values: np.ndarray, fields: Fields) -> Float[np.ndarray, "*batch node"]:
        """1 where the event occurs, else 0; NaN stays."""
        if self.quantile is None:
            beyond = values > self.amount
        else:
            threshold = fields.thresholds[self.quantile]
            beyond = values < threshold if self.quantile < 0.5 else values > threshold
        return np.where(np.isnan(values), np.nan, beyond)

    def probability(self, fields: Fields) -> Float[np.ndarray, "*batch node"]:
        """Share of members in which the event occurs."""
        return np.mean([self.occurs(member, fields) for member in fields.members], axis=0)

    def forecast(self, fields: Fields) -> Float[np.ndarray, "*batch node"]:
        """1 where at least half of the members have the event."""
        share = self.probability(fields)
        return np.where(np.isnan(share), np.nan, share >= 0.5)


EVENTS = (
    *(Event(tail(quantile), quantile) for quantile in QUANTILES),
    *(Event(f"above_{mm}mm", None, mm * 1e-3, PRECIPITATION) for mm in (1, 5, 10, 20)),
)


class EventMetric(Metric):
    """Base of metrics of one event each: `family` begins their names, `words` their titles, and `statistic_of` makes
    the statistic of an event."""

    family: ClassVar[str]
    words: ClassVar[str]
    statistic_of: ClassVar[Callable[[Event], Statistic]]
    usual = False

    def __init__(self, event: Event):
        self.quantile, self.variables = event.quantile, event.variables  # type: ignore[misc]
        self.name, self.title = f"{self.family}_{event.name}", f"{self.words} {event.name.replace('_', ' ')}"
        self.statistics = (type(self).statistic_of(event),)
        self.usual = self.family in TABULATED and event.quantile in MODERATE  # type: ignore[misc]

    @classmethod
    def instances(cls):
        return [cls(event) for event in EVENTS] if cls is not EventMetric else []


@cache
def contingency_of(event: Event) -> Callable[[Fields], np.ndarray]:
    """Statistic with the areas of hits, false alarms, misses and correct rejections on a last axis."""

    def contingency(fields: Fields):
        forecast, truth = event.forecast(fields), event.occurs(fields.truth, fields)
        pairs = (forecast, truth), (forecast, 1 - truth), (1 - forecast, truth), (1 - forecast, 1 - truth)
        return np.stack([fields.mean(one * other) for one, other in pairs], axis=-1)

    return contingency


@cache
def probability_table_of(event: Event) -> Callable[[Fields], np.ndarray]:
    """Statistic with the area, the mean probability and the mean occurrence (both times area) of each class of forecast
    probability, on a last axis of 3 * PROBABILITIES."""

    def probability_table(fields: Fields):
        share, truth = event.probability(fields), event.occurs(fields.truth, fields)
        return fields.by_bin(lambda weights: _tabulated(share, truth, weights, fields.present))

    return probability_table


def _tabulated(
    share: np.ndarray, truth: np.ndarray, weights: np.ndarray, present: np.ndarray | None
) -> Float[np.ndarray, "*batch part"]:
    """Probability table of one bin; NaN without any area, and where a value that counts is missing."""
    weights = np.broadcast_to(weights, share.shape)
    if present is not None:
        weights = weights * present
    missing = np.isnan(share) | np.isnan(truth)
    lost = (missing & (weights > 0)).any(axis=-1)
    weights, share, truth = (np.where(missing, 0.0, values) for values in (weights, share, truth))
    rows = np.arange(share.size // share.shape[-1]).repeat(share.shape[-1])
    place = rows * PROBABILITIES + np.rint(share * (PROBABILITIES - 1)).astype(np.int64).ravel()
    length = (rows[-1] + 1) * PROBABILITIES
    sums = [
        np.bincount(place, values.ravel(), minlength=length).reshape(*share.shape[:-1], PROBABILITIES)
        for values in (weights, weights * share, weights * truth)
    ]
    area = weights.sum(axis=-1)[..., None]
    with np.errstate(invalid="ignore"):
        return np.where(lost[..., None], np.nan, np.concatenate(sums, axis=-1) / area)


def unpacked(table: Float[np.ndarray, "*batch part"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Area, area times probability, and area times occurrence by class of a probability table."""
    return tuple(np.moveaxis(table.reshape(*table.shape[:-1], 3, PROBABILITIES), -2, 0))  # type: ignore[return-value]


def rates(table: Float[np.ndarray, "*batch part"]) -> tuple[np.ndarray, np.ndarray]:
    """Hit rate and false alarm rate where the event is forecast from a class upwards: none, the last, ... all."""
    area, probability, occurrence = unpacked(table)
    with np.errstate(invalid="ignore", divide="ignore"):
        hits, false_alarms = (_cumulated(part) + 0 * probability[..., :1] for part in (occurrence, area - occurrence))
        return hits, false_alarms


def _cumulated(part: np.ndarray) -> np.ndarray:
    total = np.cumsum(part[..., ::-1], axis=-1) / part.sum(axis=-1, keepdims=True)
    return np.concatenate([np.zeros_like(total[..., :1]), total], axis=-1)


def economic_value(
    table: Float[np.ndarray, " part"], ratios: Float[np.ndarray, " ratio"]
) -> Float[np.ndarray, " ratio"]:
    """Relative economic value at each cost/loss ratio, with the best threshold. Source: Richardson 2000, equation 8."""
    hit_rate, false_rate = rates(table)
    frequency = unpacked(table)[2].sum()
    alpha = np.asarray(ratios)[:, None]
    expense = false_rate * (1 - frequency) * alpha - hit_rate * frequency * (1 - alpha) + frequency
    best, climate = frequency * alpha, np.minimum(alpha, frequency)
    return ((climate - expense) / (climate - best)).max(axis=-1)
