"""Tracks of forecasts matched to best tracks at the same times; nothing is interpolated in time."""

from pathlib import Path

import numpy as np
import pandas as pd

from airmass.core.errors import InputError
from airmass.evaluation.tracks.base import Point
from airmass.evaluation.tracks.sphere import bearing, distance

# A case is one observed storm at one valid time of one run.
CASE = ("storm", "init_time", "number", "lead_time")


def covered(best: pd.DataFrame, times: np.ndarray, path: str | Path, where: str | Path) -> np.ndarray:
    """The valid times at which best tracks could hold a storm: within their span and at their hours of the day.

    Raises InputError if there are none, or if no storm was observed at any of them.
    """
    held, first, last = best.time.to_numpy(), best.time.min(), best.time.max()
    hours = np.unique(_of_day(held))
    times = np.unique(np.asarray(times, "datetime64[ns]"))
    span = f"{_minute(times[0])} to {_minute(times[-1])}"
    inside = (times >= first) & (times <= last)
    if not inside.any():
        raise InputError(f"{path}: runs from {_minute(first)} to {_minute(last)}, but {where} holds {span}")
    meeting = inside & np.isin(_of_day(times), hours)
    if not meeting.any():
        shown = ", ".join(_clock(hour) for hour in hours[:8])
        raise InputError(f"{path}: has times at {shown} UTC, but {where} has none of these between {span}")
    if not np.isin(times[meeting], held).any():
        raise InputError(f"{path}: holds no storm at any time of {where}, {span}")
    return times[meeting]


def _of_day(times: np.ndarray) -> np.ndarray:
    times = np.asarray(times, "datetime64[ns]")
    return times - times.astype("datetime64[D]").astype("datetime64[ns]")


def _clock(of_day: np.timedelta64) -> str:
    minutes = int(of_day / np.timedelta64(1, "m"))
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _minute(time) -> str:
    return pd.Timestamp(time).strftime("%Y-%m-%dT%H:%M")


def observed_before(best: pd.DataFrame, init_time: np.datetime64) -> dict[str, tuple[Point, ...]]:
    """Storms that were observed at an initial time, with their points of the day before."""
    day = best[(best.time > init_time - np.timedelta64(1, "D")) & (best.time <= init_time)]
    return {
        str(storm): tuple(Point(t, y, x, {}) for t, y, x in zip(rows.time.to_numpy(), rows.lat, rows.lon, strict=True))
        for storm, rows in day.groupby("track_id")
        if rows.time.iloc[-1] == init_time
    }


def with_motion(best: pd.DataFrame) -> pd.DataFrame:
    """Best tracks with the direction in which each storm moved to each point, in degrees; from the first, onward."""
    made = []
    for _, rows in best.groupby("track_id", sort=False):
        lat, lon = rows.lat.to_numpy(), rows.lon.to_numpy()
        # The course on arrival is opposite to the way back.
        course = (bearing(lat[1:], lon[1:], lat[:-1], lon[:-1]) + 180) % 360
        first = bearing(lat[:1], lon[:1], lat[1:2], lon[1:2]) if len(rows) > 1 else np.array([np.nan])
        made.append(rows.assign(direction=np.concatenate([first, course])))
    return pd.concat(made) if made else best.assign(direction=np.nan)


def match(tracks: pd.DataFrame, best: pd.DataFrame, within_km: float) -> pd.DataFrame:
    """Rows of the tracks that follow an observed storm, with the storm and its values beside theirs.

    A track and a storm match if they are within `within_km` at one time at least. In each run a track goes to one storm
    and a storm has one track: those with the most such times, then with the least mean distance. All their common
    times are kept, also those far apart. Added columns: `storm`, `best_lat`, `best_lon`, `best_wind`, `best_slp`,
    `direction` and `distance` in km.
    """
    observed = with_motion(best).drop(columns=["name", "season", "basin"], errors="ignore")
    renamed = {name: f"best_{name}" for name in ("lat", "lon", "wind", "slp")} | {"track_id": "storm"}
    pairs = tracks.merge(observed.rename(columns=renamed), on="time", how="inner")
    pairs["distance"] = distance(
        *(pairs[name].to_numpy() for name in ("lat", "lon", "best_lat", "best_lon")),
    )
    chosen = _chosen(pairs.assign(near=pairs.distance <= within_km))
    return pairs.merge(chosen, on=["track_id", "storm"], how="inner").reset_index(drop=True)


def _chosen(pairs: pd.DataFrame) -> pd.DataFrame:
    """Track and storm of each match."""
    runs = pairs.init_time.astype("int64").astype(str) + "/" + pairs.number.astype(str)
    groups = pairs.assign(run=runs).groupby(["run", "track_id", "storm"], sort=True)
    found = groups.agg(near=("near", "sum"), away=("distance", "mean")).reset_index()
    found = found[found.near > 0].sort_values(["near", "away"], ascending=[False, True], kind="stable")
    taken: set[tuple[str, str]] = set()
    kept = []
    for run, track, storm in zip(found.run, found.track_id, found.storm, strict=True):
        if (run, track) not in taken and (run, f"storm {storm}") not in taken:
            taken |= {(run, track), (run, f"storm {storm}")}
            kept.append((track, storm))
    return pd.DataFrame(kept, columns=["track_id", "storm"], dtype="str")
