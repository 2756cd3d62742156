"""Probability forecasts of events: reliability diagrams, ROC curves and relative economic value."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from airmass.evaluation.metrics.events import economic_value, rates
from airmass.evaluation.scores import EventTable, ScoreTable
from airmass.fields.derived import scored
from airmass.plots.axes import ACROSS, INK, PALE, legend, panel_rows
from airmass.plots.curves import line_styles

# Events that are drawn; the file has all.
DRAWN = ("below_0.1", "above_0.9", "above_1mm", "above_10mm")
_RATIOS = np.geomspace(0.005, 0.995, 60)
_GUIDE: dict = {"color": "#1c1c1c", "linewidth": 1.1, "linestyle": "--", "zorder": 0}

_Event = tuple[str, int | None, str]
_Draw = Callable[[Axes, EventTable, dict], None]


def event_figures(tables: Sequence[EventTable], scores: ScoreTable) -> dict[str, Figure]:
    """Figures by name: a row for each event, a column for each headline lead time (up to four), a line per system."""
    tables = [table for table in tables if table.event in DRAWN]
    if not tables:
        return {}
    drawn = {"reliability": _reliability, "roc": _roc, "value": _value}
    return {name: _figure(tables, scores, draw) for name, draw in drawn.items()}


def _figure(tables: Sequence[EventTable], scores: ScoreTable, draw: _Draw) -> Figure:
    held = {(t.system, (t.variable, t.level, t.event), t.lead_time_hours): t for t in tables}
    events = sorted({event for _, event, _ in held}, key=lambda event: (event[0], DRAWN.index(event[2])))
    hours = [hour for hour in scores.headline_hours if hour >= 24][-ACROSS:] or list(scores.headline_hours[-ACROSS:])
    systems = {table.system for table in tables}
    lines = {system: style for system, style in line_styles(scores.systems).items() if system in systems}
    figure, panels = panel_rows(len(hours), len(events), 2.9, named=True)
    for column, hour in zip(panels, hours, strict=True):
        for panel, event in zip(column, events, strict=True):
            found = [table for system in lines if (table := held.get((system, event, hour))) is not None]
            for table in found:
                draw(panel, table, lines[table.system])
            _finish(panel, event, hour, draw, found)
    legend(figure, lines)
    return figure


def _finish(panel: Axes, event: _Event, hour: float, draw: _Draw, found: Sequence[EventTable]) -> None:
    panel.set_title(_words(event), loc="left", fontsize=10, weight="bold", color=INK)
    panel.set_title(f"{hour:g} h" if hour < 48 else f"day {hour / 24:g}", loc="right", fontsize=9, color=PALE)
    if draw is _value:
        panel.set(xscale="log", xlim=(_RATIOS[0], 1), ylim=(0, 1))
        panel.set_xticks([0.01, 0.1, 1], ["0.01", "0.1", "1"])
        panel.minorticks_off()
        names = "cost / loss", "relative value"
    else:
        panel.set(xlim=(0, 1), ylim=(0, 1))
        panel.plot([0, 1], [0, 1], **_GUIDE)
        names = ("false alarm rate", "hit rate") if draw is _roc else ("forecast probability", "observed frequency")
    if draw is _reliability and found:
        panel.axhline(sum(found[0].occurrence), color="#9a9a9a", linewidth=1.1, linestyle=":", zorder=0)
    panel.set_xlabel(names[0], fontsize=9, color=PALE)
    panel.set_ylabel(names[1], fontsize=9, color=PALE)


def _reliability(panel: Axes, table: EventTable, style: dict) -> None:
    """Observed frequency by forecast probability, with circles whose areas are the shares of the forecasts."""
    area, probability, occurrence = (np.array(a) for a in (table.area, table.probability, table.occurrence))
    some = area > 0
    x, y = probability[some] / area[some], occurrence[some] / area[some]
    panel.plot(x, y, **style | {"linewidth": 1.5})
    panel.scatter(x, y, s=15 + 400 * area[some], color=style["color"], alpha=0.45, linewidths=0)


def _roc(panel: Axes, table: EventTable, style: dict) -> None:
    hit_rate, false_rate = rates(_packed(table))
    panel.plot(false_rate, hit_rate, marker="o", markersize=3, **style | {"linewidth": 1.5})


def _value(panel: Axes, table: EventTable, style: dict) -> None:
    panel.plot(_RATIOS, economic_value(_packed(table), _RATIOS), **style | {"linewidth": 1.5})


def _packed(table: EventTable) -> np.ndarray:
    return np.array([*table.area, *table.probability, *table.occurrence])


def _words(event: _Event) -> str:
    """The event in words, such as `2t above 90 %`."""
    name, level, text = event
    side, _, limit = text.partition("_")
    amount = limit.replace("mm", " mm") if limit.endswith("mm") else f"{100 * float(limit):g} %"
    return f"{scored(name).short_name}{level or ''} {side} {amount}"
