"""Sums over a window, such as six hours of precipitation, from whatever sums an archive holds.

Each sum of an archive is over an interval: an hour (ERA5), since the start of the forecast (IFS), or since the last
reset (ERA5's old forecasts, GFS). A window is put together from intervals that follow one another and, where a sum goes
back further, less the sum before: six hours from 12 to 18 are the sum to 18 less the sum to 12. The fewest sums are
taken. Hours without a way to put them together are refused, never guessed.
"""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from airmass.core.errors import InputError

# A sum since the start may fall by rounding of its packing, not by more than this, m.
LARGEST_FALL = 5e-4

_MOST_TERMS = 64


class Interval(NamedTuple):
    """A sum from `start` to `end`, and where it is read."""

    start: np.datetime64
    end: np.datetime64
    piece: int


class Term(NamedTuple):
    """A sum and its sign."""

    interval: Interval
    sign: int


class Intervals:
    """Intervals of an archive's sums, from which windows are put together."""

    def __init__(self, intervals: Iterable[Interval]):
        self._from: dict[np.datetime64, list[Interval]] = {}
        self._to: dict[np.datetime64, list[Interval]] = {}
        for interval in intervals:
            self._from.setdefault(interval.start, []).append(interval)
            self._to.setdefault(interval.end, []).append(interval)

    @property
    def ends(self) -> list[np.datetime64]:
        return sorted(self._to)

    def window(self, end: np.datetime64, hours: int) -> list[Term] | None:
        """The sums, with signs, that make up the window that ends at `end`; None if there is no way."""
        start = end - np.timedelta64(hours, "h")
        earliest = start - np.timedelta64(60, "D")
        ways: dict[np.datetime64, list[Term]] = {start: []}
        queue = deque([start])
        while queue:
            at = queue.popleft()
            if at == end:
                return ways[at]
            if len(ways[at]) >= _MOST_TERMS:
                continue
            steps = [(Term(i, 1), i.end) for i in self._from.get(at, ()) if i.end <= end]
            # Going back only from the window's start: a difference of two sums of one forecast.
            steps += [(Term(i, -1), i.start) for i in self._to.get(at, ()) if at == start and i.start >= earliest]
            for term, then in steps:
                if then not in ways:
                    ways[then] = [*ways[at], term]
                    queue.append(then)
        return None

    def require(self, name: str, end: np.datetime64, hours: int) -> list[Term]:
        """As `window`; raises InputError with the sums that there are to this time."""
        found = self.window(end, hours)
        if found is not None:
            return found
        held = sorted(i.start for i in self._to.get(end, ()))
        there = ", ".join(f"{(end - start) / np.timedelta64(1, 'h'):g} h" for start in held) or "none"
        first = np.datetime_as_string(end, "m")
        raise InputError(
            f"{name}: {hours} h to {first} cannot be put together: sums that end then are over {there}, and those "
            "before do not fit; add the hours that are missing"
        )
