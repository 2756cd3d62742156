"""Linking of points of successive frames into tracks, each point once, by the least total departure from steady motion.

A track is expected to go on along its great circle; with one point, to stay (Hodges 1994, 10.1175/1520-0493(1994)122
<2573:AGMFTA>2.0.CO;2, constrains changes of motion in the same way). All tracks and points of a frame are paired at
once, by the Hungarian algorithm.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from airmass.evaluation.tracks.base import Point
from airmass.evaluation.tracks.sphere import distance, extrapolated

# Part of the last motion that is expected to go on.
PERSISTENCE = 0.9


@dataclass(frozen=True)
class Reach:
    """Limits of a link: departure from the expected place in m s-1 and in km, and the longest gap in hours."""

    speed: float
    slack_km: float
    gap_hours: float

    def km(self, hours: float) -> float:
        return self.speed * 3.6 * hours + self.slack_km


@dataclass
class Chain:
    """A track that grows; the first `observed` points come before the run and are not of the track."""

    name: str
    points: list[Point]
    observed: int = 0

    def expected(self, time: np.datetime64) -> tuple[float, float]:
        last = self.points[-1]
        if len(self.points) < 2:
            return last.lat, last.lon
        before = self.points[-2]
        share = PERSISTENCE * hours_between(last.time, time) / hours_between(before.time, last.time)
        lat, lon = extrapolated(before.lat, before.lon, last.lat, last.lon, share)
        return float(lat), float(lon)


class Stitcher:
    """Chains of points, from one frame to the next."""

    def __init__(self, reach: Reach, observed: Mapping[str, tuple[Point, ...]]):
        self._reach, self._ended = reach, list[Chain]()
        self._live = [Chain(name, list(points), len(points)) for name, points in observed.items()]
        self._last = max((chain.points[-1].time for chain in self._live), default=None)

    @property
    def chains(self) -> list[Chain]:
        return [*self._ended, *self._live]

    def add(self, time: np.datetime64, points: Sequence[Point]) -> None:
        """Link the points of one frame to the chains, and begin a chain with each of the others."""
        # A link from the frame before is never a gap, however long the step.
        longest = max(self._reach.gap_hours, 0 if self._last is None else hours_between(self._last, time))
        late = [hours_between(chain.points[-1].time, time) > longest for chain in self._live]
        self._ended += [chain for chain, over in zip(self._live, late, strict=True) if over]
        self._live = [chain for chain, over in zip(self._live, late, strict=True) if not over]
        linked = self._links(self._live, points, time)
        for i, j in linked:
            self._live[i].points.append(points[j])
        for j in sorted(set(range(len(points))) - {j for _, j in linked}):
            self._live.append(Chain("", [points[j]]))
        self._last = time

    def _km(self, chain: Chain, time: np.datetime64) -> float:
        """Reach of a chain. The first link of an observed storm may be half as far off: its motion is known, and any
        low would do.
        """
        share = 0.5 if len(chain.points) == chain.observed else 1.0
        return self._reach.km(share * hours_between(chain.points[-1].time, time))

    def _links(self, live: Sequence[Chain], points: Sequence[Point], time: np.datetime64) -> list[tuple[int, int]]:
        if not live or not points:
            return []
        guesses = np.array([chain.expected(time) for chain in live])
        lat, lon = np.array([[p.lat, p.lon] for p in points]).T
        away = distance(guesses[:, :1], guesses[:, 1:], lat, lon)
        reach = np.array([[self._km(chain, time)] for chain in live])
        # A pair out of reach costs more than any set of pairs within reach.
        cost = np.where(away <= reach, away, 1e7)
        rows, columns = linear_sum_assignment(cost)
        return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if cost[i, j] < 1e7]


def hours_between(start: np.datetime64, end: np.datetime64) -> float:
    return float((end - start) / np.timedelta64(1, "s")) / 3600
