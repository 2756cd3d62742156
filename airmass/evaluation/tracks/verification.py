"""Errors of tracks against best tracks, by lead time: position, intensity, hits and false alarms, ensembles.

Every score is given with the number of cases that it averages; a case is a storm at a lead time of an initial time.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from airmass.evaluation.tracks.matching import match
from airmass.evaluation.tracks.sphere import bearing, distance, position, vectors

ALL_STORMS = "all"


@dataclass(frozen=True)
class TrackScore:
    """One score of one storm, or of all, at one lead time; `units` as shown, "1" for a share."""

    storm: str
    lead_time_hours: float
    metric: str
    value: float
    cases: int
    units: str


def errors(tracks: pd.DataFrame, best: pd.DataFrame, within_km: float) -> pd.DataFrame:
    """Matched rows with their errors: `distance`, `along` and `cross` in km, `wind_error` in m s-1, `slp_error` in Pa.

    Along is positive ahead of the observed storm on its course, cross to the right of it: their squares add up to the
    distance's (the displacement is taken as flat, as is usual). Errors are forecast minus observed.
    """
    found = match(tracks, best, within_km)
    towards = bearing(*(found[name].to_numpy() for name in ("best_lat", "best_lon", "lat", "lon")))
    turn = np.deg2rad(towards - found.direction.to_numpy())
    away = found.distance.to_numpy()
    return found.assign(
        along=away * np.cos(turn),
        cross=away * np.sin(turn),
        wind_error=found.wind - found.best_wind,
        slp_error=found.slp - found.best_slp,
    )


def homogeneous(tables: Sequence[pd.DataFrame]) -> list[pd.DataFrame]:
    """The rows of cases (storm, initial time, lead time) that all tables have, so that each is judged on the same."""
    keys = ["storm", "init_time", "lead_time"]
    common = tables[0][keys].drop_duplicates()
    for table in tables[1:]:
        common = common.merge(table[keys].drop_duplicates(), on=keys)
    return [table.merge(common, on=keys, how="inner") for table in tables]


# Metric -> (column, reduction, units).
_MEANS: Mapping[str, tuple[str, Callable, str]] = {
    "position_error": ("distance", np.mean, "km"),
    "along_track": ("along", np.mean, "km"),
    "cross_track": ("cross", np.mean, "km"),
    "along_track_error": ("along", lambda x: np.mean(np.abs(x)), "km"),
    "cross_track_error": ("cross", lambda x: np.mean(np.abs(x)), "km"),
    "wind_bias": ("wind_error", np.mean, "m s-1"),
    "wind_error": ("wind_error", lambda x: np.mean(np.abs(x)), "m s-1"),
    "pressure_bias": ("slp_error", np.mean, "Pa"),
    "pressure_error": ("slp_error", lambda x: np.mean(np.abs(x)), "Pa"),
}


def error_scores(found: pd.DataFrame) -> Iterator[TrackScore]:
    """Mean errors by storm and lead time, and of all storms."""
    for storm, hours, rows in _by_storm_and_lead(found):
        for metric, (column, reduce, units) in _MEANS.items():
            values = rows[column].to_numpy(float)
            values = values[np.isfinite(values)]
            if values.size:
                yield TrackScore(storm, hours, metric, float(reduce(values)), len(values), units)


def _by_storm_and_lead(found: pd.DataFrame) -> Iterator[tuple[str, float, pd.DataFrame]]:
    for storm in (ALL_STORMS, *sorted(found.storm.unique())):
        rows = found if storm == ALL_STORMS else found[found.storm == storm]
        for lead, some in rows.groupby("lead_time"):
            yield storm, lead / np.timedelta64(1, "h"), some


def hit_scores(
    tracks: pd.DataFrame,
    found: pd.DataFrame,
    best: pd.DataFrame,
    runs: Sequence[tuple[np.datetime64, int]],
    lead_times: np.ndarray,
    times: np.ndarray,
    within_km: float,
) -> Iterator[TrackScore]:
    """Hit rate and false alarm ratio by lead time, over `runs` of all initial times and members.

    A hit is an observed storm whose matched track is within `within_km` at that time. A false alarm is a point of a
    track without a storm as near. Only at valid `times` at which best tracks could hold a storm.
    """
    near = found[found.distance <= within_km]
    init_times = np.array([init_time for init_time, _ in runs], "datetime64[ns]")
    at_times = best[np.isin(best.time.to_numpy(), times)].groupby("time").size()
    for lead in lead_times:
        hours = float(lead / np.timedelta64(1, "h"))
        observed = int(at_times.reindex(init_times + lead, fill_value=0).sum())
        hits = int((near.lead_time == lead).sum())
        points = tracks[(tracks.lead_time == lead) & np.isin(tracks.time.to_numpy(), times)]
        if observed:
            yield TrackScore(ALL_STORMS, hours, "hit_rate", hits / observed, observed, "1")
        if len(points):
            yield TrackScore(ALL_STORMS, hours, "false_alarm_ratio", 1 - hits / len(points), len(points), "1")


def ensemble_scores(found: pd.DataFrame) -> Iterator[TrackScore]:
    """Scores of the positions of ensembles, of cases that two members or more have.

    `mean_error` is the root mean square error of the members' mean position, `spread` their root mean square distance
    from it; both are corrected for the number of members, so that a reliable ensemble has equal values (Fortin et al.
    2014, 10.1175/JHM-D-14-0008.1). `position_score` is the energy score of the position, in km, `along_crps` and
    `cross_crps` the fair CRPS of the displacement along and across the observed course.
    """
    cases = [_case(key, rows) for key, rows in found.groupby(["storm", "init_time", "lead_time"]) if len(rows) > 1]
    table = pd.DataFrame(cases, columns=["storm", "lead_time", "error2", "spread2", "energy", "along", "cross"])
    for storm, hours, rows in _by_storm_and_lead(table):
        values = {
            "mean_error": np.sqrt(rows.error2.mean()),
            "spread": np.sqrt(rows.spread2.mean()),
            "position_score": rows.energy.mean(),
            "along_crps": rows.along.mean(),
            "cross_crps": rows.cross.mean(),
        }
        for metric, value in values.items():
            yield TrackScore(storm, hours, metric, float(value), len(rows), "km")


def _case(key, rows: pd.DataFrame) -> tuple:
    storm, _, lead = key
    lat, lon = rows.lat.to_numpy(), rows.lon.to_numpy()
    m = len(rows)
    centre = position(vectors(lat, lon).mean(axis=0))
    error = float(distance(*centre, rows.best_lat.iloc[0], rows.best_lon.iloc[0]))
    spread2 = float(np.sum(distance(lat, lon, *centre) ** 2)) / (m - 1)
    apart = distance(lat[:, None], lon[:, None], lat, lon).sum() / (2 * m * (m - 1))
    energy = rows.distance.mean() - apart
    return storm, lead, error**2 * m / (m + 1), spread2, energy, fair_crps(rows.along), fair_crps(rows.cross)


def fair_crps(errors: Float[np.ndarray, " member"]) -> float:
    """Fair CRPS of members from their errors (Ferro 2014, 10.1002/qj.2270)."""
    errors = np.sort(np.asarray(errors, float))
    m = len(errors)
    share = (2 * np.arange(1, m + 1) - m - 1) / (m * (m - 1))
    return float(np.abs(errors).mean() - share @ errors)


def mean_by_init_time(found: pd.DataFrame, column: str = "distance") -> pd.DataFrame:
    """Mean of an error by initial time (rows) and lead time (columns): independent samples for tests of means."""
    return found.pivot_table(column, "init_time", "lead_time", "mean")
