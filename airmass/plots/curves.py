"""Scores against lead time: one panel a field, RMSE above anomaly correlation, every system in every panel."""

from collections.abc import Sequence
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from airmass.scores import BASELINES, HEADLINE_FIELDS, ScoreTable, quoted
from airmass.variables import VARIABLES

INK, PALE = "#1c1c1c", "#5f6570"

# Okabe and Ito's colours (2008), told apart by the colour-blind; dashes tell the baselines apart without any colour.
_MODELS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
_BASELINE_LINES = {"persistence": ("#7f7f7f", "--"), "climatology": ("#b08900", ":")}
_ACROSS = 4


def curve_figure(table: ScoreTable, fields: Sequence[str] = HEADLINE_FIELDS) -> Figure:
    """RMSE, and ACC where it was scored, of the named fields that were."""
    channels = table.headline_fields(fields) or dict(_first_channels(table))
    with_acc = "acc" in table.metrics
    across = max(1, min(_ACROSS, len(channels)))
    blocks = -(-len(channels) // across)
    rows = blocks * (2 if with_acc else 1)
    figure = Figure(figsize=(3.7 * across, 2.3 * rows + 0.8), dpi=100, facecolor="white", layout="constrained")
    panels = figure.subplots(rows, across, squeeze=False)
    lines = line_styles(table.systems)
    for panel in panels.flat:
        panel.set_visible(False)
    for i, (label, channel) in enumerate(channels.items()):
        block, column = divmod(i, across)
        row = block * (rows // blocks)
        _draw(panels[row, column], table, channel, "rmse", lines)
        panels[row, column].set_title(label, loc="left", fontsize=12, weight="bold", color=INK)
        panels[row, column].set_title(f"RMSE, {quoted(channel[0]).units}", loc="right", fontsize=9, color=PALE)
        if with_acc:
            _draw(panels[row + 1, column], table, channel, "acc", lines)
            panels[row + 1, column].set_title("anomaly correlation", loc="right", fontsize=9, color=PALE)
    handles = [panels[0, 0].plot([], [], label=system, **lines[system])[0] for system in table.systems]
    figure.legend(handles=handles, loc="outside upper left", ncols=len(handles), frameon=False, fontsize=11)
    return figure


def _first_channels(table: ScoreTable) -> list[tuple[str, tuple[str, int | None]]]:
    """A few of what was scored, for scores that hold none of the named fields."""
    return [(VARIABLES[name].short_name + str(level or ""), (name, level)) for name, level in table.channels[:_ACROSS]]


def line_styles(systems: Sequence[str]) -> dict[str, dict]:
    """A colour and dash for each system: full lines for models, dashed ones for the baselines."""
    colours = cycle(_MODELS)
    styles: dict[str, dict] = {}
    for system in systems:
        if system in BASELINES:
            colour, dashes = _BASELINE_LINES[system]
            styles[system] = {"color": colour, "linestyle": dashes, "linewidth": 1.7}
        else:
            styles[system] = {"color": next(colours), "linestyle": "-", "linewidth": 2.2}
    return styles


def _draw(panel: Axes, table: ScoreTable, channel: tuple[str, int | None], metric: str, lines: dict[str, dict]) -> None:
    panel.set_visible(True)
    factor = quoted(channel[0]).factor if metric == "rmse" else 1.0
    for system, style in lines.items():
        hours, values = table.curve(system, channel, metric)
        marker = "o" if len(hours) < 5 else None
        panel.plot(np.array(hours) / 24, factor * np.array(values), marker=marker, markersize=4, **style)
    last = max(table.hours) / 24
    panel.set_xlim(0, last)
    panel.set_xticks(np.arange(0, last + 1e-9, 1 if last <= 5 else 2))
    panel.set_xlabel("lead time, days", fontsize=9, color=PALE)
    if metric == "rmse":
        panel.set_ylim(bottom=0)
    else:
        panel.set_ylim(top=1.0)
        panel.axhline(0.6, color="#9a9a9a", linewidth=1.1, zorder=0)  # below it, little synoptic skill is left
    panel.grid(color="#e6e6e6", linewidth=0.7)
    panel.set_axisbelow(True)
    panel.tick_params(labelsize=9, colors=PALE, length=0)
    for side, spine in panel.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color("#c8c8c8")
