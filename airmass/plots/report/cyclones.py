"""Section of the report on cyclone tracks: scores by lead time and the pictures of `airmass track --plots`."""

from collections.abc import Iterator
from pathlib import Path

from airmass.core.place import local_path
from airmass.evaluation.tracks.comparison import TrackComparison
from airmass.evaluation.tracks.scores import TRACK_SCORES, TrackVerification, read_track_scores
from airmass.plots.report import page
from airmass.plots.report.html import Html

_ROWS = (
    ("position_error", "position error, km", 1.0, "{:.0f}"),
    ("along_track", "bias along the track, km", 1.0, "{:+.0f}"),
    ("cross_track", "bias across the track, km", 1.0, "{:+.0f}"),
    ("mean_error", "error of the mean position, km", 1.0, "{:.0f}"),
    ("spread", "spread of positions, km", 1.0, "{:.0f}"),
    ("position_score", "energy score of the position, km", 1.0, "{:.0f}"),
    ("along_crps", "CRPS along the track, km", 1.0, "{:.0f}"),
    ("pressure_bias", "bias of pressure, hPa", 0.01, "{:+.1f}"),
    ("wind_bias", "bias of wind, m/s", 1.0, "{:+.1f}"),
    ("hit_rate", "hit rate", 1.0, "{:.2f}"),
    ("false_alarm_ratio", "false alarm ratio", 1.0, "{:.2f}"),
    ("strike_brier_skill", "Brier skill of strike probability", 1.0, "{:.2f}"),
)
_HOURS = (24, 48, 72, 96, 120, 168, 240, 360)
# First word of a picture's name -> alternative text.
_PICTURES = {
    "trackerrors": "Errors of tracks against lead time, and reliability of strike probability",
    "cyclone": "Tracks, strike probability, cone and intensity of cyclone {}",
    "tracks": "All tracks from initial time {}",
}


def cyclone_section(folder: Path) -> Html:
    """Scores and pictures of a folder that `airmass track --plots` wrote. Raises InputError for another folder."""
    folder = local_path(folder, "tracks")
    made = read_track_scores(folder) if (folder / TRACK_SCORES).exists() else None
    parts = [] if made is None else [_about(made), _table(made), *_comparisons(made)]
    return page.section("Tropical cyclones", *parts, *_pictures(folder))


def _about(made: TrackVerification) -> Html:
    starts, storms = len(made.init_times), len(made.storms)
    return page.paragraph(
        f"{storms} observed storm{'s' if storms != 1 else ''} ({', '.join(made.storms[:12])}"
        f"{' and more' if storms > 12 else ''}), {starts} initial time{'s' if starts > 1 else ''}, {made.members} "
        f"member{'s' if made.members > 1 else ''}; best tracks {made.best_tracks} of agency {made.agency}. A hit is "
        f"within {made.within_km:g} km of the storm; a strike is a centre that passes within 120 km.",
        "pale",
    )


def _table(made: TrackVerification) -> Html:
    held = {score.lead_time_hours for score in made.scores}
    hours = [hour for hour in _HOURS if hour in held] or sorted(held)[-6:]
    rows = []
    for metric, words, factor, text in _ROWS:
        values = [made.value(metric, hour) for hour in hours]
        if any(value is not None for value in values):
            rows.append([words, *("–" if value is None else text.format(factor * value) for value in values)])
    return page.grid(["", *(f"{hour:g} h" for hour in hours)], rows)


def _comparisons(made: TrackVerification) -> Iterator[Html]:
    if made.comparisons:
        against = made.comparisons[0].against
        yield page.paragraph(f"Position error, km, on the cases that both systems have, against {against}.", "pale")
        rows = [
            (
                f"{c.lead_time_hours:g} h",
                f"{c.value:.0f}",
                f"{c.reference:.0f}",
                f"{c.difference:+.0f}",
                *_interval(c),
                c.cases,
            )
            for c in made.comparisons
        ]
        yield page.grid(("lead time", "this", "against", "difference", "95 % interval", "p", "cases"), rows)


def _interval(made: TrackComparison) -> tuple[str, str]:
    if made.low is None or made.high is None or made.p is None:
        return "–", "–"
    return f"{made.low:+.0f} to {made.high:+.0f}", f"{made.p:.3f}"


def _pictures(folder: Path) -> Iterator[Html]:
    for prefix, words in _PICTURES.items():
        for path in sorted(folder.glob(f"{prefix}_*.png" if "{}" in words else f"{prefix}.png")):
            yield page.image(path, words.format(path.stem.partition("_")[2].replace("_", " from ")))
