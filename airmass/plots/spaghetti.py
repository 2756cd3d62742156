"""Spaghetti: one isoline of every member on one map, which fans out where the forecast is uncertain."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from airmass.plots.axes import INK, PALE
from airmass.plots.fields import Frame
from airmass.plots.globe import Globe, map_axes
from airmass.plots.maps import rectangle
from airmass.plots.style import style_of, title_of

# Isolines in display units: subtropical ridge, main jet and polar vortex; the freezing line; deep lows.
LINES = {
    ("geopotential", 500): (576.0, 552.0, 528.0),
    ("temperature", 850): (0.0,),
    ("mean_sea_level_pressure", None): (990.0,),
}
_COLOURS = ("#c8442c", "#1f77b4", "#7b3fa0")

# All in inches.
_MAP, _GAP, _LEFT, _TOP, _BOTTOM, _HEAD, _ACROSS = (7.2, 3.66), 0.14, 0.12, 0.5, 0.42, 0.3, 2
_WIDTH = 2 * _LEFT + _ACROSS * _MAP[0] + (_ACROSS - 1) * _GAP


def spaghetti_figure(globe: Globe, frames: Sequence[Frame]) -> Figure:
    """Plot a map for each lead time: thin coloured lines are members, black ones the truth. Needs members."""
    first = frames[0]
    across = min(_ACROSS, len(frames))
    rows = -(-len(frames) // across)
    width, height = _WIDTH - (_ACROSS - across) * (_MAP[0] + _GAP), _TOP + rows * (_MAP[1] + _HEAD) + _BOTTOM
    figure = Figure(figsize=(width, height), dpi=100, facecolor="white")
    for i, frame in enumerate(frames):
        row, column = divmod(i, across)
        left, bottom = _LEFT + column * (_MAP[0] + _GAP), height - _TOP - (row + 1) * (_MAP[1] + _HEAD)
        _draw(map_axes(figure, rectangle(figure, left, bottom, *_MAP)), globe, frame)
        y = (bottom + _MAP[1] + 0.05) / height
        figure.text(left / width, y, frame.lead_text, fontsize=12, weight="bold", color=INK)
        figure.text((left + _MAP[0]) / width, y, f"valid {frame.valid_text}", fontsize=11, color=PALE, ha="right")
    title = title_of(first.variable, first.level)
    figure.text(_LEFT / width, 1 - 0.12 / height, title, fontsize=16, weight="bold", color=INK, va="top")
    start = f"from {first.init_text}"
    figure.text(1 - _LEFT / width, 1 - 0.14 / height, start, fontsize=12, color=PALE, va="top", ha="right")
    _legend(figure, first)
    return figure


def _draw(axes: Axes, globe: Globe, frame: Frame) -> None:
    assert frame.members is not None
    style, lines = style_of(frame.variable), LINES[frame.variable.name, frame.level]
    colours, alpha = _COLOURS[: len(lines)], max(0.3, min(0.9, 12 / len(frame.members)))
    styles = [(member, colours, 0.8, alpha, 4) for member in frame.members] + [(frame.truth, "#000000", 1.7, 1.0, 5)]
    for field, colour, width, opacity, order in styles:
        image = globe.image(style.shown(field))[::2, ::2]
        for level, chosen in zip(lines, colour if isinstance(colour, tuple) else (colour,) * len(lines), strict=True):
            if image.min() < level < image.max():
                axes.contour(
                    globe.x[::2], globe.y[::2], image, levels=[level], colors=chosen,
                    linewidths=width, linestyles="solid", alpha=opacity, zorder=order,
                )  # fmt: skip


def _legend(figure: Figure, frame: Frame) -> None:
    assert frame.members is not None
    units, lines = style_of(frame.variable).units, LINES[frame.variable.name, frame.level]
    handles = [
        Line2D([], [], color=c, linewidth=1.4, label=f"{x:g} {units}, {len(frame.members)} members")
        for x, c in zip(lines, _COLOURS, strict=False)
    ]
    handles.append(Line2D([], [], color="#000000", linewidth=1.8, label="truth"))
    figure.legend(handles=handles, loc="lower center", ncols=len(handles), frameon=False, fontsize=11)
