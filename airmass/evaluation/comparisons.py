"""Paired comparisons of systems over the same initial times, with their significance."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np

from airmass.core.errors import InputError
from airmass.core.strict_json import read_json
from airmass.core.typed import Range
from airmass.data.formats.forecast_reader import hours
from airmass.evaluation.history import LABEL as HISTORY
from airmass.evaluation.inputs import VerificationData
from airmass.evaluation.metrics import known_metrics
from airmass.evaluation.scores import Finite, Hours, Level, Part
from airmass.evaluation.scoring import RANKS, VariableScores
from airmass.evaluation.significance import (
    METHODS,
    Interval,
    has_parts,
    pseudo_values,
    significant,
)
from airmass.fields.derived import is_scored, scored

COMPARISONS = "comparisons.json"
CONFIDENCE = 0.95
# Metrics of scorecards, relative differences of which are shown.
SCORECARD_METRICS = ("rmse", "crps")

Probability = Annotated[float, Range(0, 1)]


@dataclass(frozen=True)
class Comparison:
    """Difference of a metric between a system and the one that it is held `against`, over the same initial times.

    `difference` is the system's value minus the other's, `low` and `high` the ends of its confidence interval, `p` the
    probability of one as far from 0 if there is none. `significant` allows for the number of comparisons of the same
    metric, region and period. `init_times` is their number.
    """

    system: str
    against: str
    variable: str
    level: Level | None
    lead_time_hours: Hours
    metric: str
    value: Finite
    reference: Finite
    difference: Finite
    low: Finite
    high: Finite
    p: Probability
    significant: bool
    init_times: Annotated[int, Range(1)]
    region: str | None = None
    period: str | None = None

    @property
    def part(self) -> Part:
        return self.region, self.period

    @property
    def percent(self) -> float | None:
        """Difference in percent of the other's value; None for metrics that may be 0 or below, and where it is 0."""
        return 100 * self.difference / self.reference if self.reference > 0 else None

    @property
    def better(self) -> bool:
        """True if the system's value is better."""
        return self.difference < 0 if known_metrics()[self.metric].better == "lower" else self.difference > 0


def compare(
    data: VerificationData, scores: Mapping[str, VariableScores], against: str, method: str = "t-test"
) -> list[Comparison]:
    """Compare every other model with `against`, in all metrics that have a better side."""
    models = [system.name for system in data.systems if system.name != against]
    rows = [
        row
        for name, found in scores.items()
        for system in models
        if system in found.scores and against in found.scores
        for row in _of_variable(data, name, found, system, against, method)
    ]
    return _judged(rows)


def require_against(data: VerificationData, against: str | None) -> None:
    """Raise InputError unless `against` (if any) is a system or baseline, and another system is scored."""
    if against is None:
        return
    models = [system.name for system in data.systems]
    known = [
        *models,
        *(["persistence"] if data.stations is None else []),
        *(["climatology"] if data.climatology is not None else []),
    ]
    known += [HISTORY] if data.history is not None else []
    if against not in known:
        raise InputError(f"--against {against}: no such system, expected one of {', '.join(known)}")
    if models == [against]:
        raise InputError(f"--against {against}: no other system to compare with it")


def families(rows: Sequence[Comparison]) -> dict[tuple[str, str, Part], list[Comparison]]:
    """Comparisons by system, metric and part: those of one scorecard."""
    found: dict[tuple[str, str, Part], list[Comparison]] = {}
    for row in rows:
        found.setdefault((row.system, row.metric, row.part), []).append(row)
    return found


def intervals_of(
    data: VerificationData, found: VariableScores, system: str, metric: str, dates: np.ndarray, method: str
) -> Interval:
    """Confidence intervals of a metric, (lead_time, level, bin)."""
    return METHODS[method](_pseudo(found, system, metric, dates), CONFIDENCE)


def _pseudo(found: VariableScores, system: str, metric: str, dates: np.ndarray) -> np.ndarray:
    kept = found.kept(system, metric)
    where = dates.reshape(*dates.shape, *(1,) * (kept.ndim - 2))
    return pseudo_values(known_metrics()[metric], np.where(where, kept, np.nan), has_parts(kept))


def _of_variable(
    data: VerificationData, name: str, found: VariableScores, system: str, against: str, method: str
) -> Iterator[Comparison]:
    lead_hours, levels = hours(data.lead_times), data.levels(name)
    shared = [metric for metric in found.scores[system] if metric in found.scores[against] and metric != RANKS]
    for metric in (metric for metric in shared if known_metrics()[metric].better):
        for period, dates in data.periods.items():
            one, other = (_pseudo(found, who, metric, dates) for who in (system, against))
            interval = METHODS[method](one - other, CONFIDENCE)
            values, references = (
                known_metrics()[metric].finish(found.mean(who, metric, dates)) for who in (system, against)
            )
            counts = np.isfinite(one - other).sum(axis=0)
            usable = np.isfinite(values) & np.isfinite(references) & np.isfinite(interval.p)
            for at in map(tuple, np.argwhere(usable).tolist()):
                lead, level, place = at
                shift = float(values[at] - references[at] - interval.mean[at])  # of the jackknife, tiny
                yield Comparison(
                    system, against, name, levels[level], lead_hours[lead], metric, float(values[at]),
                    float(references[at]), float(values[at] - references[at]), float(interval.low[at]) + shift,
                    float(interval.high[at]) + shift, float(interval.p[at]), False, int(counts[at]),
                    data.bins[place], period,
                )  # fmt: skip


def _judged(rows: Sequence[Comparison]) -> list[Comparison]:
    """Comparisons with `significant` set, family by family."""
    return [
        replace(row, significant=bool(passed))
        for members in families(rows).values()
        for row, passed in zip(members, significant(np.array([row.p for row in members])), strict=True)
    ]


def read_comparisons(folder: str | Path) -> list[Comparison]:
    """Read the comparisons of a scores folder, if any. Raises InputError for an invalid file."""
    path = Path(folder) / COMPARISONS
    found: list[Comparison] = read_json(path, list[Comparison]) if path.exists() else []
    for i, one in enumerate(found):
        if not is_scored(one.variable):
            raise InputError(f"{path}: [{i}].variable is {one.variable!r}, which is not in the table of variables")
        if scored(one.variable).on_levels != (one.level is not None):
            raise InputError(f"{path}: [{i}].level is {one.level}, which {one.variable} cannot have")
        if one.metric not in known_metrics():
            raise InputError(f"{path}: [{i}].metric is {one.metric!r}, expected one of {', '.join(known_metrics())}")
        if not (one.system and one.against):
            raise InputError(f"{path}: [{i}] names no two systems")
    return found
