"""Panels, axes and legends that all figures of curves share."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

INK, PALE = "#1c1c1c", "#5f6570"
ACROSS = 4

# Inches. Panels have fixed places: matplotlib's constrained layout takes four fifths of the time of a figure.
_PANEL, _RIGHT, _TITLE, _BELOW = 3.7, 0.12, 0.3, 0.55
_NUMBERS, _AXIS_NAME = 0.58, 0.2
_BETWEEN = _TITLE + 0.45
_LINE, _EDGE = 0.24, 0.12  # of a legend
_HANDLE, _LETTER = 0.7, 0.088


def panel_rows(columns: int, rows: int, height: float = 2.3, named: bool = False) -> tuple[Figure, list[list[Axes]]]:
    """Make a figure with `columns` columns of `rows` panels, four columns side by side; return it and its panels by
    column.

    `named` leaves room for the name of the vertical axis.
    """
    across = max(1, min(ACROSS, columns))
    blocks = -(-columns // across)
    size = (_PANEL * across, height * rows * blocks + 0.8)
    figure = Figure(figsize=size, dpi=100, facecolor="white")
    panels = figure.subplots(rows * blocks, across, squeeze=False)
    left = _NUMBERS + (_AXIS_NAME if named else 0)
    width = (size[0] - across * left - _RIGHT) / across
    figure.subplots_adjust(left=left / size[0], right=1 - _RIGHT / size[0], wspace=left / width)
    _between(figure, _TITLE, _BELOW)
    for panel in panels.flat:
        panel.set_visible(False)
    by_column = []
    for block, column in (divmod(i, across) for i in range(columns)):
        by_column.append([panels[block * rows + row, column] for row in range(rows)])
    for panel in (panel for column in by_column for panel in column):
        panel.set_visible(True)
        style_panel(panel)
    return figure, by_column


def _between(figure: Figure, above: float, below: float) -> None:
    """Place the rows of panels, with `above` and `below` inches left free."""
    height, grid = figure.get_figheight(), figure.axes[0].get_gridspec()
    rows = 1 if grid is None else grid.nrows
    panel = (height - above - below - (rows - 1) * _BETWEEN) / rows
    figure.subplots_adjust(top=1 - above / height, bottom=below / height, hspace=_BETWEEN / panel)


def style_panel(panel: Axes) -> None:
    """Style a panel: pale grid and ticks, only the left and bottom spines."""
    panel.grid(color="#e6e6e6", linewidth=0.7)
    panel.set_axisbelow(True)
    panel.tick_params(labelsize=9, colors=PALE, length=0)
    for side, spine in panel.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color("#c8c8c8")


def lead_axis(panel: Axes, last_hour: float) -> None:
    """Label the x axis as lead time in days, from 0."""
    last = max(last_hour, 1) / 24
    panel.set_xlim(0, last)
    panel.set_xticks(np.arange(0, last + 1e-9, 1 if last <= 5 else 2))
    panel.set_xlabel("lead time, days", fontsize=9, color=PALE)


def legend(figure: Figure, styles: Mapping[str, dict], title: str = "") -> None:
    """Draw one legend above all panels, or below them if the figure has a `title`."""
    handles = [Line2D([], [], label=label, **style) for label, style in styles.items()]
    width, height = figure.get_size_inches()
    fitting = int(width / (_HANDLE + _LETTER * max(map(len, styles))))
    columns = max(1, min(6, len(handles), fitting))
    room = _EDGE + _LINE * -(-len(handles) // columns)
    figure.legend(
        handles=handles, loc="lower left" if title else "upper left", ncols=columns, frameon=False, fontsize=11,
        bbox_to_anchor=(0, 0.04 / height if title else 1 - 0.04 / height), borderaxespad=0,
    )  # fmt: skip
    if title:
        figure.suptitle(title, x=0.01, y=1 - 0.1 / height, ha="left", va="top", fontsize=13, weight="bold", color=INK)
    _between(figure, _TITLE + (0.35 if title else room), _BELOW + (room if title else 0))
