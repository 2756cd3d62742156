"""Pictures and scores of tracks, written to one folder."""

from pathlib import Path

import numpy as np
import pandas as pd

from airmass.core.files import new_output
from airmass.evaluation.tracks.run import TrackResult
from airmass.evaluation.tracks.scores import TRACK_SCORES
from airmass.plots.png import save_png
from airmass.plots.tracks.errors import errors_figure
from airmass.plots.tracks.storm import StormForecast, storm_figure
from airmass.plots.tracks.world import world_figure

# Pictures of a storm, and of the globe, by initial time: the first ones.
_MOST = 12


def write_track_plots(out: Path, result: TrackResult) -> list[Path]:
    """Write `tracks_<initial time>.png` and, with best tracks, `cyclone_<storm>_<initial time>.png`, `trackerrors.png`
    and `track_scores.json`; return the paths. Without a track there are no maps.
    """
    with new_output(out) as aside:
        aside.mkdir()
        _write_worlds(aside, result)
        if result.verification is not None:
            result.verification.write(aside / TRACK_SCORES)
            _write_storms(aside, result)
            if result.verification.scores:
                save_png(errors_figure(result.verification), aside / "trackerrors.png")
        names = sorted(path.name for path in aside.iterdir())
    return [Path(out) / name for name in names]


def _write_worlds(folder: Path, result: TrackResult) -> None:
    groups = result.tracks.groupby("init_time", dropna=False)
    for init_time, rows in list(groups)[:_MOST]:
        text = "analysis" if pd.isna(init_time) else _name(init_time)
        save_png(world_figure(rows, result.runs), folder / f"tracks_{text}.png")


def _write_storms(folder: Path, result: TrackResult) -> None:
    if result.matched is None or result.best is None or result.runs is None:
        return
    groups = result.matched.groupby(["storm", "init_time"])
    # Storms that most members have first, then the first initial times.
    order = sorted(groups.groups, key=lambda key: (-len(groups.get_group(key)), key))
    for storm, init_time in order[:_MOST]:
        found = groups.get_group((storm, init_time))
        made = _storm(storm, init_time, found, result)
        save_png(storm_figure(made), folder / f"cyclone_{storm}_{_name(init_time)}.png")


def _storm(storm: str, init_time, found: pd.DataFrame, result: TrackResult) -> StormForecast:
    assert result.best is not None and result.runs is not None
    tracks = result.tracks[result.tracks.init_time == init_time]
    best = result.best[result.best.track_id == storm]
    named = best.name.iloc[0].strip() if len(best) else ""
    title = f"{named.title()} ({storm})" if named and named != "X" else f"Cyclone {storm}"
    members = tracks[tracks.track_id.isin(found.track_id)]
    return StormForecast(
        title, np.datetime64(init_time, "ns"), members, best, tracks, result.runs.numbers, result.system
    )


def _name(init_time) -> str:
    return pd.Timestamp(init_time).strftime("%Y%m%d%H")
