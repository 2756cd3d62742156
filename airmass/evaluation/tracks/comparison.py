"""Paired comparison of two systems' tracks: mean position error on the cases that both have, with its significance."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from airmass.evaluation.significance import corrected_t_interval
from airmass.evaluation.tracks.verification import homogeneous, mean_by_init_time


@dataclass(frozen=True)
class TrackComparison:
    """Position error in km minus that of the other system, with its 95 % interval and p value.

    A case is a storm at a lead time of an initial time that both systems have; members count as their mean. The test is
    of means by initial time, which are correlated (`significance.corrected_t_interval`); interval and p are None for
    fewer than eight initial times.
    """

    against: str
    lead_time_hours: float
    value: float
    reference: float
    difference: float
    low: float | None
    high: float | None
    p: float | None
    init_times: int
    cases: int


def compare_tracks(found: pd.DataFrame, other: pd.DataFrame, against: str) -> Iterator[TrackComparison]:
    """Comparisons by lead time of matched rows with errors (`verification.errors`)."""
    ours, theirs = (_by_case(table) for table in homogeneous([found, other]))
    if ours.empty:
        return
    one, two = (mean_by_init_time(table) for table in (ours, theirs))
    interval = corrected_t_interval((one - two).to_numpy())
    for i, lead in enumerate(one.columns):
        yield TrackComparison(
            against=against,
            lead_time_hours=float(lead / np.timedelta64(1, "h")),
            value=float(one[lead].mean()),
            reference=float(two[lead].mean()),
            difference=float(interval.mean[i]),
            low=_known(interval.low[i]),
            high=_known(interval.high[i]),
            p=_known(interval.p[i]),
            init_times=int(one[lead].notna().sum()),
            cases=int((ours.lead_time == lead).sum()),
        )


def _by_case(table: pd.DataFrame) -> pd.DataFrame:
    return table.groupby(["storm", "init_time", "lead_time"], as_index=False)["distance"].mean()


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
