"""Scores of tracks against lead time, and reliability of strike probability."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from airmass.evaluation.tracks.scores import TrackVerification
from airmass.evaluation.tracks.verification import ALL_STORMS
from airmass.plots.axes import INK, PALE, lead_axis, panel_rows

# Title, units, factor, and lines: metric -> (label, colour, dashes).
_BLUE, _RED, _GREEN = "#0072b2", "#d55e00", "#009e73"
_PANELS = (
    ("Position", "km", 1.0, {
        "position_error": ("error", _BLUE, "-"),
        "along_track_error": ("along track", _RED, "--"),
        "cross_track_error": ("across track", _GREEN, ":"),
    }),
    ("Spread and error", "km", 1.0, {
        "mean_error": ("error of the mean", _BLUE, "-"),
        "spread": ("spread", _RED, "--"),
    }),
    ("Bias of pressure", "hPa", 0.01, {"pressure_bias": ("", _BLUE, "-")}),
    ("Bias of wind", "m/s", 1.0, {"wind_bias": ("", _BLUE, "-")}),
    ("Hits and false alarms", "share", 1.0, {
        "hit_rate": ("hit rate", _BLUE, "-"),
        "false_alarm_ratio": ("false alarm ratio", _RED, "--"),
    }),
)  # fmt: skip


def errors_figure(made: TrackVerification) -> Figure:
    """Panels of the scores that there are, over all storms, and a reliability diagram for an ensemble."""
    held = {score.metric for score in made.scores}
    panels = [panel for panel in _PANELS if held & set(panel[3])]
    figure, columns = panel_rows(len(panels) + bool(made.reliability), 1, 2.9, named=True)
    for (axes,), panel in zip(columns, panels, strict=False):
        _draw(axes, made, *panel)
    if made.reliability:
        _reliability(columns[len(panels)][0], made)
    return figure


def _draw(axes: Axes, made: TrackVerification, title: str, units: str, factor: float, lines) -> None:
    axes.set_title(title, loc="left", fontsize=12, weight="bold", color=INK)
    axes.set_title(units, loc="right", fontsize=9, color=PALE)
    last = 0.0
    for metric, (label, colour, dashes) in lines.items():
        hours, values = _curve(made, metric)
        marker = "o" if len(hours) < 3 else None
        days = [hour / 24 for hour in hours]
        axes.plot(
            days, [factor * v for v in values], color=colour, linestyle=dashes, marker=marker, linewidth=2, label=label
        )
        last = max([last, *hours])
    if title.startswith("Bias"):
        axes.axhline(0, color="#808080", linewidth=0.8)
    else:
        axes.set_ylim(bottom=0)
    if len(lines) > 1:
        axes.legend(fontsize=8, frameon=False)
    lead_axis(axes, last)


def _curve(made: TrackVerification, metric: str) -> tuple[Sequence[float], Sequence[float]]:
    found = sorted((s.lead_time_hours, s.value) for s in made.scores if s.metric == metric and s.storm == ALL_STORMS)
    return [hour for hour, _ in found], [value for _, value in found]


def _reliability(axes: Axes, made: TrackVerification) -> None:
    axes.set_title("Reliability of strikes", loc="left", fontsize=12, weight="bold", color=INK)
    axes.plot([0, 1], [0, 1], color="#808080", linewidth=0.8)
    for (hours, kept), colour in zip(made.reliability.items(), (_BLUE, _RED, _GREEN, "#cc79a7"), strict=False):
        days = float(hours) / 24
        axes.plot(
            kept.forecast, kept.observed, "o-", color=colour, markersize=4, linewidth=1.6, label=f"to {days:g} days"
        )
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.set_xlabel("forecast probability", fontsize=9, color=PALE)
    axes.set_ylabel("observed frequency", fontsize=9, color=PALE)
    axes.legend(fontsize=8, frameon=False)
