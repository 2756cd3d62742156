"""Brier skill of extremes against lead time."""

from matplotlib.figure import Figure

from airmass.evaluation.scores import ScoreTable
from airmass.fields.derived import scored
from airmass.plots.axes import INK, PALE, lead_axis, legend, panel_rows
from airmass.plots.curves import draw_curve, line_styles

_PREFIX = "brier_skill_"
_LOWEST = -1.0  # lower limit of the axis


def has_extremes(table: ScoreTable) -> bool:
    return any(metric.startswith(_PREFIX) for metric in table.metrics)


def extremes_figure(table: ScoreTable) -> Figure:
    """Plot a panel for each field and quantile that was scored, the most extreme first; climatology is at 0."""
    wanted = sorted({(s.variable, s.level, s.metric) for s in table.scores if s.metric.startswith(_PREFIX)}, key=_order)
    lines = {system: style for system, style in line_styles(table.systems).items() if system != "climatology"}
    figure, panels = panel_rows(len(wanted), 1)
    for (panel,), (name, level, metric) in zip(panels, wanted, strict=True):
        for system, style in lines.items():
            draw_curve(panel, table, system, (name, level), metric, style)
        side, _, quantile = metric.removeprefix(_PREFIX).partition("_")
        panel.set_title(scored(name).name.replace("_", " "), loc="left", fontsize=11, weight="bold", color=INK)
        panel.set_title(f"{side} {100 * float(quantile):g} %", loc="right", fontsize=10, color=PALE)
        panel.axhline(0, color="#1c1c1c", linewidth=1.1, zorder=0)
        panel.set_ylim(_LOWEST, 1)
        lead_axis(panel, max(table.hours))
    legend(figure, lines)
    return figure


def _order(key: tuple[str, int | None, str]) -> tuple[str, bool, float]:
    name, _, metric = key
    quantile = float(metric.rpartition("_")[2])
    return name, quantile > 0.5, min(quantile, 1 - quantile)
