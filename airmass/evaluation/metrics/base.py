"""What every metric is made of: statistic -> area mean -> score of one initial time -> mean -> metric.

Only the mean over initial times is ever accumulated, as a sum and a count. Such states add, so initial times can be
taken in any order, in any chunks, on any number of workers.

Shapes: fields are "*batch node", those of an ensemble "member *batch node"; area means and scores are "*batch" (a
batch is usually lead time and level), with an axis of parts behind it where a metric is made of several means.
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
    """What is compared: members of a forecast with the truth. A single forecast is an ensemble of one member.

    `climatology` and `thresholds`, the climatological quantiles by their probability, are there where a metric asked
    for needs them. Only nodes where truth is `present` count, all of them if None.
    """

    members: Float[np.ndarray, "member *batch node"]
    truth: Float[np.ndarray, "*batch node"]
    weights: Float[np.ndarray, " node"]
    climatology: Float[np.ndarray, "*batch node"] | None = None
    present: Bool[np.ndarray, "*batch node"] | None = None
    thresholds: Mapping[float, Float[np.ndarray, "*batch node"]] = field(default_factory=dict)

    @cached_property
    def forecast(self) -> Float[np.ndarray, "*batch node"]:
        """The mean of the members, exact where they are equal."""
        first = self.members[0]
        return first if len(self.members) == 1 else first + np.subtract(self.members, first, dtype=np.float64).mean(0)

    @cached_property
    def errors(self) -> Float[np.ndarray, "member *batch node"]:
        """Members - truth: differences between members are theirs too, and lose fewer digits than the values'."""
        return np.subtract(self.members, self.truth, dtype=np.float64)

    def mean(self, values: Float[np.ndarray, "*batch node"]) -> Float[np.ndarray, "*batch"]:
        return area_mean(values, self.weights, self.present)


# The area mean of something computed from the fields.
Statistic = Callable[[Fields], np.ndarray]


class Metric(ABC):
    """One metric of forecasts, whether single or ensembles.

    `statistics` are handed to `score` in the same order. `perfect` is the value of a forecast all of whose members
    equal the truth. Fewer than `least_members` leave it undefined. `quantile` is the probability of the climatological
    quantile that it needs, None for none.
    """

    name: str
    statistics: tuple[Statistic, ...]
    perfect: ClassVar[float]
    needs_climatology: ClassVar[bool] = False
    least_members: ClassVar[int] = 1
    quantile: float | None = None

    @classmethod
    def instances(cls) -> Iterable["Metric"]:
        """The metrics that this class stands for: one, unless it is a family."""
        return (cls(),)

    def score(self, *means: Float[np.ndarray, "*batch"]) -> Float[np.ndarray, "*batch"]:
        """The score of one initial time from the statistics; the first of them by default."""
        return means[0]

    def finish(self, mean: Float[np.ndarray, "*batch"]) -> Float[np.ndarray, "*batch"]:
        """The metric from the mean of scores over initial times; the mean itself by default."""
        return mean


@dataclass(frozen=True)
class State:
    """Scores summed over `count` initial times. The states of two sets of initial times add to that of both."""

    total: Float[np.ndarray, "*batch"]
    count: int

    def __add__(self, other: "State") -> "State":
        return State(self.total + other.total, self.count + other.count)

    @property
    def mean(self) -> Float[np.ndarray, "*batch"]:
        return self.total / self.count


def area_mean(
    field: Float[np.ndarray, "*batch node"],
    weights: Float[np.ndarray, " node"],
    present: Bool[np.ndarray, "*batch node"] | None = None,
) -> Float[np.ndarray, "*batch"]:
    """Weighted mean over nodes in float64, over nodes that are `present` if given; NaN where none is.

    NaN at a present node makes the mean NaN, so that missing values never shrink a comparison unseen.
    """
    weights = np.asarray(weights, np.float64)
    if present is None:
        return np.asarray(field, np.float64) @ (weights / weights.sum())
    area = present.astype(np.float64) @ weights
    with np.errstate(invalid="ignore"):
        return np.where(present, field, 0.0) @ weights / area


def scores_of(metrics: Mapping[str, Metric], fields: Fields) -> dict[str, Float[np.ndarray, "*batch"]]:
    """Scores before any mean over initial times, by metric. A statistic that metrics share is computed once."""
    shared: Iterable[Statistic] = dict.fromkeys(s for metric in metrics.values() for s in metric.statistics)
    means = {statistic: statistic(fields) for statistic in shared}
    return {name: metric.score(*[means[s] for s in metric.statistics]) for name, metric in metrics.items()}


def state_of(metric: Metric, fields: Fields) -> State:
    """The state over initial times, the first axis of the batch; `metric.finish(state.mean)` is the value."""
    scores = scores_of({metric.name: metric}, fields)[metric.name]
    return State(scores.sum(axis=0), len(scores))
