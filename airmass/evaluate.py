"""Judging forecasts against truth, with persistence and climatology beside them on the same dates.

Truth and forecast are joined exactly, by valid time, level and grid: nothing is interpolated, filled or skipped. One
variable is read at a time, one initial time after another; scores of initial times only ever add.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from airmass import __version__
from airmass.errors import InputError
from airmass.files import new_output, refuse_existing
from airmass.forecast_file import hours
from airmass.judged import Frames, Judged, System, open_judged
from airmass.metrics import Metric, State, known_metrics
from airmass.metrics.base import scores_of
from airmass.scores import Score, ScoreTable, quoted
from airmass.store import minute
from airmass.variables import VARIABLES

# Values handled at once, in float64: a few arrays of this size stay in cache, which is worth a factor of three.
_AT_ONCE = 1 << 16

# Sums over initial times for one system and variable, by metric; each of shape (lead_time, level).
States = dict[str, State]


def evaluate(
    forecasts: Sequence[str | Path],
    truth: str | Path,
    out: str | Path,
    climatology: str | Path | None = None,
    console: Console | None = None,
) -> ScoreTable:
    """Score every variable, level and lead time of forecast files and write the folder `out`.

    Files of one system are joined by initial time; several systems must hold the same dates. Persistence is the truth
    at the initial time; climatology is read from `climatology` or from where the forecasts say, and where there is
    none, neither it nor any metric that needs it is scored. `out` gets `scores.json`, a flat list of scores, and
    `evaluation.json`, which says what was compared. Undefined values, such as the ACC of climatology, are left out.

    Raises InputError for whatever does not fit together exactly, and for NaN in a forecast where truth has values.
    """
    refuse_existing(out)
    console = console or Console()
    judged = open_judged(forecasts, truth, climatology)
    if judged.climatology is None:
        console.print("No climatology named or found in the forecasts: ACC and the climatology baseline are left out.")
    states = {
        name: _judge_variable(judged, name)
        for name in track(judged.variables, "Judging", console=console, transient=True)
    }
    table = ScoreTable(_scores(judged, states))
    with new_output(out) as aside:
        aside.mkdir()
        (aside / "scores.json").write_text(table.to_json())
        (aside / "evaluation.json").write_text(json.dumps(_about(judged), indent=1) + "\n")
    print_headlines(table, console, len(judged.init_times))
    return table


def print_headlines(table: ScoreTable, console: Console, n_init_times: int) -> None:
    """RMSE and ACC of headline fields at the usual lead times, for every system."""
    dates = f"{n_init_times} initial time{'s' if n_init_times > 1 else ''}"
    console.print(_headlines(table, "rmse", f"RMSE over {dates}"))
    if "acc" in table.metrics:
        console.print(_headlines(table, "acc", f"Anomaly correlation over {dates}"))


def _headlines(table: ScoreTable, metric: str, title: str) -> Table:
    shown = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("field", "units", "system") if metric == "rmse" else ("field", "system"):
        shown.add_column(heading, no_wrap=True)
    for hour in table.headline_hours:
        shown.add_column(f"{hour:g} h", justify="right", no_wrap=True)
    for label, channel in table.headline_fields().items():
        units = quoted(channel[0])
        text = units.text if metric == "rmse" else "{:.3f}".format
        rows = {s: [table.value(s, channel, hour, metric) for hour in table.headline_hours] for s in table.systems}
        rows = {system: values for system, values in rows.items() if any(value is not None for value in values)}
        for i, (system, values) in enumerate(rows.items()):
            head = (label, units.units) if metric == "rmse" else (label,)
            cells = ["–" if value is None else text(value) for value in values]
            shown.add_row(*(head if i == 0 else [""] * len(head)), system, *cells, end_section=i == len(rows) - 1)
    return shown


def _judge_variable(judged: Judged, name: str) -> dict[str, States]:
    """Scores of one variable summed over all initial times, by system."""
    metrics = {k: m for k, m in known_metrics().items() if judged.climatology is not None or not m.needs_climatology}
    systems = [system for system in judged.systems if name in system.variables]
    truth, climatology = judged.truth_frames(name), judged.climatology_frames(name)
    total: dict[str, States] = {}
    for init_time in judged.init_times:
        for frames in (truth, climatology):
            if frames is not None:
                frames.forget_before(init_time)
        scores = _judge_init_time(judged, name, init_time, systems, metrics, truth, climatology)
        for system, values in scores.items():
            new = {metric: State(value, 1) for metric, value in values.items()}
            old = total.get(system)
            total[system] = new if old is None else {metric: old[metric] + new[metric] for metric in new}
    return total


def _judge_init_time(
    judged: Judged,
    name: str,
    init_time: np.datetime64,
    systems: Sequence[System],
    metrics: Mapping[str, Metric],
    truth: Frames,
    climatology: Frames | None,
) -> dict[str, dict[str, Float[np.ndarray, "lead_time level"]]]:
    """Scores of one variable from one initial time, by system and metric."""
    parts: dict[str, list[dict[str, np.ndarray]]] = {}
    start = truth.at([init_time])
    for leads in judged.lead_blocks(name):
        lead_times = judged.lead_times[leads]
        expected = truth.at(init_time + lead_times)
        normal = None if climatology is None else climatology.at(init_time + lead_times)
        present = _present(judged, name, init_time + lead_times, expected)
        candidates = {"persistence": np.broadcast_to(start, expected.shape)}
        if normal is not None:
            candidates["climatology"] = normal
        for system in systems:
            candidates[system.name] = system.read(name, init_time, leads)
            _refuse_missing(system, name, init_time, lead_times, candidates[system.name], present)
        for label, candidate in candidates.items():
            scores = _score_blocks(metrics, judged.weights, candidate, expected, normal, present)
            parts.setdefault(label, []).extend(scores)
    return {s: {metric: np.concatenate([part[metric] for part in p]) for metric in metrics} for s, p in parts.items()}


def _score_blocks(metrics, weights, forecast, truth, climatology, present) -> Iterator[dict[str, np.ndarray]]:
    """Scores of (lead_time, level, node) fields, a few lead times at once, in float64."""

    def double(field, block):
        return None if field is None else field[block].astype(np.float64)

    for block in _blocks(truth):
        fields = double(forecast, block), double(truth, block), weights, double(climatology, block)
        yield scores_of(metrics, *fields, None if present is None else present[block])


def _blocks(field: np.ndarray) -> Iterator[slice]:
    """Slices of lead times with about `_AT_ONCE` values each."""
    step = max(1, _AT_ONCE // field[0].size)
    for start in range(0, len(field), step):
        yield slice(start, start + step)


def _present(
    judged: Judged, name: str, valid_times: np.ndarray, truth: Float[np.ndarray, "lead_time level node"]
) -> Bool[np.ndarray, "lead_time level node"] | None:
    """Where truth has values, None if everywhere.

    A field of truth may be absent as a whole (the first accumulation of precipitation in an archive): its scores are
    undefined. One with holes is refused, unless it is of a variable that is missing over land.
    """
    present = np.isfinite(truth)
    if present.all():
        return None
    holes = present.any(-1) & ~present.all(-1)
    if holes.any() and not VARIABLES[name].missing_over_land:
        lead = np.argmax(holes.any(-1))
        count = int((~present[lead][holes[lead]]).sum())
        raise InputError(
            f"{judged.truth_path}: {name} has {count} NaN or infinite values at {minute(valid_times[lead])}; "
            "expected none"
        )
    return present


def _refuse_missing(
    system: System,
    name: str,
    init_time: np.datetime64,
    lead_times: np.ndarray,
    forecast: Float[np.ndarray, "lead_time level node"],
    present: Bool[np.ndarray, "lead_time level node"] | None,
) -> None:
    missing = ~np.isfinite(forecast)
    if present is not None:
        missing &= present
    counts = missing.sum(axis=(1, 2))
    if counts.any():
        lead = np.argmax(counts > 0)
        raise InputError(
            f"{system.path(init_time)}: {name} has {counts[lead]} NaN or infinite values at lead time "
            f"{hours(lead_times[lead])[0]} h from {minute(init_time)}; expected none"
        )


def _scores(judged: Judged, states: Mapping[str, Mapping[str, States]]) -> Iterator[Score]:
    """The finished metrics, flat; undefined values are left out."""
    metrics, lead_hours = known_metrics(), hours(judged.lead_times)
    for name, by_system in states.items():
        levels = judged.levels(name)
        for system, by_metric in by_system.items():
            for metric, state in by_metric.items():
                values = metrics[metric].finish(state.mean)
                for (lead, level), value in np.ndenumerate(values):
                    if np.isfinite(value):
                        yield Score(system, name, levels[level], lead_hours[lead], metric, float(value))


def _about(judged: Judged) -> dict:
    """What was compared, for a reader of the scores."""
    return {
        "airmass_version": __version__,
        "forecasts": {system.name: [str(path) for path in system.paths] for system in judged.systems},
        "truth": str(judged.truth_path),
        "climatology": None if judged.climatology_path is None else str(judged.climatology_path),
        "grid": str(judged.grid),
        "lead_time_hours": hours(judged.lead_times),
        "init_times": [minute(time) for time in judged.init_times],
    }
