"""Verification of tracks of one system against best tracks, and its file `track_scores.json`."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from airmass import __version__
from airmass.core.strict_json import read_json
from airmass.evaluation.tracks.comparison import TrackComparison
from airmass.evaluation.tracks.matching import covered
from airmass.evaluation.tracks.strike import Reliability, StrikeGrid, strike_probability, strike_scores
from airmass.evaluation.tracks.verification import (
    TrackScore,
    ensemble_scores,
    error_scores,
    errors,
    hit_scores,
)

TRACK_SCORES = "track_scores.json"

# Ends of the windows of strike probability, hours; the last lead time is one more.
_WINDOWS = (72, 120, 240)


@dataclass(frozen=True)
class TrackVerification:
    """Record of a verification: the inputs, the scores, reliability of strike probability by the end of its window in
    hours, and comparisons with another system.
    """

    airmass_version: str
    tracks: list[str]
    best_tracks: str
    agency: str
    within_km: float
    init_times: list[str]
    members: int
    storms: list[str]
    scores: list[TrackScore]
    reliability: dict[str, Reliability]
    comparisons: list[TrackComparison]

    def value(self, metric: str, hours: float, storm: str = "all") -> float | None:
        found = (s.value for s in self.scores if (s.metric, s.lead_time_hours, s.storm) == (metric, hours, storm))
        return next(found, None)

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_track_scores(folder: str | Path) -> TrackVerification:
    """Read the verification in a folder; raises InputError for a missing or invalid file."""
    return read_json(Path(folder) / TRACK_SCORES, TrackVerification)


@dataclass(frozen=True)
class Runs:
    """Initial times and members that were tracked, also those without a track, and the lead times."""

    init_times: np.ndarray
    numbers: tuple[int, ...]
    lead_times: np.ndarray

    @property
    def pairs(self) -> list[tuple[np.datetime64, int]]:
        return [(init_time, number) for init_time in self.init_times for number in self.numbers]

    @property
    def times(self) -> np.ndarray:
        return np.unique(self.init_times[:, None] + self.lead_times)


def verify(
    tracks: pd.DataFrame,
    runs: Runs,
    best: pd.DataFrame,
    within_km: float,
    where: Sequence[str],
    best_path: str,
    agency: str = "wmo",
    grid: StrikeGrid | None = None,
) -> tuple[TrackVerification, pd.DataFrame]:
    """Scores of the tracks of one system, and its matched rows with errors.

    Raises InputError if best tracks and forecasts have no time in common.
    """
    times = covered(best, runs.times, best_path, where[0])
    found = errors(tracks, best, within_km)
    scores = [*error_scores(found)]
    scores += hit_scores(tracks, found, best, runs.pairs, runs.lead_times, times, within_km)
    reliability: dict[str, Reliability] = {}
    if len(runs.numbers) > 1:
        scores += ensemble_scores(found)
        for hours in _ends(runs.lead_times):
            more, reliability[f"{hours:g}"] = _strike(tracks, runs, best, hours, grid or StrikeGrid())
            scores += more
    made = TrackVerification(
        __version__, list(where), best_path, agency, within_km, [_minute(t) for t in runs.init_times],
        len(runs.numbers), sorted(found.storm.unique()), scores, reliability, [],
    )  # fmt: skip
    return made, found


def _ends(lead_times: np.ndarray) -> list[float]:
    last = float(lead_times.max() / np.timedelta64(1, "h"))
    return [hours for hours in _WINDOWS if hours <= last - 24] + [last]


def _strike(
    tracks: pd.DataFrame, runs: Runs, best: pd.DataFrame, hours: float, grid: StrikeGrid
) -> tuple[list[TrackScore], Reliability]:
    """Scores of strikes from the first lead time until `hours`."""
    end = np.timedelta64(round(hours * 3600), "s")
    within = tracks[tracks.lead_time <= end]
    probabilities = [strike_probability(grid, within[within.init_time == t], runs.numbers) for t in runs.init_times]
    first = runs.lead_times.min()
    seen = [best[(best.time >= t + first) & (best.time <= t + end)] for t in runs.init_times]
    return strike_scores(probabilities, [grid.struck(rows) for rows in seen], grid, hours)


def _minute(time: np.datetime64) -> str:
    return str(np.datetime_as_string(time, "m"))
