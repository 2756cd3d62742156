"""Base of all metrics: statistic -> area mean -> score of one initial time -> mean over initial times -> metric.

Only the mean over initial times is accumulated, as a sum and a count. These can be added, so initial times can be
processed in any order, in any chunks, on any number of workers.

Shapes: fields are "*batch node", of an ensemble "member *batch node"; area means and scores are "*batch" (usually lead
time and level), then an axis of bins (regions of the globe) if weights have one, then an axis of parts if a metric
needs several means.
"""

from abc import ABC
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Bool, Float

from airmass.fields.grid import LatLonGrid

if TYPE_CHECKING:
    from airmass.evaluation.metrics.seeps import Wetness


@dataclass(frozen=True)
class Fields:
    """Fields to score: members of a forecast and the truth. A deterministic forecast is an ensemble of one member.

    `climatology` and `thresholds` (climatological quantiles by their probability) are given if a requested metric needs
    them. Only nodes where truth is `present` count; all of them if None. With weights (bin, node), such as those of
    regions, every mean has an axis of bins after the batch. `grid` is needed by metrics of neighbourhoods, `wetness` by
    those of precipitation's categories.
    """

    members: Float[np.ndarray, "member *batch node"]
    truth: Float[np.ndarray, "*batch node"]
    weights: Float[np.ndarray, "*bin node"]
    climatology: Float[np.ndarray, "*batch node"] | None = None
    present: Bool[np.ndarray, "*batch node"] | None = None
    thresholds: Mapping[float, Float[np.ndarray, "*batch node"]] = field(default_factory=dict)
    grid: LatLonGrid | None = None
    wetness: "Wetness | None" = None

    @cached_property
    def forecast(self) -> Float[np.ndarray, "*batch node"]:
        """Ensemble mean, exact where all members are equal."""
        first = self.members[0]
        return first if len(self.members) == 1 else first + np.subtract(self.members, first, dtype=np.float64).mean(0)

    @cached_property
    def errors(self) -> Float[np.ndarray, "member *batch node"]:
        """Members minus truth. Differences between members are the same as between errors, with less rounding."""
        return np.subtract(self.members, self.truth, dtype=np.float64)

    @cached_property
    def error(self) -> Float[np.ndarray, "*batch node"]:
        """Ensemble mean minus truth."""
        return self.forecast - self.truth

    @cached_property
    def variance(self) -> Float[np.ndarray, "..."]:
        """Area mean of the unbiased variance of the members: the sum of squared deviations over (m - 1)."""
        return self.mean(self.errors.var(axis=0, ddof=1))

    @cached_property
    def shares(self) -> Float[np.ndarray, " node *bin"]:
        return shares(np.asarray(self.weights, np.float64))

    def mean(self, values: Float[np.ndarray, "*batch node"]) -> Float[np.ndarray, "..."]:
        """Area means (*batch, *bin)."""
        if self.present is None:
            return np.asarray(values, np.float64) @ self.shares
        return area_mean(values, self.weights, self.present)

    def by_bin(self, statistic: Callable[[np.ndarray], np.ndarray]) -> Float[np.ndarray, "..."]:
        """Values (*batch, *bin, ...) of `statistic(weights)`, which gives (*batch, ...), for statistics that are no
        area means."""
        if self.weights.ndim == 1:
            return statistic(self.weights)
        return np.stack([statistic(weights) for weights in self.weights], axis=self.truth.ndim - 1)


class NodeFields(Fields):
    """Fields whose "area means" are the values at every node, so that the same metrics give maps of scores."""

    def mean(self, values: Float[np.ndarray, "*batch node"]) -> Float[np.ndarray, "*batch node"]:
        values = np.asarray(values, np.float64)
        return values if self.present is None else np.where(self.present, values, np.nan)


# Function from fields to the area mean of a quantity.
Statistic = Callable[[Fields], np.ndarray]


class Metric(ABC):
    """Metric of deterministic or ensemble forecasts.

    `score` gets the area means of `statistics` in the same order. `perfect` is the value of a forecast whose members
    all equal the truth. With fewer than `least_members` the metric is undefined. `quantile` is the probability of the
    climatological quantile that the metric needs, None if it needs none; with `needs_quantiles` it uses all that there
    are. A metric of certain `variables` only names
    them.

    All that is drawn and printed of a metric follows from `title`, `in_units` (the units of its variable, to the
    `units_power`, else none),
    `better` ("lower", "higher", "" for neither: a bias or a ratio), `headline` (place among the tables and curves that
    are shown first, None for those in the full list only; with `ensemble` only if there is an ensemble), `limits` and
    `guide` (ends of its axis, and a line across it). Maps are made of metrics with `mapped`. Metrics that are not
    `usual` are computed on request only.
    """

    name: str
    statistics: tuple[Statistic, ...]
    perfect: ClassVar[float]
    needs_climatology: ClassVar[bool] = False
    least_members: ClassVar[int] = 1
    needs_grid: ClassVar[bool] = False
    variables: ClassVar[tuple[str, ...] | None] = None
    quantile: float | None = None
    needs_quantiles: ClassVar[bool] = False
    needs_wetness: ClassVar[bool] = False

    title: str
    in_units: ClassVar[bool] = False
    units_power: ClassVar[int] = 1
    better: ClassVar[str] = "lower"
    headline: ClassVar[int | None] = None
    ensemble: ClassVar[bool] = False
    limits: ClassVar[tuple[float | None, float | None]] = (0.0, None)
    guide: ClassVar[float | None] = None
    mapped: ClassVar[bool] = False
    usual: ClassVar[bool] = True

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


def shares(weights: Float[np.ndarray, "*bin node"]) -> Float[np.ndarray, " node *bin"]:
    """Weights that add up to 1 over nodes."""
    return (weights / weights.sum(axis=-1, keepdims=True)).T


def area_mean(
    field: Float[np.ndarray, "*batch node"],
    weights: Float[np.ndarray, "*bin node"],
    present: Bool[np.ndarray, "*batch node"] | None = None,
) -> Float[np.ndarray, "..."]:
    """Weighted means (*batch, *bin) over nodes in float64, only over `present` nodes if given; NaN if there are none.

    A NaN at a present node makes the mean of every bin NaN, so that missing values cannot go unnoticed.
    """
    weights = np.asarray(weights, np.float64)
    if present is None:
        return np.asarray(field, np.float64) @ shares(weights)
    area = present.astype(np.float64) @ weights.T
    with np.errstate(invalid="ignore"):
        return np.where(present, field, 0.0) @ weights.T / area


def scores_of(metrics: Mapping[str, Metric], fields: Fields) -> dict[str, Float[np.ndarray, "*batch"]]:
    """Scores of each initial time, by metric. A statistic that several metrics share is computed once."""
    shared: Iterable[Statistic] = dict.fromkeys(s for metric in metrics.values() for s in metric.statistics)
    means = {statistic: statistic(fields) for statistic in shared}
    return {name: metric.score(*[means[s] for s in metric.statistics]) for name, metric in metrics.items()}


def score_sum(metric: Metric, fields: Fields) -> ScoreSum:
    """Sum of scores over initial times, the first batch axis; the metric is `metric.finish(score_sum(...).mean)`."""
    scores = scores_of({metric.name: metric}, fields)[metric.name]
    return ScoreSum(scores.sum(axis=0), len(scores))
