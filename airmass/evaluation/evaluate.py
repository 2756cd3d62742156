"""Evaluation of forecasts against truth, with persistence and climatology as baselines on the same dates.

Forecast and truth are joined exactly by valid time, level and grid. Nothing is interpolated or filled, and everything
left out for lack of truth is reported. Variables are read one at a time, one initial time after another; scores are
sums over initial times.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import product

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from airmass import __version__
from airmass.core.errors import InputError
from airmass.core.files import new_output, refuse_existing
from airmass.core.tables import plain, say
from airmass.data.formats.climatology import EXTREMES
from airmass.data.formats.forecast_reader import MEMBER, hours
from airmass.data.formats.layout import minute
from airmass.evaluation.comparisons import COMPARISONS, compare, intervals_of, require_against
from airmass.evaluation.inputs import VerificationData, open_verification
from airmass.evaluation.left_out import THESE, left_out, sentences, undefined
from airmass.evaluation.maps import MAPS, STATION_SCORES, score_maps, station_scores
from airmass.evaluation.metrics import Metric
from airmass.evaluation.metrics.events import EVENTS, TABULATED, unpacked
from airmass.evaluation.request import EvaluationRequest
from airmass.evaluation.scores import (
    EVALUATION,
    EVENT_TABLES,
    RANK_HISTOGRAMS,
    SCORES,
    SPECTRA,
    Evaluation,
    EventTable,
    LeftOut,
    RankHistogram,
    Score,
    ScoreTable,
    shown,
    to_json,
)
from airmass.evaluation.scoring import RANKS, VariableScores, with_vectors
from airmass.evaluation.significance import LEAST_TIMES, flatness
from airmass.evaluation.spectra import compute_spectra
from airmass.evaluation.tables import check_table, write_table
from airmass.evaluation.wording import verdicts
from airmass.evaluation.workers import memory_of, score_pieces


def evaluate(request: EvaluationRequest, console: Console | None = None) -> ScoreTable:
    """Score every variable, level and lead time of deterministic and ensemble forecasts, and write the folder `out`.

    Files of one system are joined along initial time. All systems must have the same initial and lead times, unless
    `init_times` or `lead_times` name times that all have, or are `("common",)`. Persistence is the truth at the initial
    time. The climatology is `climatology`, or the one that the forecasts name. Without it, the climatology baseline and
    the metrics that need it are not scored; without quantiles in it, extremes are not scored.

    `out` gets `scores.json` and `evaluation.json` (what was compared and what was left out), for ensembles
    `rank_histograms.json`, and with lead times in `spectra` also `spectra.json`.

    Where truth or climatology lacks a whole field, no system is scored on that date, so that all are compared on the
    same dates. Raises InputError for inputs that do not fit together exactly, for NaN in a forecast where truth has
    values, and if nothing can be scored.
    """
    refuse_existing(request.out, *request.places)
    if request.table is not None:
        check_table(request.table)
    console = console or Console()
    data = open_verification(request)
    notes = [note for system in data.systems for note in system.notes]
    for line in (*notes, *_remarks(data), *_not_available(data)):
        say(console, line)
    require_against(data, request.against)
    say(console, f"Memory: about {memory_of(data) / 2**30:.1f} GiB{_of_each(request)}.")
    scores = score_pieces(data, request, console, request.out, request.workers, request.scheduler)
    return write_scores(data, scores, request, console)


def write_scores(
    data: VerificationData, scores: Mapping[str, VariableScores], request: EvaluationRequest, console: Console
) -> ScoreTable:
    """Write the folder of scores by initial time, as means, and print the headlines."""
    test, against = request.test, request.against
    scores, found = score(data, scores, test if request.intervals or against else None)
    compared = [] if against is None else compare(data, scores, against, test)
    missing = [
        one for name, held in scores.items() for one in (*left_out(data, name, held), *undefined(data, name, held))
    ]
    for line in sentences(missing, data):
        say(console, line)
    histograms, events = list(_rank_histograms(data, scores)), list(_event_tables(data, scores))
    with new_output(request.out) as aside:
        aside.mkdir()
        (aside / SCORES).write_text(found.to_json())
        if compared:
            (aside / COMPARISONS).write_text(to_json(compared))
        if events:
            (aside / EVENT_TABLES).write_text(to_json(events))
        if histograms:
            (aside / RANK_HISTOGRAMS).write_text(to_json(histograms))
        counted = {name: held.counted for name, held in scores.items()}
        if data.maps_lead_times.size and data.stations is not None:
            rows = station_scores(data, found.headline_fields(), counted)
            pd.DataFrame(rows).dropna(axis="columns", how="all").to_csv(aside / STATION_SCORES, index=False)
        elif data.maps_lead_times.size:
            score_maps(data, found.headline_fields(), counted).to_netcdf(aside / MAPS, engine="h5netcdf")
        if data.spectra_lead_times.size:
            (aside / SPECTRA).write_text(to_json(compute_spectra(data, found.headline_fields(), counted)))
        (aside / EVALUATION).write_text(json.dumps(asdict(_record(data, missing)), indent=1) + "\n")
    if request.table is not None:
        write_table(found, request.table)
    print_headlines(found, console, len(data.init_times), any(one.what == THESE for one in missing))
    for verdict in verdicts([row for row in compared if row.period is None]):
        for line in (verdict.headline, *(f"  {fields}" for fields in verdict.fields)):
            say(console, line)
    if against and not compared:
        say(console, f"Fewer than {LEAST_TIMES} initial times: no significance can be told.")
    return found


def _of_each(request: EvaluationRequest) -> str:
    if request.workers > 1:
        return f" for each of {request.workers} workers"
    return " for each worker" if request.scheduler else ""


def score(
    data: VerificationData, scores: Mapping[str, VariableScores], test: str | None = None
) -> tuple[dict[str, VariableScores], ScoreTable]:
    """Scores with those of wind vectors, and their means over initial times. Raises InputError if there are none.

    With a `test`, means have confidence intervals by it.
    """
    scores = with_vectors(scores)
    table = ScoreTable(_scores(data, scores, test))
    if not table.scores:
        raise InputError(
            f"{data.truth_path}: has no values at any valid time of the forecasts, so nothing can be scored"
        )
    return scores, table


def print_headlines(table: ScoreTable, console: Console, n_init_times: int, fewer: bool = False) -> None:
    """Print the headline metrics of headline fields at headline lead times for every system.

    `fewer` is True if some scores are means over fewer than `n_init_times`.
    """
    dates = f"{'up to ' if fewer else ''}{n_init_times} initial time{'s' if n_init_times > 1 else ''}"
    for metric in table.headline_metrics:
        title = metric.title[0].upper() + metric.title[1:]
        console.print(_headlines(table, metric, f"{title} over {dates}"))


def _headlines(table: ScoreTable, metric: Metric, title: str) -> Table:
    grid = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("field", "units", "system") if metric.in_units else ("field", "system"):
        grid.add_column(heading, no_wrap=True)
    for hour in table.headline_hours:
        grid.add_column(f"{hour:g} h", justify="right", no_wrap=True)
    for label, channel in table.headline_fields().items():
        units = shown(metric.name, channel[0])
        rows = {s: [table.value(s, channel, hour, metric.name) for hour in table.headline_hours] for s in table.systems}
        rows = {system: values for system, values in rows.items() if any(value is not None for value in values)}
        for i, (system, values) in enumerate(rows.items()):
            head = (label, units.units) if metric.in_units else (label,)
            cells = ["–" if value is None else units.text(value) for value in values]
            grid.add_row(*(head if i == 0 else [""] * len(head)), plain(system), *cells, end_section=i == len(rows) - 1)
    return grid


def _scores(data: VerificationData, scores: Mapping[str, VariableScores], test: str | None) -> Iterator[Score]:
    """Yield all defined values of the metrics, over the globe and each region, all dates and each period."""
    lead_hours = hours(data.lead_times)
    for (period, dates), (name, found) in product(data.periods.items(), scores.items()):
        levels = data.levels(name)
        for system, metric, values in found.values(dates):
            ends = None if test is None else intervals_of(data, found, system, metric, dates, test)
            for at in map(tuple, np.argwhere(np.isfinite(values)).tolist()):
                lead, level, place = at
                low, high = (None, None) if ends is None else (_finite(ends.low[at]), _finite(ends.high[at]))
                yield Score(
                    system, name, levels[level], lead_hours[lead], metric, float(values[at]), data.bins[place], period,
                    low, high,
                )  # fmt: skip


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _rank_histograms(data: VerificationData, scores: Mapping[str, VariableScores]) -> Iterator[RankHistogram]:
    lead_hours = hours(data.lead_times)
    for name, found in scores.items():
        for system, by_metric in found.scores.items():
            if RANKS not in by_metric:
                continue
            shares = found.mean(system, RANKS)[:, :, 0]
            tests = flatness(found.kept(system, RANKS)[:, :, :, 0])
            for lead, level in np.ndindex(shares.shape[:2]):
                if np.isfinite(shares[lead, level]).all():
                    frequencies = shares[lead, level].tolist()
                    numbers = {key: _finite(float(values[lead, level])) for key, values in tests.items()}
                    height, hour = data.levels(name)[level], lead_hours[lead]
                    yield RankHistogram(system, name, height, hour, frequencies, **numbers)


def _event_tables(data: VerificationData, scores: Mapping[str, VariableScores]) -> Iterator[EventTable]:
    """Yield the probability tables that the metrics of events are made of, over the globe."""
    lead_hours = hours(data.lead_times)
    for name, found in scores.items():
        for system, event in product(found.scores, EVENTS):
            metric = next((m for m in TABULATED if f"{m}_{event.name}" in found.scores[system]), None)
            if metric is None:
                continue
            means = found.mean(system, f"{metric}_{event.name}")[:, :, 0]
            for lead, level in np.ndindex(means.shape[:2]):
                if np.isfinite(means[lead, level]).all():
                    parts = [part.tolist() for part in unpacked(means[lead, level])]
                    yield EventTable(system, name, data.levels(name)[level], lead_hours[lead], event.name, *parts)


def _not_available(data: VerificationData) -> Iterator[str]:
    """Yield sentences about scores that are unavailable without a climatology or its quantiles."""
    if data.climatology is None:
        yield "No climatology named or found: ACC, extremes and the climatology baseline are left out."
    elif lacking := [name for name in data.variables if name in EXTREMES and not data.quantiles(name)]:
        yield f"No climatological quantiles: no Brier scores of {', '.join(lacking)}."


def _remarks(data: VerificationData) -> Iterator[str]:
    """Yield sentences on forecasts of known weather, ensembles of one member, and the observations."""
    for system in data.systems:
        if MEMBER in system.example.dims and system.members == 1:
            yield f"{system.name} has one member, so it is scored as a single forecast, without a spread."
        if text := system.training_overlap(data.init_times, data.lead_times):
            yield text
        if words := system.remarks:
            yield f"{system.name}: {words}."
    if data.stations is not None:
        yield from data.stations.notes


def _record(data: VerificationData, missing: list[LeftOut]) -> Evaluation:
    return Evaluation(
        airmass_version=__version__,
        forecasts={system.name: [str(path) for path in system.paths] for system in data.systems},
        truth=str(data.truth_path),
        climatology=None if data.climatology_path is None else str(data.climatology_path),
        members={system.name: system.members for system in data.systems},
        extremes={name: list(data.quantiles(name)) for name in data.variables if name in EXTREMES},
        left_out=[*_remarks(data), *_not_available(data), *sentences(missing, data)],
        left_out_values=missing,
        grid=str(data.grid),
        regions=list(data.regions),
        by=data.by,
        lead_time_hours=hours(data.lead_times),
        init_times=[minute(time) for time in data.init_times],
    )
