"""`airmass track`: from files to a table of tracks, and its verification."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from airmass.core.errors import InputError
from airmass.core.files import new_output, refuse_existing
from airmass.core.tables import say
from airmass.evaluation.restart import kept_parts
from airmass.evaluation.tracks.base import Tracker
from airmass.evaluation.tracks.best_tracks import read_best_tracks
from airmass.evaluation.tracks.comparison import TrackComparison, compare_tracks
from airmass.evaluation.tracks.frames import Source
from airmass.evaluation.tracks.matching import covered, observed_before
from airmass.evaluation.tracks.scores import Runs, TrackVerification, verify
from airmass.evaluation.tracks.settings import ExtratropicalSettings, RiverSettings, TropicalSettings
from airmass.evaluation.tracks.table import check_suffix, is_table, read_tracks, write_tracks
from airmass.evaluation.tracks.trackers.direct import DirectTracker
from airmass.evaluation.tracks.trackers.extratropical import ExtratropicalTracker
from airmass.evaluation.tracks.trackers.rivers import RiverTracker
from airmass.evaluation.tracks.trackers.tropical import TropicalTracker
from airmass.evaluation.tracks.tracking import Observed, open_sources, track
from airmass.evaluation.tracks.verification import errors

# Trackers of what best tracks are of.
BEST_TRACKED = ("tropical", "direct")
_TRACKERS: Mapping[str, Callable[[Any], Tracker]] = {
    "tropical": lambda settings: TropicalTracker(settings or TropicalSettings()),
    "direct": DirectTracker,
    "extratropical": ExtratropicalTracker,
    "rivers": RiverTracker,
}
# Shown on screen: metric, its words, factor and format.
_HEADLINES = (
    ("position_error", "position error, km", 1.0, "{:.0f}"),
    ("along_track_error", "along track, km", 1.0, "{:.0f}"),
    ("cross_track_error", "across track, km", 1.0, "{:.0f}"),
    ("wind_bias", "wind bias, m/s", 1.0, "{:+.1f}"),
    ("pressure_bias", "pressure bias, hPa", 0.01, "{:+.1f}"),
    ("hit_rate", "hit rate", 1.0, "{:.2f}"),
    ("false_alarm_ratio", "false alarm ratio", 1.0, "{:.2f}"),
    ("mean_error", "error of the mean position, km", 1.0, "{:.0f}"),
    ("spread", "spread, km", 1.0, "{:.0f}"),
    ("strike_brier_skill", "Brier skill of strikes", 1.0, "{:.2f}"),
)
_HOURS = (24, 48, 72, 96, 120, 168, 240, 360)


@dataclass(frozen=True)
class TrackResult:
    """Tracks, the runs that they are of, and with best tracks also these, the verification and the matched rows."""

    tracks: pd.DataFrame
    runs: Runs | None
    best: pd.DataFrame | None = None
    verification: TrackVerification | None = None
    matched: pd.DataFrame | None = None
    system: str = "forecast"


def track_features(
    files: Sequence[str | Path],
    out: str | Path | None,
    best_tracks: str | Path | None = None,
    against: str | Path | None = None,
    agency: str = "wmo",
    init_times: Sequence[str] | None = None,
    within_km: float = 300.0,
    workers: int = 1,
    scheduler: str | None = None,
    tracker: str = "tropical",
    tropical: TropicalSettings | None = None,
    extratropical: ExtratropicalSettings | None = None,
    rivers: RiverSettings | None = None,
    console: Console | None = None,
) -> TrackResult:
    """Track features in forecasts or stores into the table `out`, and verify cyclones against best tracks.

    `tracker` is "tropical", "direct", "extratropical" or "rivers"; best tracks are for the first two. A single file
    may be a table of tracks to verify. `against` is a table of another system's tracks, which is compared on the cases
    that both have. Raises InputError for files that lack a field, with other units, or that do not fit together; then
    nothing is written.
    """
    console = console or Console()
    if best_tracks is not None and tracker not in BEST_TRACKED:
        raise InputError(f"--best-tracks has no use with --tracker {tracker}; they are of tropical cyclones")
    if against is not None and best_tracks is None:
        raise InputError(f"--against {against} has no use without --best-tracks")
    other = None if against is None else read_tracks(against)
    best = None if best_tracks is None else read_best_tracks(best_tracks, agency)
    where = [str(path) for path in files]
    settings = {"tropical": tropical, "extratropical": extratropical, "rivers": rivers}.get(tracker)
    if len(files) == 1 and is_table(files[0]):
        tracks = _chosen(read_tracks(files[0]), files[0], init_times)
        if out is not None:
            raise InputError(f"{files[0]}: is a table of tracks already, so --out {out} has no use")
        runs, system = _runs_of_table(tracks), Path(files[0]).stem
        _require_meeting(runs, best, best_tracks, files[0])
    else:
        made = _TRACKERS[tracker](settings)
        sources = _sources(files, out, made, init_times)
        runs, system = _runs_of_sources(sources), sources[0].runs[0].system
        _require_meeting(runs, best, best_tracks, files[0])
        request = (tracker, asdict(made.settings), agency, init_times, where, str(best_tracks))
        places = [*files] if best_tracks is None else [*files, best_tracks]
        with kept_parts(out, "tracked", request, places) as folder:
            tracks = track(sources, made, _observed(best, runs), workers, console, scheduler, folder)
            _write(out, tracks, made)
        say(console, f"{tracks.track_id.nunique()} tracks in {sum(len(source.runs) for source in sources)} runs")
    if best is None or runs is None:
        return TrackResult(tracks, runs, system=system)
    verification, found = verify(tracks, runs, best, within_km, where, str(best_tracks), agency)
    if other is not None:
        verification = replace(verification, comparisons=_compared(found, other, best, within_km, str(against)))
    print_scores(verification, console)
    return TrackResult(tracks, runs, best, verification, found, system)


def _require_meeting(runs: Runs | None, best: pd.DataFrame | None, best_path, where: str | Path) -> None:
    """Raise InputError, before long work, for best tracks that cannot verify these runs."""
    if best is None:
        return
    if runs is None:
        raise InputError(f"{where}: has no initial times; --best-tracks {best_path} verifies tracks of forecasts only")
    covered(best, runs.times, best_path, where)


def _compared(
    found: pd.DataFrame, other: pd.DataFrame, best: pd.DataFrame, within_km: float, against: str
) -> list[TrackComparison]:
    made = list(compare_tracks(found, errors(other, best, within_km), against))
    if not made:
        raise InputError(f"{against}: has no storm at a lead time of an initial time in common with these tracks")
    return made


def _sources(
    files: Sequence[str | Path], out: str | Path | None, tracker: Tracker, init_times: Sequence[str] | None
) -> list[Source]:
    if out is None:
        raise InputError(f"{files[0] if files else 'no files'}: no table of tracks, so tracks are made: missing --out")
    check_suffix(out)
    refuse_existing(out, *files)
    return open_sources(files, tracker, init_times)


def _write(out: str | Path | None, tracks: pd.DataFrame, tracker: Tracker) -> None:
    assert out is not None
    with new_output(out) as aside:
        write_tracks(aside, tracks, tracker.columns)


def _observed(best: pd.DataFrame | None, runs: Runs | None) -> Mapping[np.datetime64, Observed]:
    if best is None or runs is None:
        return {}
    return {init_time: observed_before(best, init_time) for init_time in runs.init_times}


def _runs_of_sources(sources: Sequence[Source]) -> Runs | None:
    """Runs of forecasts; None for a store. Raises InputError if members or lead times differ between the files."""
    if any(run.init_time is None for source in sources for run in source.runs):
        return None
    first = sources[0]
    numbers = {run.number for run in first.runs}
    for source in sources[1:]:
        for name, found, expected in (
            ("members", {run.number for run in source.runs}, numbers),
            ("lead times", source.dataset.lead_time.values.tolist(), first.dataset.lead_time.values.tolist()),
        ):
            if found != expected:
                raise InputError(f"{source.path}: {name} differ from those of {first.path}; track them one at a time")
    init_times = np.unique([run.init_time for source in sources for run in source.runs if run.init_time is not None])
    return Runs(init_times, tuple(sorted(numbers)), first.dataset.lead_time.values)


def _runs_of_table(tracks: pd.DataFrame) -> Runs | None:
    """Runs that a table has tracks of; those without a track cannot be known."""
    if tracks.empty or tracks.init_time.isna().any():
        return None
    return Runs(
        np.unique(tracks.init_time.to_numpy()),
        tuple(sorted(int(number) for number in tracks.number.unique())),
        np.unique(tracks.lead_time.to_numpy()),
    )


def _chosen(tracks: pd.DataFrame, path: str | Path, init_times: Sequence[str] | None) -> pd.DataFrame:
    if init_times is None:
        return tracks
    from airmass.fields.clock import parse_time

    wanted = [parse_time(text) for text in init_times]
    if absent := [time for time in wanted if not (tracks.init_time == time).any()]:
        raise InputError(f"{path}: no track of initial time {np.datetime_as_string(absent[0], 'm')}")
    return tracks[tracks.init_time.isin(wanted)].reset_index(drop=True)


def print_scores(made: TrackVerification, console: Console) -> None:
    """Print headline scores of all storms by lead time."""
    held = {score.lead_time_hours for score in made.scores}
    hours = [hour for hour in _HOURS if hour in held] or sorted(held)[-6:]
    title = ", ".join(
        f"{count} {word}{'' if count == 1 else 's'}"
        for count, word in (
            (len(made.storms), "storm"), (len(made.init_times), "initial time"), (made.members, "member"),
        )
    )  # fmt: skip
    shown = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    shown.add_column("")
    for hour in hours:
        shown.add_column(f"{hour:g} h", justify="right")
    for metric, words, factor, text in _HEADLINES:
        values = [made.value(metric, hour) for hour in hours]
        if any(value is not None for value in values):
            shown.add_row(words, *("–" if value is None else text.format(factor * value) for value in values))
    console.print(shown)
    if made.comparisons:
        console.print(_comparison_table(made.comparisons))


def _comparison_table(comparisons: Sequence[TrackComparison]) -> Table:
    shown = Table(title="Position error on common cases, km", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("lead time", "this", "against", "difference", "95 % interval", "p", "cases"):
        shown.add_column(heading, justify="right")
    for one in comparisons:
        known = one.low is not None and one.high is not None and one.p is not None
        interval = f"{one.low:+.0f} to {one.high:+.0f}" if known else "–"
        means = (f"{one.value:.0f}", f"{one.reference:.0f}", f"{one.difference:+.0f}")
        p = f"{one.p:.3f}" if known else "–"
        shown.add_row(f"{one.lead_time_hours:g} h", *means, interval, p, f"{one.cases}")
    return shown
