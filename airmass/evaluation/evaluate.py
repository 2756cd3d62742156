"""Judging forecasts against truth, with persistence and climatology beside them on the same dates.

Truth and forecast are joined exactly, by valid time, level and grid: nothing is interpolated, filled or skipped. One
variable is read at a time, one initial time after another; scores of initial times only ever add.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from airmass import __version__
from airmass.core.files import new_output, refuse_existing
from airmass.data.formats.climatology import EXTREMES
from airmass.data.formats.forecast_reader import hours
from airmass.data.formats.store import minute
from airmass.evaluation.forecasts import chosen_times
from airmass.evaluation.inputs import Judged, open_judged
from airmass.evaluation.metrics import known_metrics
from airmass.evaluation.scores import (
    RANK_HISTOGRAMS,
    SCORES,
    SPECTRA,
    RankHistogram,
    Score,
    ScoreTable,
    has_units,
    quoted,
    to_json,
)
from airmass.evaluation.scoring import RANKS, States, judge_variable
from airmass.evaluation.spectra import judge_spectra


def evaluate(
    forecasts: Sequence[str | Path],
    truth: str | Path,
    out: str | Path,
    climatology: str | Path | None = None,
    console: Console | None = None,
    lead_times: Sequence[str] | None = None,
    init_times: Sequence[str] | None = None,
    spectra: Sequence[str] = (),
) -> ScoreTable:
    """Score every variable, level and lead time of forecast files, single or ensembles, and write the folder `out`.

    Files of one system are joined by initial time; several systems must hold the same dates and lead times, unless
    `init_times` or `lead_times` name some that all hold or are `["common"]`. Persistence is the truth at the initial
    time; climatology is read from `climatology` or from where the forecasts say. Without it, neither it nor any metric
    that needs it is scored, and without quantiles in it none of extremes. `out` gets `scores.json` and
    `evaluation.json`, which says what was compared; of ensembles `rank_histograms.json`; with lead times in `spectra`
    also `spectra.json`. Undefined values, such as the ACC of climatology, are left out.

    Raises InputError for whatever does not fit together exactly, and for NaN in a forecast where truth has values.
    """
    refuse_existing(out)
    console = console or Console()
    judged = open_judged(forecasts, truth, climatology, lead_times, init_times)
    power_at = chosen_times(judged.systems, "lead_time", spectra) if spectra else None
    for said in _left_out(judged):
        console.print(said)
    states = {
        name: judge_variable(judged, name)
        for name in track(judged.variables, "Judging", console=console, transient=True)
    }
    table = ScoreTable(_scores(judged, states))
    histograms = list(_rank_histograms(judged, states))
    with new_output(out) as aside:
        aside.mkdir()
        (aside / SCORES).write_text(table.to_json())
        if histograms:
            (aside / RANK_HISTOGRAMS).write_text(to_json(histograms))
        if power_at is not None:
            (aside / SPECTRA).write_text(to_json(judge_spectra(judged, table.headline_fields(), power_at)))
        (aside / "evaluation.json").write_text(json.dumps(_about(judged), indent=1) + "\n")
    print_headlines(table, console, len(judged.init_times))
    return table


def print_headlines(table: ScoreTable, console: Console, n_init_times: int) -> None:
    """Scores of headline fields at the usual lead times, for every system; those of ensembles where there are any."""
    dates = f"{n_init_times} initial time{'s' if n_init_times > 1 else ''}"
    console.print(_headlines(table, "rmse", f"RMSE over {dates}"))
    if "acc" in table.metrics:
        console.print(_headlines(table, "acc", f"Anomaly correlation over {dates}"))
    if "spread" in table.metrics:
        console.print(_headlines(table, "crps", f"Fair CRPS over {dates}"))
        console.print(_headlines(table, "spread_skill", f"Spread / RMSE over {dates}"))


def _headlines(table: ScoreTable, metric: str, title: str) -> Table:
    shown = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("field", "units", "system") if has_units(metric) else ("field", "system"):
        shown.add_column(heading, no_wrap=True)
    for hour in table.headline_hours:
        shown.add_column(f"{hour:g} h", justify="right", no_wrap=True)
    for label, channel in table.headline_fields().items():
        units = quoted(channel[0])
        text = units.text if has_units(metric) else "{:.3f}".format
        rows = {s: [table.value(s, channel, hour, metric) for hour in table.headline_hours] for s in table.systems}
        rows = {system: values for system, values in rows.items() if any(value is not None for value in values)}
        for i, (system, values) in enumerate(rows.items()):
            head = (label, units.units) if has_units(metric) else (label,)
            cells = ["–" if value is None else text(value) for value in values]
            shown.add_row(*(head if i == 0 else [""] * len(head)), system, *cells, end_section=i == len(rows) - 1)
    return shown


def _scores(judged: Judged, states: Mapping[str, Mapping[str, States]]) -> Iterator[Score]:
    """The finished metrics, flat; undefined values are left out."""
    metrics, lead_hours = known_metrics(), hours(judged.lead_times)
    for name, by_system in states.items():
        levels = judged.levels(name)
        for system, by_metric in by_system.items():
            for metric, state in by_metric.items():
                if metric == RANKS:
                    continue
                values = metrics[metric].finish(state.mean)
                for (lead, level), value in np.ndenumerate(values):
                    if np.isfinite(value):
                        yield Score(system, name, levels[level], lead_hours[lead], metric, float(value))


def _rank_histograms(judged: Judged, states: Mapping[str, Mapping[str, States]]) -> Iterator[RankHistogram]:
    for name, by_system in states.items():
        for system, by_metric in by_system.items():
            if RANKS not in by_metric:
                continue
            shares = by_metric[RANKS].mean
            for lead, level in np.ndindex(shares.shape[:2]):
                if np.isfinite(shares[lead, level]).all():
                    hour, hpa = hours(judged.lead_times)[lead], judged.levels(name)[level]
                    yield RankHistogram(system, name, hpa, hour, shares[lead, level].tolist())


def _left_out(judged: Judged) -> Iterator[str]:
    """What cannot be scored for want of a climatology."""
    if judged.climatology is None:
        yield "No climatology named or found: ACC, extremes and the climatology baseline are left out."
    elif lacking := [name for name in judged.variables if name in EXTREMES and not judged.quantiles(name)]:
        yield f"No climatological quantiles: no Brier scores of {', '.join(lacking)}."


def _about(judged: Judged) -> dict:
    """What was compared, for a reader of the scores."""
    return {
        "airmass_version": __version__,
        "forecasts": {system.name: [str(path) for path in system.paths] for system in judged.systems},
        "truth": str(judged.truth_path),
        "climatology": None if judged.climatology_path is None else str(judged.climatology_path),
        "members": {system.name: system.members for system in judged.systems},
        "extremes": {name: judged.quantiles(name) for name in judged.variables if name in EXTREMES},
        "left_out": list(_left_out(judged)),
        "grid": str(judged.grid),
        "lead_time_hours": hours(judged.lead_times),
        "init_times": [minute(time) for time in judged.init_times],
    }
