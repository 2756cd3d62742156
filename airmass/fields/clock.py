"""Times: parsed from text, and as fractions of the year and of the day as the published models define them."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from jaxtyping import Float

from airmass.core.errors import InputError

# ISO 8601, extended (2020-01-05T06:00) and basic (20200105T0600), and the 2020010506 of weather centres.
_OFFSET = r"(?P<offset>[Zz]|[+-]\d\d(?::?\d\d)?)?"
_FORMS = (
    r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)"
    r"(?:[Tt ](?P<hour>\d\d)(?::(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>0*))?)?)?" + _OFFSET + ")?",
    r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)"
    r"(?:[Tt ](?P<hour>\d\d)(?:(?P<minute>\d\d)(?P<second>\d\d)?)?" + _OFFSET + ")?",
    r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)(?P<hour>\d\d)" + _OFFSET,
)
_FORMS_OF_PERIODS = (*_FORMS, r"(?P<year>\d{4})(?:-(?P<month>\d\d))?")
# Years of dates in files and options: the range of datetime64[ns], with room for the longest forecast.
YEARS = range(1700, 2201)

_DAY = 86400.0
_DAYS_A_YEAR = 365.24219


def parse_time(text: str) -> np.datetime64:
    """A time in UTC, as datetime64[ns], from ISO 8601: a date (00 UTC), or a date and a time to the second.

    Times without an offset are UTC; others are converted. Raises InputError for other text, such as two-digit years.
    """
    return _parsed(text, _FORMS)[0]


def parse_dates(dates: Sequence[str]) -> tuple[np.datetime64, np.datetime64]:
    """Start (included) and end (excluded) of a period, from its first and last date.

    A date may be a year, a month, a day or a time; the last year, month or day is included to its end. Raises
    InputError for text that is not a date and for a period that ends before it begins.
    """
    (first, _), (last, unit) = (_parsed(text, _FORMS_OF_PERIODS) for text in dates)
    end = (last.astype(f"datetime64[{unit}]") + 1).astype("datetime64[ns]")
    if end <= first:
        raise InputError(f"dates {dates[0]!r} to {dates[1]!r}: the last is before the first")
    return first, end


def _parsed(text: str, forms: Sequence[str]) -> tuple[np.datetime64, str]:
    """A time, and its precision as a numpy unit ("Y", "M", "D" or "ns")."""
    expected = "expected one such as 2001-01-05, 2001-01-05T06 or 20010105T0600, UTC unless it ends in an offset"
    match = next((found for form in forms if (found := re.fullmatch(form, text.strip(), re.ASCII))), None)
    if match is None:
        raise InputError(f"time {text!r}: {expected}")
    parts = {name: value for name, value in match.groupdict().items() if value}
    numbers = [int(parts.get(name, least)) for name, least in _LEAST.items()]
    offset = parts.get("offset", "Z").upper().replace("Z", "+00")
    try:
        zone = datetime.strptime(offset if len(offset) > 3 else f"{offset}00", "%z").tzinfo
        moment = datetime(*numbers, tzinfo=zone).astimezone(UTC)  # type: ignore[misc, arg-type]
    except (ValueError, OverflowError) as error:
        raise InputError(f"time {text!r}: {error}; {expected}") from None
    if moment.year not in YEARS:
        raise InputError(f"time {text!r}: expected a year from {YEARS[0]} to {YEARS[-1]}")
    unit = next((unit for unit, name in (("Y", "month"), ("M", "day"), ("D", "hour")) if name not in parts), "ns")
    return np.datetime64(moment.replace(tzinfo=None), "ns"), unit


_LEAST = {"year": 1, "month": 1, "day": 1, "hour": 0, "minute": 0, "second": 0}


def year_progress(times: np.ndarray) -> Float[np.ndarray, " time"]:
    """Fraction of the tropical year since an arbitrary start, in [0, 1). `times` are datetime64."""
    return np.mod(_seconds(times) / _DAY / _DAYS_A_YEAR, 1.0).astype(np.float32)


def day_progress(times: np.ndarray, longitude: Float[np.ndarray, " longitude"]) -> Float[np.ndarray, "time longitude"]:
    """Local solar time as a fraction of the day, in [0, 1); `longitude` in degrees east."""
    greenwich = np.mod(_seconds(times), _DAY) / _DAY
    return np.mod(greenwich[:, None] + longitude[None] / 360, 1.0).astype(np.float32)


def _seconds(times: np.ndarray) -> np.ndarray:
    return np.asarray(times, "datetime64[s]").astype(np.int64).astype(np.float64)
