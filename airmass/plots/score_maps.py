"""Maps of scores: a row for each lead time, a column for each system."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, Colormap
from matplotlib.figure import Figure

from airmass.core.errors import InputError
from airmass.data.formats.forecast_reader import hours
from airmass.data.formats.layout import grid_of
from airmass.data.formats.opening import open_unchecked
from airmass.evaluation.maps import MAPS
from airmass.evaluation.metrics import known_metrics
from airmass.evaluation.scores import shown
from airmass.fields.derived import is_scored
from airmass.plots.axes import INK, PALE
from airmass.plots.globe import Globe, map_axes, show
from airmass.plots.maps import colour_bar, rectangle
from airmass.plots.style import Style, colours, difference_colours

_MAP, _GAP, _LEFT, _TOP, _BOTTOM, _HEAD = (3.4, 1.73), 0.1, 0.12, 0.7, 0.78, 0.28
_DIMS = ("system", "lead_time", "latitude", "longitude")
# Metrics that are drawn; the file has all.
DRAWN = ("rmse", "bias")


def read_score_maps(folder: str | Path) -> xr.Dataset | None:
    """Read the maps of a scores folder, if any. Raises InputError for a file in another layout."""
    path = Path(folder) / MAPS
    if not path.exists():
        return None
    maps = open_unchecked(path, dask=False)
    for name, field in maps.data_vars.items():
        metric, variable = field.attrs.get("metric"), field.attrs.get("variable")
        if field.dims != _DIMS or metric not in known_metrics() or not is_scored(str(variable)):
            raise InputError(f"{path}: {name} is no map of a score, of dims {_DIMS}, that airmass evaluate wrote")
    grid_of(maps, path)
    return maps


def score_map_figures(maps: xr.Dataset) -> dict[str, Figure]:
    """A figure for each drawn metric and field, by name such as `rmse_z500`."""
    globe = Globe(grid_of(maps, MAPS), 480)
    wanted = {str(name): field for name, field in maps.data_vars.items() if field.attrs["metric"] in DRAWN}
    return {name: _figure(globe, field.load(), name) for name, field in wanted.items()}


def _figure(globe: Globe, field: xr.DataArray, name: str) -> Figure:
    metric, variable = field.attrs["metric"], field.attrs["variable"]
    values = shown(metric, variable).factor * field.values.astype(np.float64)
    systems = [str(system) for system in field.system.values]
    held = [system for i, system in enumerate(systems) if np.isfinite(values[i]).any()]
    scale = scale_of(metric, variable, values)

    def draw(axes: Axes, system: str, row: int) -> None:
        show(axes, globe.image(values[systems.index(system), row]), *scale)

    return map_figure(metric, variable, name.partition("_")[2], held, hours(field.lead_time.values), scale, draw)


def scale_of(metric: str, variable: str, values: np.ndarray) -> tuple[Colormap, BoundaryNorm]:
    """Colours and limits of a score: both signs about white, or from 0 up."""
    signed = known_metrics()[metric].limits[0] is None
    units = shown(metric, variable).units
    return difference_colours(values) if signed else colours(Style(units, colours="YlOrRd"), values)


def map_figure(
    metric: str,
    variable: str,
    label: str,
    systems: Sequence[str],
    lead_hours: Sequence[float],
    scale: tuple[Colormap, BoundaryNorm],
    draw: Callable[[Axes, str, int], None],
) -> Figure:
    """Maps of one metric and field: a row for each lead time, a column for each system, on one colour scale.

    `draw(axes, system, row)` fills one map.
    """
    known, units = known_metrics()[metric], shown(metric, variable).units
    width = max(2 * _LEFT + len(systems) * (_MAP[0] + _GAP), 5.0)
    height = _TOP + len(lead_hours) * (_MAP[1] + _HEAD) + _BOTTOM
    figure = Figure(figsize=(width, height), dpi=100, facecolor="white")
    figure.text(_LEFT / width, 1 - 0.1 / height, f"{known.title} of {label}", fontsize=14, weight="bold", color=INK,
                va="top")  # fmt: skip
    for column, system in enumerate(systems):
        left = _LEFT + column * (_MAP[0] + _GAP)
        figure.text((left + _MAP[0] / 2) / width, 1 - 0.58 / height, system, fontsize=11, color=INK, ha="center")
        for row, hour in enumerate(lead_hours):
            bottom = height - _TOP - (row + 1) * (_MAP[1] + _HEAD)
            draw(map_axes(figure, rectangle(figure, left, bottom, *_MAP)), system, row)
            if column == 0:
                y = (bottom + _MAP[1] + 0.04) / height
                figure.text(left / width, y, f"{hour:g} h", fontsize=10, color=PALE)
    colour_bar(figure, scale, _LEFT + 0.4, width - 2 * _LEFT - 0.8, units or known.title)
    return figure
