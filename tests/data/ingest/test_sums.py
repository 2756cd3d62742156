"""Windows put together from sums of known rain: a rate that changes by the hour, in every archive's way."""

import numpy as np
import pytest

from airmass.core.errors import InputError
from airmass.data.ingest.sums import Interval, Intervals

START = np.datetime64("2020-01-01T00", "ns")
HOUR = np.timedelta64(1, "h")
RAIN = np.random.default_rng(0).gamma(0.5, 1.0, 96)


def at(hour: int) -> np.datetime64:
    return START + hour * HOUR


WAYS = {
    "hourly (ERA5)": [(h, h + 1) for h in range(48)],
    "since the start (IFS)": [(0, h) for h in range(1, 49)],
    "since the start, six-hourly": [(0, h) for h in range(6, 49, 6)],
    "six-hour buckets (GFS)": [(h // 6 * 6, h + 3) for h in range(0, 48, 3)],
    "forecasts that start at 06 and 18 (ERA5 MARS)": [(b, b + s) for b in range(-6, 48, 12) for s in range(1, 13)],
    "three-hourly and hourly": [(h, h + 3) for h in range(0, 24, 3)] + [(h, h + 1) for h in range(24, 48)],
}


def total(intervals: Intervals, end: int, hours: int) -> float:
    found = intervals.require("tp", at(end), hours)
    amount = lambda t: int((t - START) / HOUR)  # noqa: E731
    return sum(s * RAIN[amount(i.start) + 12 : amount(i.end) + 12].sum() for i, s in found)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("end", "hours"), [(18, 6), (24, 12), (24, 6), (36, 12), (42, 6)])
def test_windows_are_the_rain_between(way, end, hours):
    intervals = Intervals(Interval(at(a), at(b), 0) for a, b in WAYS[way])
    assert total(intervals, end, hours) == pytest.approx(RAIN[end - hours + 12 : end + 12].sum(), rel=1e-12)


def test_the_fewest_sums_are_taken():
    intervals = Intervals(Interval(at(a), at(b), 0) for a, b in [*WAYS["hourly (ERA5)"], (6, 12)])
    assert len(intervals.require("tp", at(12), 6)) == 1


def test_gaps_are_refused():
    intervals = Intervals(Interval(at(a), at(b), 0) for a, b in WAYS["hourly (ERA5)"] if a != 9)
    with pytest.raises(InputError, match=r"tp: 6 h to 2020-01-01T12:00 cannot be put together: sums .* over 1 h"):
        intervals.require("tp", at(12), 6)


def test_one_hour_a_window_is_not_six():
    """ERA5's hourly sums at every sixth hour, the commonest mistake."""
    intervals = Intervals(Interval(at(h - 1), at(h), 0) for h in range(0, 48, 6))
    with pytest.raises(InputError, match="cannot be put together"):
        intervals.require("tp", at(12), 6)
