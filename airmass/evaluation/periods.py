"""Periods by which scores are grouped: seasons, months and hours of the valid time."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from jaxtyping import Bool

Grouping = Literal["season", "month", "hour"]

_SEASONS = {"DJF": (12, 1, 2), "MAM": (3, 4, 5), "JJA": (6, 7, 8), "SON": (9, 10, 11)}
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December")  # fmt: skip


def periods(by: Grouping, valid_times: np.ndarray) -> Mapping[str, Bool[np.ndarray, "init_time lead_time"]]:
    """Mask of the valid times (init_time, lead_time) of each season, month, or hour of the day in UTC.

    Periods without any valid time are left out.
    """
    month = valid_times.astype("datetime64[M]").astype(np.int64) % 12 + 1
    if by == "season":
        found = {name: np.isin(month, months) for name, months in _SEASONS.items()}
    elif by == "month":
        found = {name: month == i + 1 for i, name in enumerate(_MONTHS)}
    else:
        hour = (valid_times - valid_times.astype("datetime64[D]")).astype("timedelta64[h]").astype(np.int64)
        found = {f"{h:02} UTC": hour == h for h in range(24)}
    return {name: mask for name, mask in found.items() if mask.any()}
