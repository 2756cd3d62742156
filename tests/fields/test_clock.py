"""Times as people type them mean what they say, in UTC, or are refused."""

import numpy as np
import pytest

from airmass.core.errors import InputError
from airmass.data.formats.forecast_reader import read_hours
from airmass.fields.clock import parse_dates, parse_time


@pytest.mark.parametrize(
    "text",
    [
        "2020-01-05T06",
        "2020-01-05T06:00",
        "2020-01-05 06:00:00",
        "2020-01-05T06:00:00.000000000",
        "2020-01-05T06Z",
        "20200105T06",
        "20200105T0600",
        "20200105t060000z",
        "2020010506",
        " 2020-01-05T06 ",
        "2020-01-05T08:00+02:00",
        "20200105T0800+02",
        "2020-01-05T08:00+0200",
        "2020-01-04T23:30-06:30",
        "20200104T2330-0630",
    ],
)
def test_one_moment_in_many_ways(text):
    found = parse_time(text)
    assert found == np.datetime64("2020-01-05T06", "ns") and found.dtype == "datetime64[ns]"


@pytest.mark.parametrize("text", ["2020-01-05", "20200105", "20200105T00"])
def test_a_date_is_its_beginning_and_no_year(text):
    assert parse_time(text) == np.datetime64("2020-01-05")


@pytest.mark.parametrize(
    "text",
    [
        *("", "now", "2020", "2020-01", "20-01-05", "200105", "5.1.2020", "05/01/2020", "2020-1-5", "2020-0105"),
        *("2020-02-30", "2020-13-01", "2020-01-05T24", "2020-01-05T06:60", "2020-01-05T06:00+25:00", "2020-W01-1"),
        *("202001", "2020010506Z5", "9999-01-01", "0001-01-01T00+10", "1500-01-01", "2020-01-05T6", "２０２０-01-05"),
        *("2020-01-05T06:00:00.5", "NaT", "20200105+02", "2020-01-05\x00", "2020-01-05T06:00 UTC", "1e4"),
    ],
)
def test_what_is_no_date_is_refused_by_name(text):
    with pytest.raises(InputError) as caught:
        parse_time(text)
    assert str(caught.value).startswith(f"time {text!r}: ")


@pytest.mark.parametrize(
    ("dates", "first", "end"),
    [
        (("2000-11-01", "2000-11-30"), "2000-11-01", "2000-12-01"),
        (("20001101", "20001130"), "2000-11-01", "2000-12-01"),
        (("2000-11", "2000-11"), "2000-11-01", "2000-12-01"),
        (("1979", "2015"), "1979-01-01", "2016-01-01"),
        (("2000-11-01T06", "2000-11-01T12"), "2000-11-01T06", "2000-11-01T12:00:00.000000001"),
        (("2000-11-01T06", "2000-11-01"), "2000-11-01T06", "2000-11-02"),
    ],
)
def test_periods_end_with_what_is_named(dates, first, end):
    assert parse_dates(dates) == (np.datetime64(first, "ns"), np.datetime64(end, "ns"))


def test_a_period_backwards_is_refused():
    with pytest.raises(InputError, match="dates '2000-11-02' to '2000-11-01': the last is before the first"):
        parse_dates(("2000-11-02", "2000-11-01"))


@pytest.mark.parametrize(("text", "hours"), [("10d", 240), ("72h", 72), ("5d12h", 132), ("5D 12 H", 132), ("0h", 0)])
def test_durations(text, hours):
    assert read_hours(text) == hours


@pytest.mark.parametrize("text", ["", "10", "9e20d", "99999999999d", "-1d", "3661d", "1.5d", "nanh", "1h1d", "１d"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(InputError, match="lead time"):
        read_hours(text)
