"""Maps of forecast, truth and difference side by side, a row for each lead time."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, Colormap
from matplotlib.figure import Figure

from airmass.plots.axes import INK, PALE
from airmass.plots.fields import Frame
from airmass.plots.globe import Globe, Rectangle, map_axes, show
from airmass.plots.style import Style, colours, difference_colours, spacing, style_of, title_of

Scale = tuple[Colormap, BoundaryNorm]

# All in inches.
_MAP, _GAP, _LEFT, _TOP, _BOTTOM, _ROW_HEAD = (4.9, 2.49), 0.12, 0.12, 0.68, 0.72, 0.3
_WIDTH = 2 * _LEFT + 3 * _MAP[0] + 2 * _GAP


def map_figure(globe: Globe, frames: Sequence[Frame]) -> Figure:
    """Plot maps of one field: forecast, truth and forecast - truth at each lead time, with two common colour scales."""
    style = style_of(frames[0].variable)
    height = _TOP + len(frames) * (_MAP[1] + _ROW_HEAD) + _BOTTOM
    figure = Figure(figsize=(_WIDTH, height), dpi=100, facecolor="white")
    scale = colours(style, *(style.shown(field) for frame in frames for field in (frame.forecast, frame.truth)))
    difference = difference_colours(np.stack([style.shown_difference(f.forecast - f.truth) for f in frames]))
    for row, frame in enumerate(frames):
        bottom = height - _TOP - (row + 1) * (_MAP[1] + _ROW_HEAD)
        _draw_row(figure, globe, frame, bottom, scale, difference)
    _headings(figure, frames[0], height)
    colour_bar(figure, scale, _LEFT + 0.9, 2 * _MAP[0] + _GAP - 1.8, style.units)
    colour_bar(figure, difference, _left(2) + 0.5, _MAP[0] - 1.0, f"forecast − truth, {style.difference_units}")
    return figure


def _draw_row(figure: Figure, globe: Globe, frame: Frame, bottom: float, scale: Scale, difference: Scale) -> None:
    style = style_of(frame.variable)
    forecast, truth = (globe.image(style.shown(field)) for field in (frame.forecast, frame.truth))
    error = globe.image(style.shown_difference(frame.forecast - frame.truth))
    for column, (image, chosen, lines) in enumerate(
        ((forecast, scale, forecast), (truth, scale, truth), (error, difference, truth))
    ):
        axes = map_axes(figure, rectangle(figure, _left(column), bottom, *_MAP))
        show(axes, image, *chosen)
        if style.isolines:
            isolines(axes, globe, lines, style, faint=column == 2)
    width, height = figure.get_size_inches()
    y = (bottom + _MAP[1] + 0.06) / height
    figure.text(_left(0) / width, y, frame.lead_text, fontsize=12, weight="bold", color=INK)
    figure.text((_left(1)) / width, y, f"valid {frame.valid_text}", fontsize=11, color=PALE)
    value = frame.rmse(globe.grid)
    rmse = f"RMSE {value:.3g} {style.difference_units}" if np.isfinite(value) else "no values to compare"
    figure.text((_left(3) - _GAP) / width, y, rmse, fontsize=11, color=PALE, ha="right")


def isolines(axes: Axes, globe: Globe, image: np.ma.MaskedArray, style: Style, faint: bool) -> None:
    """Draw isolines at the style's spacing; `faint` ones without labels."""
    if not image.count():
        return
    step = spacing(style, image.min(), image.max())
    levels = np.arange(np.floor(image.min() / step), np.ceil(image.max() / step) + 1) * step
    lines = axes.contour(
        globe.x[::3], globe.y[::3], image[::3, ::3], levels=levels,
        colors="#7a7a7a" if faint else "#202020", linewidths=0.35 if faint else 0.6, zorder=2,
    )  # fmt: skip
    if not faint:
        axes.clabel(lines, levels[::3], fontsize=6, fmt="%g", inline_spacing=2)


def _headings(figure: Figure, frame: Frame, height: float) -> None:
    title = title_of(frame.variable, frame.level)
    figure.text(_LEFT / _WIDTH, 1 - 0.12 / height, title, fontsize=16, weight="bold", color=INK, va="top")
    start = f"initial time {frame.init_text}"
    figure.text(1 - _LEFT / _WIDTH, 1 - 0.14 / height, start, fontsize=12, color=PALE, va="top", ha="right")
    for column, text in enumerate((frame.forecast_text, "Truth", "Forecast − truth")):
        middle = (_left(column) + _MAP[0] / 2) / _WIDTH
        figure.text(middle, 1 - 0.56 / height, text, fontsize=13, color=INK, ha="center", va="center")


def colour_bar(figure: Figure, scale: Scale, left: float, width: float, label: str) -> None:
    """Draw a colour bar near the bottom; `left` and `width` in inches."""
    axes = figure.add_axes(rectangle(figure, left, 0.48, width, 0.14))
    cmap, norm = scale
    bar = figure.colorbar(ScalarMappable(norm, cmap), cax=axes, orientation="horizontal", spacing="uniform")
    bar.set_ticks(_ticks(norm).tolist(), labels=[f"{tick:g}" for tick in _ticks(norm)])
    bar.set_label(label, fontsize=11, color=INK, labelpad=1)
    bar.outline.set_linewidth(0.6)
    bar.ax.tick_params(labelsize=9, length=2, colors=INK)


def _ticks(norm: BoundaryNorm) -> np.ndarray:
    """At most twelve edges of the colour steps, rounded to remove floating-point noise."""
    edges = np.asarray(norm.boundaries)
    every = -(-len(edges) // 12)
    rounded = np.array([float(f"{edge:.6g}") for edge in edges])
    first = int(np.argmin(np.abs(rounded))) % every
    return rounded[first::every]


def _left(column: int) -> float:
    return _LEFT + column * (_MAP[0] + _GAP)


def rectangle(figure: Figure, left: float, bottom: float, width: float, height: float) -> Rectangle:
    """Rectangle in inches, converted to figure fractions."""
    across, up = figure.get_size_inches()
    return left / across, bottom / up, width / across, height / up
