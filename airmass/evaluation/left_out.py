"""Record of values left out of an evaluation for lack of data: which, when and why."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from airmass.data.formats.forecast_reader import hours
from airmass.data.formats.layout import minute
from airmass.evaluation.inputs import VerificationData
from airmass.evaluation.metrics import known_metrics
from airmass.evaluation.scores import LeftOut
from airmass.evaluation.scoring import CLIMATOLOGY, QUANTILES, START, TRUTH, VariableScores

THESE = "these initial times"

# Source without values -> (reason, at the valid or initial time, scores that need it).
_LACKS = {
    TRUTH: ("the truth has no values", "valid", "everything"),
    START: ("the truth lacks values", "initial", "persistence"),
    CLIMATOLOGY: ("the climatology lacks values", "valid", "climatology and anomaly correlation"),
    QUANTILES: ("the climatological quantiles lack values", "valid", "extremes"),
}


def left_out(data: VerificationData, name: str, scores: VariableScores) -> Iterator[LeftOut]:
    """Yield all values of one variable that were left out, by lead time and reason, with levels grouped."""
    for lead, hour in enumerate(hours(data.lead_times)):
        levels: dict[tuple[tuple[int, ...], str, str], list[int | None]] = defaultdict(list)
        for row, level in enumerate(data.levels(name)):
            lacking, given_up = scores.lacking[:, lead, row], int(scores.given_up[lead, row])
            for bit, (lacks, kind, needed_by) in _LACKS.items():
                reason = f"{lacks} at the {kind} time"
                if given_up & bit:
                    levels[tuple(np.flatnonzero(lacking & bit).tolist()), needed_by, reason].append(level)
                elif not given_up & TRUTH and (missing := np.flatnonzero(lacking & bit)).size:
                    levels[tuple(missing.tolist()), THESE, reason].append(level)
        for (inits, what, reason), held in levels.items():
            times = [minute(data.init_times[i]) for i in inits]
            yield LeftOut(name, _numbers(held), hour, times, what, reason)


def undefined(data: VerificationData, name: str, scores: VariableScores) -> Iterator[LeftOut]:
    """Yield metrics that are undefined with complete data, such as a correlation of a field without anomalies."""
    for system, metric, values in scores.values():
        if np.isfinite(values[:, :, 0]).all():
            continue
        for lead, hour in enumerate(hours(data.lead_times)):
            rows = [
                level
                for row, level in enumerate(data.levels(name))
                if not np.isfinite(values[lead, row, 0])
                and not any(_needs(bit, system, metric) for bit in _LACKS if scores.given_up[lead, row] & bit)
            ]
            if rows:
                what = f"{metric} of {system}"
                yield LeftOut(name, _numbers(rows), hour, [], what, "undefined for one initial time or more")


def sentences(found: Sequence[LeftOut], data: VerificationData) -> Iterator[str]:
    """Yield one sentence for each variable, kind and reason, for the user."""
    together: dict[tuple[str, str, str], list[LeftOut]] = defaultdict(list)
    for one in found:
        together[one.variable, one.what, one.reason].append(one)
    for (variable, what, reason), group in together.items():
        leads = len({one.lead_time_hours for one in group})
        where = f"at {leads} of {len(data.lead_times)} lead times"
        if what == THESE:
            forecasts = {(one.lead_time_hours, time) for one in group for time in one.init_times}
            count = f"{len(forecasts)} of {len(data.lead_times) * len(data.init_times)} forecasts"
            yield f"{variable}: {count} ({where}) count for no system, as {reason} ({_first(group)})."
        else:
            yield f"{variable}: not scored {where}: {what}, as {reason}."


def _first(group: Sequence[LeftOut]) -> str:
    """Text with the first of the times that lack values and the number of others."""
    times = {
        np.datetime64(time, "m") + (round(60 * one.lead_time_hours) if "valid" in one.reason else 0)
        for one in group
        for time in one.init_times
    }
    return f"{min(times)}{f' and {len(times) - 1} more' if len(times) > 1 else ''}"


def _needs(bit: int, system: str, metric: str) -> bool:
    known = known_metrics()[metric]
    return {
        TRUTH: True,
        START: system == "persistence",
        CLIMATOLOGY: system == "climatology" or known.needs_climatology,
        QUANTILES: known.quantile is not None or known.needs_quantiles,
    }[bit]


def _numbers(levels: Sequence[int | None]) -> list[int] | None:
    """Levels in hPa; None for a variable without levels."""
    return [level for level in levels if level is not None] or None
