"""`report.html`: summary, scores, plots and settings of an evaluation in one self-contained file."""

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from airmass.core.errors import InputError
from airmass.core.files import new_output, refuse_existing
from airmass.core.place import local_path
from airmass.evaluation.comparisons import Comparison
from airmass.evaluation.scores import (
    BASELINES,
    HEADLINE_FIELDS,
    Evaluation,
    ScoreTable,
    Spectrum,
    read_evaluation,
    scores_folder,
)
from airmass.evaluation.wording import verdicts
from airmass.plots.report import page, tables
from airmass.plots.report.cyclones import cyclone_section
from airmass.plots.report.html import Html, element, joined
from airmass.plots.report.pictures import SUFFIXES
from airmass.plots.score_pictures import HeldScores, read_held_scores, write_score_pictures

_COMPARED = ("forecasts", "members", "truth", "climatology")

# Longest table on the page; the files have all rows.
_MOST_ROWS = 1000

# First word of a picture's file name -> (heading, explanation).
_GROUPS = {
    "scorecard": (
        "Scorecards",
        "Difference of the error in percent: blue is better, red worse. Hatched cells do not differ significantly "
        "(95 %, with correlation in time; at most 5 % of the cells called significant are expected to be false).",
    ),
    "curves": (
        "Error against lead time",
        "RMSE and anomaly correlation of an ensemble are those of its mean; the CRPS of a deterministic forecast is "
        "its absolute error. The grey line at an anomaly correlation of 0.6 marks the common limit of useful "
        "synoptic skill.",
    ),
    "spread": (
        "Spread and error",
        "A reliable ensemble has a ratio of 1; below 1 it is underdispersive (overconfident). The ratio is corrected "
        "for the number of members.",
    ),
    "ranks": (
        "Rank histograms",
        "Frequency of the truth's rank among the members, by area. Flat: reliable. U shape: too little spread. "
        "Dome: too much spread. Slope: bias.",
    ),
    "extremes": (
        "Extremes",
        "Brier skill of events beyond climatological quantiles, relative to always forecasting their climatological "
        "probability: 1 is perfect, 0 is as good as climatology.",
    ),
    "events": (
        "Events: reliability, ROC and economic value",
        "Events beyond climatological quantiles, and amounts of precipitation, as an ensemble's probabilities forecast "
        "them. Reliability: on the diagonal, the event happens as often as forecast; circles are as large as the share "
        "of the forecasts; dotted, the event's frequency. ROC: the further above the diagonal, the better events are "
        "told apart. Value: the part of a perfect forecast's benefit that users of each cost/loss ratio get.",
    ),
    "spectra": (
        "Spectra",
        "Zonal power by wavenumber from 60° S to 60° N: a blurred forecast has too little at high wavenumbers. For "
        "an ensemble, the mean of its members' spectra; the smoother ensemble mean has a line of its own. The error's "
        "power is at 2 where forecast and truth have nothing in common.",
    ),
    "scoremap": ("Maps of scores", "Mean over the initial times at every grid point."),
    "stationmap": ("Scores by station", "Mean over the initial times at every station."),
    "plume": ("Plumes", "Every member at the grid points nearest to a few places."),
    "stamps": ("Stamps", "Truth, ensemble mean and members on one colour scale."),
    "spaghetti": ("Spaghetti", "The same isolines of every member in colour, and of the truth in black."),
    "animation": ("Animation of forecast and truth", ""),
    "map": (
        "Maps",
        "Colours and isolines of forecast and truth share one scale over all lead times, and so do the "
        "differences; isolines over the differences are those of the truth.",
    ),
}


