"""Small panels side by side, quiet and alike: what all figures of curves share."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

INK, PALE = "#1c1c1c", "#5f6570"
ACROSS = 4


def panel_rows(columns: int, rows: int, height: float = 2.3) -> tuple[Figure, list[list[Axes]]]:
    """A figure with `columns` columns of `rows` panels each, wrapped after four; the panels by column."""
    across = max(1, min(ACROSS, columns))
    blocks = -(-columns // across)
    size = (3.7 * across, height * rows * blocks + 0.8)
    figure = Figure(figsize=size, dpi=100, facecolor="white", layout="constrained")
    panels = figure.subplots(rows * blocks, across, squeeze=False)
    for panel in panels.flat:
        panel.set_visible(False)
    found = []
    for block, column in (divmod(i, across) for i in range(columns)):
        found.append([panels[block * rows + row, column] for row in range(rows)])
    for panel in (panel for column in found for panel in column):
        panel.set_visible(True)
        quiet(panel)
    return figure, found


def quiet(panel: Axes) -> None:
    """Pale grid and ticks, and no frame but the axes."""
    panel.grid(color="#e6e6e6", linewidth=0.7)
    panel.set_axisbelow(True)
    panel.tick_params(labelsize=9, colors=PALE, length=0)
    for side, spine in panel.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color("#c8c8c8")


def lead_axis(panel: Axes, last_hour: float) -> None:
    """Lead time in days from 0 along the bottom."""
    last = max(last_hour, 1) / 24
    panel.set_xlim(0, last)
    panel.set_xticks(np.arange(0, last + 1e-9, 1 if last <= 5 else 2))
    panel.set_xlabel("lead time, days", fontsize=9, color=PALE)


def legend(figure: Figure, styles: Mapping[str, dict], title: str = "") -> None:
    """One line above all panels that says which line is what; below them under a figure with a `title`."""
    handles = [Line2D([], [], label=label, **style) for label, style in styles.items()]
    figure.legend(
        handles=handles, loc="outside lower left" if title else "outside upper left", ncols=min(6, len(handles)),
        frameon=False, fontsize=11,
    )  # fmt: skip
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=13, weight="bold", color=INK)
