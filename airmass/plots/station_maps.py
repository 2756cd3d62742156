"""Maps of scores by station: a row for each lead time, a column for each system."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from airmass.core.errors import InputError
from airmass.evaluation.maps import STATION_SCORES
from airmass.evaluation.metrics import known_metrics
from airmass.evaluation.scores import shown
from airmass.fields.derived import is_scored, scored
from airmass.plots.globe import PROJECTION, SPHERE
from airmass.plots.score_maps import DRAWN, map_figure, scale_of

_COLUMNS = ("station", "latitude", "longitude", "system", "variable", "lead_time_hours", "metric", "value")


def read_station_scores(folder: str | Path) -> pd.DataFrame | None:
    """Read the scores by station of a scores folder, if any. Raises InputError for a file in another layout."""
    path = Path(folder) / STATION_SCORES
    if not path.exists():
        return None
    try:
        held = pd.read_csv(path, dtype={"station": str, "system": str})
    except (ValueError, UnicodeDecodeError) as error:  # pandas' parser errors are ValueErrors
        raise InputError(f"{path}: cannot be read: {' '.join(str(error).split())}") from None
    if absent := [name for name in _COLUMNS if name not in held]:
        raise InputError(f"{path}: missing column {', '.join(absent)}, expected what airmass evaluate wrote")
    for name in ("latitude", "longitude", "lead_time_hours", "value"):
        if not (pd.api.types.is_numeric_dtype(held[name]) and np.isfinite(held[name]).all()):
            raise InputError(f"{path}: {name} has values that are no numbers")
    for name, known in (("metric", known_metrics().__contains__), ("variable", is_scored)):
        if unknown := sorted(value for value in held[name].astype(str).unique() if not known(value)):
            raise InputError(f"{path}: {name} is {unknown[0]!r}, which airmass does not score")
    return held


def station_figures(held: pd.DataFrame) -> dict[str, Figure]:
    """A figure for each drawn metric and variable, by name such as `rmse_2t`."""
    wanted = held[held.metric.isin(DRAWN)]
    return {
        f"{metric}_{scored(variable).short_name}": _figure(rows, metric, variable)
        for (metric, variable), rows in wanted.groupby(["metric", "variable"], sort=False)
    }


def _figure(held: pd.DataFrame, metric: str, variable: str) -> Figure:
    units = shown(metric, variable)
    hours, systems = sorted(held.lead_time_hours.unique()), list(held.system.unique())
    scale = scale_of(metric, variable, units.factor * held.value.to_numpy())

    def draw(axes: Axes, system: str, row: int) -> None:
        here = held[(held.system == system) & (held.lead_time_hours == hours[row])]
        x, y, _ = PROJECTION.transform_points(SPHERE, here.longitude.to_numpy(float), here.latitude.to_numpy(float)).T
        size = float(np.clip(9000 / max(len(here), 1), 4, 40))
        axes.scatter(
            x, y, s=size, c=units.factor * here.value, cmap=scale[0], norm=scale[1], zorder=5,
            edgecolors="#303030", linewidths=0.3,
        )  # fmt: skip

    return map_figure(metric, variable, scored(variable).short_name, systems, hours, scale, draw)