def write_report(
    out: str | Path,
    title: str,
    scores: str | Path,
    plots: str | Path | None = None,
    settings: Mapping[str, Mapping[str, object]] | None = None,
    timings: Mapping[str, float] | None = None,
    commands: Sequence[str] = (),
    tracks: str | Path | None = None,
) -> Path:
    """Write one self-contained HTML file, with all pictures in it; return its path.

    `scores` is the folder that `airmass evaluate` wrote, `plots` that of `airmass plot` (without it, the pictures of
    the scores are drawn), `tracks` that of `airmass track --plots`. `settings` are tables by heading, `timings` seconds
    by title, `commands` the command lines that reproduce everything. Raises InputError for a folder of another kind and
    for an `out` that exists.
    """
    refuse_existing(out)
    folder = scores_folder(scores)
    held, compared = read_held_scores(folder), read_evaluation(folder)
    table = held.table
    body = [
        _head(title, table, compared),
        *_left_out(compared),
        *_significance(held.comparisons),
        *_verdicts(table),
        *(_drawn(held) if plots is None else _picture_sections(_pictures(local_path(plots, "plots")))),
        *_resolution(held.spectra),
        *([] if tracks is None else [cyclone_section(Path(tracks))]),
        _all_scores(table),
        *_method(compared, settings or {}, timings or {}),
        *([page.section("How to reproduce", page.commands(commands))] if commands else []),
    ]
    with new_output(out) as aside:
        aside.write_text(page.page(title, body), encoding="utf-8")
    return Path(out)


def _head(title: str, table: ScoreTable, compared: Evaluation | None) -> Html:
    parts = [page.heading(title)]
    models = [system for system in table.systems if system not in BASELINES]
    if compared and (init_times := compared.init_times):
        dates = f"{_date(init_times[0])} to {_date(init_times[-1])}" if len(init_times) > 1 else _date(init_times[0])
        how_many = f"{len(init_times)} initial time{'s' if len(init_times) > 1 else ''}"
        parts.append(
            page.paragraph(
                f"{how_many}, {dates} UTC, to {max(table.hours) / 24:g} days, on a grid of {compared.grid}.", "pale"
            )
        )
    for system in models:
        metric = "crps" if system in tables.ensembles(table) else "rmse"
        parts.append(page.paragraph(tables.verdict(table, system, metric), "lead"))
    return element("header", *parts)


def _drawn(held: HeldScores) -> list[Html]:
    """Sections with the pictures of the scores, drawn for the page."""
    with tempfile.TemporaryDirectory() as place:
        write_score_pictures(Path(place), held)
        return list(_picture_sections(_pictures(Path(place))))


def _significance(differences: Sequence[Comparison]) -> Iterator[Html]:
    """Section that says in words which differences are significant."""
    if differences:
        whole = [row for row in differences if row.region is None and row.period is None]
        rest = [row for row in differences if row.region is not None or row.period is not None]
        about = (
            "Paired over the same initial times, with their correlation in time; a cell is one field at one lead time. "
            "A field is named where half of its lead times or more, within one of the parts up to 24, 72 and 120 h and "
            "beyond, are significant."
        )
        parts = [page.paragraph(about, "pale"), _said(whole)]
        if rest:
            parts.append(element("details", element("summary", "By region and period"), _said(rest)))
        yield page.section("What is significant", *parts)


def _said(rows: Sequence[Comparison]) -> Html:
    return page.bullets(
        joined([verdict.headline, *(page.paragraph(fields, "fields") for fields in verdict.fields)])
        for verdict in verdicts(rows)
    )


def _resolution(spectra: Sequence[Spectrum]) -> Iterator[Html]:
    """Section with the effective resolution of every system."""
    if shown := tables.resolution_table(spectra):
        about = (
            "Greatest zonal wavenumber up to which a forecast has at least half of the truth's power (it resolves it), "
            "and up to which at least half of its variance is in common with the truth (squared coherence: it "
            "predicts it). In brackets the wavelength at the equator."
        )
        yield page.section("Effective resolution", page.paragraph(about, "pale"), shown)


def _left_out(compared: Evaluation | None) -> Iterator[Html]:
    """Section on scores and dates that were left out."""
    if compared and compared.left_out:
        yield page.section("To know, and left out", page.bullets(compared.left_out), *_lead_times_left_out(compared))


def _lead_times_left_out(compared: Evaluation) -> Iterator[Html]:
    """Collapsed table of the initial times left out, by variable, lead time and reason."""
    if compared.left_out_values:
        rows = (
            (o.variable, _levels(o.levels), f"{o.lead_time_hours:g} h", o.what, o.reason, ", ".join(o.init_times))
            for o in compared.left_out_values[:_MOST_ROWS]
        )
        shown = page.grid(("variable", "level", "lead time", "what", "reason", "initial times"), rows)
        count = len(compared.left_out_values)
        title = f"By lead time ({'the first ' if count > _MOST_ROWS else ''}{min(count, _MOST_ROWS)} of {count})"
        yield element("details", element("summary", title), shown)


