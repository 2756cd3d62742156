"""Panels, axes and legends that all figures of curves share."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

INK, PALE = "#1c1c1c", "#5f6570"
ACROSS = 4


def panel_rows(columns: int, rows: int, height: float = 2.3) -> tuple[Figure, list[list[Axes]]]:
    """Make a figure with `columns` columns of `rows` panels, four columns side by side; return it and its panels by
    column.
    """
    across = max(1, min(ACROSS, columns))
    blocks = -(-columns // across)
    size = (3.7 * across, height * rows * blocks + 0.8)
    figure = Figure(figsize=size, dpi=100, facecolor="white", layout="constrained")
    panels = figure.subplots(rows * blocks, across, squeeze=False)
    for panel in panels.flat:
        panel.set_visible(False)
    by_column = []
    for block, column in (divmod(i, across) for i in range(columns)):
        by_column.append([panels[block * rows + row, column] for row in range(rows)])
    for panel in (panel for column in by_column for panel in column):
        panel.set_visible(True)
        style_panel(panel)
    return figure, by_column


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
    figure.legend(
        handles=handles, loc="outside lower left" if title else "outside upper left", ncols=min(6, len(handles)),
        frameon=False, fontsize=11,
    )  # fmt: skip
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=13, weight="bold", color=INK)
