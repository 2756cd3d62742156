"""Spread and error, and rank histograms: whether an ensemble is under- or overdispersive."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from airmass.evaluation.scores import RankHistogram, ScoreTable, quoted
from airmass.plots.axes import ACROSS, INK, PALE, lead_axis, legend, panel_rows
from airmass.plots.curves import channels_of, draw_curve, line_styles

_SPREAD = {"linestyle": "--", "linewidth": 1.8}


def spread_figure(table: ScoreTable) -> Figure:
    """Plot spread and RMSE of the mean of every ensemble, and below them their ratio, which should be 1."""
    channels = channels_of(table, among={(s.variable, s.level) for s in table.scores if s.metric == "spread"})
    systems = [s.system for s in table.scores if s.metric == "spread"]
    lines = {system: style for system, style in line_styles(table.systems).items() if system in systems}
    figure, panels = panel_rows(len(channels), 2)
    for (above, below), (label, channel) in zip(panels, channels.items(), strict=True):
        for system, style in lines.items():
            draw_curve(above, table, system, channel, "rmse", style)
            draw_curve(above, table, system, channel, "spread", style | _SPREAD)
            draw_curve(below, table, system, channel, "spread_skill", style)
        above.set_title(label, loc="left", fontsize=12, weight="bold", color=INK)
        above.set_title(quoted(channel[0]).units, loc="right", fontsize=9, color=PALE)
        below.set_title("spread / RMSE, 1 is right", loc="right", fontsize=9, color=PALE)
        below.axhline(1, color="#9a9a9a", linewidth=1.1, zorder=0)
        above.set_ylim(bottom=0)
        below.set_ylim(0, max(1.5, below.get_ylim()[1]))
        for panel in (above, below):
            lead_axis(panel, max(table.hours))
    full = {f"{system}: RMSE of the mean": style for system, style in lines.items()}
    legend(figure, full | {f"{system}: spread": style | _SPREAD for system, style in lines.items()})
    return figure


def rank_figure(histograms: Sequence[RankHistogram], table: ScoreTable) -> Figure:
    """Plot rank histograms: a row per headline field, a column per headline lead time (up to four), a line per system.

    Heights are shares of the area times the number of ranks, so a flat histogram is at 1 for any number of members.
    """
    held = {(h.system, h.variable, h.level, h.lead_time_hours): h.shares for h in histograms}
    systems = list(dict.fromkeys(h.system for h in histograms))
    lines = {system: style for system, style in line_styles(table.systems).items() if system in systems}
    channels = channels_of(table, among={(h.variable, h.level) for h in histograms})
    hours = [hour for hour in table.headline_hours if hour >= 24][-ACROSS:] or table.headline_hours[-ACROSS:]
    figure, panels = panel_rows(len(hours), len(channels), 1.9)
    for column, hour in zip(panels, hours, strict=True):
        for panel, (label, channel) in zip(column, channels.items(), strict=True):
            top = 2.0
            for system, style in lines.items():
                if (shares := held.get((system, *channel, hour))) is None:
                    continue
                heights = np.array(shares) * len(shares)
                panel.stairs(heights, np.linspace(0, 1, len(shares) + 1), fill=len(lines) == 1, **_stairs(style, lines))
                top = max(top, 1.08 * heights.max())
            panel.axhline(1, color="#1c1c1c", linewidth=1.1, linestyle="--")
            panel.set(xlim=(0, 1), ylim=(0, min(top, 6)), xticks=[0, 1], xticklabels=["below all", "above all"])
            below, above = panel.get_xticklabels()
            below.set_horizontalalignment("left")
            above.set_horizontalalignment("right")
            panel.set_title(label, loc="left", fontsize=12, weight="bold", color=INK)
            panel.set_title(f"{hour:g} h" if hour < 48 else f"day {hour / 24:g}", loc="right", fontsize=10, color=PALE)
    legend(figure, {f"truth among the members of {system}": style for system, style in lines.items()})
    return figure


def _stairs(style: dict, lines: dict) -> dict:
    return {"color": style["color"], "linewidth": 1.8} if len(lines) > 1 else {"color": style["color"], "alpha": 0.75}
