"""Scores against lead time: one panel per field and metric, with every system."""

from collections.abc import Collection, Sequence
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from airmass.evaluation.metrics import Metric
from airmass.evaluation.scores import BASELINES, HEADLINE_FIELDS, ScoreTable, shown
from airmass.fields.derived import scored
from airmass.plots.axes import ACROSS, INK, PALE, lead_axis, legend, panel_rows

# Okabe and Ito's (2008) colours for colour-blind readers; baselines are dashed, so that they differ without colour.
_MODELS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
_BASELINE_LINES = {"persistence": ("#7f7f7f", "--"), "climatology": ("#b08900", ":"),
                   "probabilistic_climatology": ("#6b4f00", "-.")}  # fmt: skip


def curve_figure(table: ScoreTable, fields: Sequence[str] = HEADLINE_FIELDS) -> Figure:
    """Plot the headline metrics of those of `fields` that were scored, except those of ensembles alone."""
    wanted = [metric for metric in table.headline_metrics if metric.least_members == 1]
    channels = channels_of(table, fields)
    lines = line_styles(table.systems)
    figure, panels = panel_rows(len(channels), len(wanted))
    for column, (label, channel) in zip(panels, channels.items(), strict=True):
        column[0].set_title(label, loc="left", fontsize=12, weight="bold", color=INK)
        for panel, metric in zip(column, wanted, strict=True):
            units = shown(metric.name, channel[0]).units
            panel.set_title(f"{metric.title}, {units}" if units else metric.title, loc="right", fontsize=9, color=PALE)
            _draw(panel, table, channel, metric, lines)
    legend(figure, {system: lines[system] for system in table.systems})
    return figure


def channels_of(
    table: ScoreTable, fields: Sequence[str] = HEADLINE_FIELDS, among: Collection[tuple[str, int | None]] | None = None
) -> dict[str, tuple[str, int | None]]:
    """Label -> channel of `fields` that are `among` the given channels (default: all scored); the first four if none
    is.
    """
    held = [channel for channel in table.channels if among is None or channel in among]
    named = {label: channel for label, channel in table.headline_fields(fields).items() if channel in held}
    return named or {scored(name).short_name + str(level or ""): (name, level) for name, level in held[:ACROSS]}


def line_styles(systems: Sequence[str]) -> dict[str, dict]:
    """Line style of each system: solid for models, dashed for baselines."""
    colours = cycle(_MODELS)
    styles: dict[str, dict] = {}
    for system in systems:
        if system in BASELINES:
            colour, dashes = _BASELINE_LINES[system]
            styles[system] = {"color": colour, "linestyle": dashes, "linewidth": 1.7}
        else:
            styles[system] = {"color": next(colours), "linestyle": "-", "linewidth": 2.2}
    return styles


def draw_curve(
    panel: Axes, table: ScoreTable, system: str, channel: tuple[str, int | None], metric: str, style: dict
) -> None:
    """Draw one system's metric against lead time in days, in display units, with markers if these are few."""
    factor = shown(metric, channel[0]).factor
    hours, values = table.curve(system, channel, metric)
    marker = "o" if len(hours) < 5 else None
    panel.plot(np.array(hours) / 24, factor * np.array(values), marker=marker, markersize=4, **style)
    held = [(s.lead_time_hours, s.low, s.high) for s in (table.find(system, channel, h, metric) for h in hours) if s]
    banded = [(hour, low, high) for hour, low, high in held if low is not None and high is not None]
    if banded:
        lead, low, high = np.array(banded).T
        panel.fill_between(lead / 24, factor * low, factor * high, color=style["color"], alpha=0.18, linewidth=0)


def _draw(
    panel: Axes, table: ScoreTable, channel: tuple[str, int | None], metric: Metric, lines: dict[str, dict]
) -> None:
    for system, style in lines.items():
        draw_curve(panel, table, system, channel, metric.name, style)
    lead_axis(panel, max(table.hours))
    finish_panel(panel, metric)


def finish_panel(panel: Axes, metric: Metric) -> None:
    """Set the ends of the axis of a metric, and draw its guide."""
    bottom, top = metric.limits
    panel.set_ylim(bottom=bottom, top=top)
    if metric.guide is not None:
        panel.axhline(metric.guide, color="#9a9a9a", linewidth=1.1, zorder=0)
