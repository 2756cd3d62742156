"""Scores of forecasts as an `xr.Dataset`, for notebooks."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from airmass.evaluation.evaluate import score
from airmass.evaluation.inputs import open_verification
from airmass.evaluation.scores import ScoreTable
from airmass.evaluation.scoring import score_variable
from airmass.fields.derived import scored

Files = str | Path | Sequence[str | Path]


def evaluate(
    forecast: Files,
    truth: str | Path,
    *,
    climatology: str | Path | None = None,
    lead_times: Sequence[str] | None = None,
    init_times: Sequence[str] | None = None,
) -> xr.Dataset:
    """Scores by variable, with dims (system, metric, lead_time, [level]); NaN where a metric is undefined.

    `forecast` is one or more files of one or more systems, deterministic or ensembles, as for `airmass evaluate`.
    Errors are in the variable's units, given in its attribute `units`; ratios and correlations are dimensionless.
    `lead_times` (such as 24h, 5d) and `init_times` choose the times to score. Raises InputError for inputs that do not
    fit together exactly.
    """
    files = [forecast] if isinstance(forecast, str | Path) else list(forecast)
    data = open_verification(files, truth, climatology, lead_times, init_times)
    return _labelled(score(data, {name: score_variable(data, name) for name in data.variables})[1])


def _labelled(table: ScoreTable) -> xr.Dataset:
    systems, metrics, hours = list(table.systems), list(table.metrics), list(table.hours)
    levels: dict[str, list[int]] = {}
    for name, level in table.channels:
        levels.setdefault(name, []).extend([] if level is None else [level])
    every = sorted({level for held in levels.values() for level in held})
    shape = len(systems), len(metrics), len(hours)
    fields = {name: np.full((*shape, len(every)) if held else shape, np.nan) for name, held in levels.items()}
    for s in table.scores:
        place = systems.index(s.system), metrics.index(s.metric), hours.index(s.lead_time_hours)
        fields[s.variable][(*place, every.index(s.level)) if s.level is not None else place] = s.value
    dims = ("system", "metric", "lead_time")
    coords = {
        "system": systems,
        "metric": metrics,
        "lead_time": (np.array(hours) * 3600e9).round().astype("timedelta64[ns]"),
        **({"level": ("level", every, {"units": "hPa"})} if every else {}),
    }
    return xr.Dataset(
        {
            name: ((*dims, "level") if values.ndim == 4 else dims, values, {"units": scored(name).units})
            for name, values in fields.items()
        },
        coords,
    )
