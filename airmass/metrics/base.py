"""What every metric is made of: statistic -> area mean -> score of one initial time -> mean -> metric.

Only the mean over initial times is ever accumulated, as a sum and a count. Such states add, so initial times can be
taken in any order, in any chunks, on any number of workers.

Shapes: fields are "*batch node"; area means and scores are "*batch" (a batch is usually lead time and level).
"""

from abc import ABC
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float

# (forecast, truth, climatology) -> a field of the same shape. Climatology is None where no metric asked needs it.
Statistic = Callable[[np.ndarray, np.ndarray, np.ndarray | None], np.ndarray]


class Metric(ABC):
    """One deterministic metric.

    `statistics` are functions of the fields, and their area means are handed to `score` in the same order. `perfect`
    is the value of a forecast equal to the truth.
    """

    name: ClassVar[str]
    statistics: ClassVar[tuple[Statistic, ...]]
    perfect: ClassVar[float]
    needs_climatology: ClassVar[bool] = False

    def score(self, *means: Float[np.ndarray, "*batch"]) -> Float[np.ndarray, "*batch"]:
        """The score of one initial time from the area means of the statistics; the first of them by default."""
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


def scores_of(
    metrics: Mapping[str, Metric],
    forecast: Float[np.ndarray, "*batch node"],
    truth: Float[np.ndarray, "*batch node"],
    weights: Float[np.ndarray, " node"],
    climatology: Float[np.ndarray, "*batch node"] | None = None,
    present: Bool[np.ndarray, "*batch node"] | None = None,
) -> dict[str, Float[np.ndarray, "*batch"]]:
    """Scores before any mean over initial times, by metric. A statistic that metrics share is computed once."""
    shared: Iterable[Statistic] = dict.fromkeys(s for metric in metrics.values() for s in metric.statistics)
    means = {s: area_mean(s(forecast, truth, climatology), weights, present) for s in shared}
    return {name: metric.score(*[means[s] for s in metric.statistics]) for name, metric in metrics.items()}


def state_of(
    metric: Metric,
    forecast: Float[np.ndarray, "init_time *batch node"],
    truth: Float[np.ndarray, "init_time *batch node"],
    weights: Float[np.ndarray, " node"],
    climatology: Float[np.ndarray, "init_time *batch node"] | None = None,
    present: Bool[np.ndarray, "init_time *batch node"] | None = None,
) -> State:
    """The state over a stack of initial times; `metric.finish(state.mean)` is the value."""
    scores = scores_of({metric.name: metric}, forecast, truth, weights, climatology, present)[metric.name]
    return State(scores.sum(axis=0), len(scores))