def _levels(levels: Sequence[int] | None) -> str:
    return f"{', '.join(map(str, levels))} hPa" if levels else ""


def _verdicts(table: ScoreTable) -> Iterator[Html]:
    marks = "▲ marks an error below the baseline's, ▼ one above it, in percent."
    for system in (system for system in table.systems if system not in BASELINES):
        about = f"Root mean square error, area-weighted, over the initial times. {marks}"
        if system in tables.ensembles(table):
            about = about.replace("error,", "error of the mean of its members,", 1)
            fair = f"Fair continuous ranked probability score; for a baseline, its absolute error. {marks}"
            shown = tables.headline_table(table, system, "crps")
            yield page.section(f"CRPS of {system}", page.paragraph(fair, "pale"), shown)
        yield page.section(f"RMSE of {system}", page.paragraph(about, "pale"), tables.headline_table(table, system))


def _picture_sections(pictures: Sequence[Path]) -> Iterator[Html]:
    for prefix, (heading, text) in _GROUPS.items():
        found = [path for path in pictures if path.stem.split("_")[0] == prefix]
        if found:
            note = [page.paragraph(text, "pale")] if text else []
            yield page.section(heading, *note, *(page.image(path, _describe(path)) for path in found))


def _all_scores(table: ScoreTable) -> Html:
    everything = page.download("scores.csv", tables.as_csv(table))
    about = page.paragraph(
        joined([f"At the headline lead times; all {len(table.scores)} values: ", everything]), "pale"
    )
    return page.section("All scores", about, tables.all_scores(table))


def _method(
    compared: Evaluation | None, settings: Mapping[str, Mapping[str, object]], timings: Mapping[str, float]
) -> Iterator[Html]:
    parts = [page.pairs(heading, values) for heading, values in settings.items() if values]
    if compared:
        inputs = {key: value for key in _COMPARED if (value := getattr(compared, key))}
        parts.append(page.pairs("Compared", inputs))
    if timings:
        parts.append(page.pairs("Time taken", {name: _duration(seconds) for name, seconds in timings.items()}))
    if parts:
        yield page.section("Settings and inputs", page.columns(parts))


def _pictures(plots: Path) -> list[Path]:
    if not plots.is_dir():
        raise InputError(f"{plots}: no such folder, expected one that `airmass plot` wrote")
    found = sorted((path for path in plots.iterdir() if path.suffix in SUFFIXES), key=_place)
    if not found:
        raise InputError(f"{plots}: holds no pictures, expected those of `airmass plot`")
    return found


def _place(path: Path) -> tuple[int, str]:
    """Sort key: headline fields in their order, then others, with numbers in names by size."""
    field = path.stem.rpartition("_")[2]
    name = re.sub(r"\d+", lambda digits: digits[0].zfill(5), path.name)
    return (HEADLINE_FIELDS.index(field) if field in HEADLINE_FIELDS else len(HEADLINE_FIELDS)), name


def _describe(path: Path) -> str:
    kind, _, field = path.stem.partition("_")
    return {
        "scorecard": f"Scorecard of {field.partition('_')[0].upper()}: difference of two systems by lead time",
        "scoremap": f"Maps of a score at every grid point: {field.replace('_', ' of ')}",
        "curves": "Scores of every system against lead time",
        "spread": "Spread and error of ensembles against lead time",
        "ranks": "Rank histograms of ensembles by field and lead time",
        "extremes": "Brier skill of extremes against lead time",
        "stationmap": f"Maps of a score by station: {field.replace('_', ' of ')}",
        "events": f"Probability forecasts of events: {field}",
        "spectra": f"Spectra at {field} of forecasts and truth",
        "plume": f"Plumes of {field}: members, mean and truth at a few places",
        "stamps": f"Stamp maps of {field}: truth, mean and members",
        "spaghetti": f"Isolines of {field} of all members and of the truth",
        "animation": f"Animation of {field}: forecast beside truth",
        "map": f"Maps of {field}: forecast, truth and difference",
    }.get(kind, path.stem)


def _date(text: str) -> str:
    return re.sub(r"T(\d\d:\d\d).*", r" \1", text)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
