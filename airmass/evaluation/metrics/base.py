"""Base of all metrics: statistic -> area mean -> score of one initial time -> mean over initial times -> metric.

Only the mean over initial times is accumulated, as a sum and a count. These can be added, so initial times can be
processed in any order, in any chunks, on any number of workers.

Shapes: fields are "*batch node", of an ensemble "member *batch node"; area means and scores are "*batch" (usually lead
time and level), with a last axis of parts if a metric needs several means.
"""

from abc import ABC
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float


@dataclass(frozen=True)
class Fields:
    """Fields to score: members of a forecast and the truth. A deterministic forecast is an ensemble of one member.

    `climatology` and `thresholds` (climatological quantiles by their probability) are given if a requested metric needs
    them. Only nodes where truth is `present` count; all of them if None.
    """

    members: Float[np.ndarray, "member *batch node"]
    truth: Float[np.ndarray, "*batch node"]
    weights: Float[np.ndarray, " node"]
    climatology: Float[np.ndarray, "*batch node"] | None = None
    present: Bool[np.ndarray, "*batch node"] | None = None
    thresholds: Mapping[float, Float[np.ndarray, "*batch node"]] = field(default_factory=dict)

    @cached_property
    def forecast(self) -> Float[np.ndarray, "*batch node"]:
        """Ensemble mean, exact where all members are equal."""
        first = self.members[0]
        return first if len(self.members) == 1 else first + np.subtract(self.members, first, dtype=np.float64).mean(0)

    @cached_property
    def errors(self) -> Float[np.ndarray, "member *batch node"]:
        """Members minus truth. Differences between members are the same as between errors, with less rounding."""
        return np.subtract(self.members, self.truth, dtype=np.float64)

    def mean(self, values: Float[np.ndarray, "*batch node"]) -> Float[np.ndarray, "*batch"]:
        return area_mean(values, self.weights, self.present)


# Function from fields to the area mean of a quantity.
Statistic = Callable[[Fields], np.ndarray]


class Metric(ABC):
    """Metric of deterministic or ensemble forecasts.

    `score` gets the area means of `statistics` in the same order. `perfect` is the value of a forecast whose members
    all equal the truth. With fewer than `least_members` the metric is undefined. `quantile` is the probability of the
    climatological quantile that the metric needs, None if it needs none.
    """

    name: str
    statistics: tuple[Statistic, ...]
    perfect: ClassVar[float]
    needs_climatology: ClassVar[bool] = False
    least_members: ClassVar[int] = 1
    quantile: float | None = None

    @classmethod
    def instances(cls) -> Iterable["Metric"]:
        """Metrics that this class defines: one by default, several for one per quantile."""
        return (cls(),)

    def score(self, *means: Float[np.ndarray, "*batch"]) -> Float[np.ndarray, "*batch"]:
        """Score of one initial time from the area means of the statistics; the first of them by default."""
        return means[0]

    def finish(self, mean: Float[np.ndarray, "*batch"]) -> Float[np.ndarray, "*batch"]:
        """Metric from the mean of the scores over initial times; the mean itself by default."""
        return mean


@dataclass(frozen=True)
class ScoreSum:
    """Sum of scores over `count` initial times. Add the states of two sets of initial times to get that of both."""

    total: Float[np.ndarray, "*batch"]
    count: int

    def __add__(self, other: "ScoreSum") -> "ScoreSum":
        return ScoreSum(self.total + other.total, self.count + other.count)

    @property
    def mean(self) -> Float[np.ndarray, "*batch"]:
        return self.total / self.count


def area_mean(
    field: Float[np.ndarray, "*batch node"],
    weights: Float[np.ndarray, " node"],
    present: Bool[np.ndarray, "*batch node"] | None = None,
) -> Float[np.ndarray, "*batch"]:
    """Weighted mean over nodes in float64, only over `present` nodes if given; NaN if there are none.

    A NaN at a present node makes the mean NaN, so that missing values cannot go unnoticed.
    """
    weights = np.asarray(weights, np.float64)
    if present is None:
        return np.asarray(field, np.float64) @ (weights / weights.sum())
    area = present.astype(np.float64) @ weights
    with np.errstate(invalid="ignore"):
        return np.where(present, field, 0.0) @ weights / area


def scores_of(metrics: Mapping[str, Metric], fields: Fields) -> dict[str, Float[np.ndarray, "*batch"]]:
    """Scores of each initial time, by metric. A statistic that several metrics share is computed once."""
    shared: Iterable[Statistic] = dict.fromkeys(s for metric in metrics.values() for s in metric.statistics)
    means = {statistic: statistic(fields) for statistic in shared}
    return {name: metric.score(*[means[s] for s in metric.statistics]) for name, metric in metrics.items()}


def score_sum(metric: Metric, fields: Fields) -> ScoreSum:
    """Sum of scores over initial times, the first batch axis; the metric is `metric.finish(score_sum(...).mean)`."""
    scores = scores_of({metric.name: metric}, fields)[metric.name]
    return ScoreSum(scores.sum(axis=0), len(scores))
