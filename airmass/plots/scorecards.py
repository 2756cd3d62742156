"""Scorecards: the difference of two systems' errors in percent, by field and lead time."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path
from matplotlib.transforms import Affine2D

from airmass.evaluation.comparisons import SCORECARD_METRICS, Comparison
from airmass.evaluation.metrics import known_metrics
from airmass.evaluation.scores import HEADLINE_FIELDS
from airmass.fields.derived import scored
from airmass.plots.axes import INK, PALE

# Percent; blue is better, red is worse, as on ECMWF's and WeatherBench's scorecards.
_EDGES = (-50, -20, -10, -5, -2, -1, 1, 2, 5, 10, 20, 50)
_COLOURS = LinearSegmentedColormap.from_list("score", ["#0b3c8c", "#6aa5dc", "#ffffff", "#f2a07b", "#9c1127"])
_NORM = BoundaryNorm(_EDGES, 256, extend="both")
_ROW, _COLUMN, _LABEL = 0.26, 0.34, 1.25  # inches
_MOST_LEADS = 20

_Channel = tuple[str, int | None]


def scorecard_figures(rows: Sequence[Comparison]) -> dict[str, Figure]:
    """One figure for each pair of systems and metric of scorecards, by name, with a panel for each region.

    Rows are fields by level, columns lead times. Hatched cells do not differ significantly.
    """
    pairs: dict[tuple[str, str], dict[str, list[Comparison]]] = {}
    for row in rows:
        by_metric = pairs.setdefault((row.system, row.against), {metric: [] for metric in SCORECARD_METRICS})
        if row.metric in by_metric and row.period is None and row.percent is not None:
            by_metric[row.metric].append(row)
    wanted = [(metric, held) for by_metric in pairs.values() for metric, held in by_metric.items() if held]
    return {f"{metric}_{i}": _figure(held) for i, (metric, held) in enumerate(wanted)}


def _figure(rows: Sequence[Comparison]) -> Figure:
    channels, hours = _channels(rows), _hours(rows)
    regions = list(dict.fromkeys(row.region for row in rows))
    across = min(len(regions), max(1, int(16 // (_COLUMN * len(hours)))))
    down = -(-len(regions) // across)
    width = max(_LABEL + across * (_COLUMN * len(hours) + 0.25), 6.4)
    height = 1.75 + down * (_ROW * len(channels) + 0.5)
    figure = Figure(figsize=(width, height), dpi=100, facecolor="white")
    first = rows[0]
    title = f"{known_metrics()[first.metric].title} of {first.system} against {first.against}"
    figure.text(0.12 / width, 1 - 0.12 / height, title, fontsize=14, weight="bold", color=INK, va="top")
    counts = f"up to {max(row.init_times for row in rows)} initial times"
    note = f"difference in percent, blue: {first.system} is better; {counts}"
    figure.text(0.12 / width, 1 - 0.42 / height, note, fontsize=10, color=PALE, va="top")
    for i, region in enumerate(regions):
        row, column = divmod(i, across)
        left = _LABEL + column * (_COLUMN * len(hours) + 0.25)
        bottom = height - 0.95 - (row + 1) * (_ROW * len(channels) + 0.5) + 0.3
        size = (_COLUMN * len(hours) / width, _ROW * len(channels) / height)
        panel = figure.add_axes((left / width, bottom / height, *size))
        _draw(panel, [r for r in rows if r.region == region], channels, hours, labels=column == 0)
        panel.set_title(region or "globe", loc="left", fontsize=10, weight="bold", color=INK, pad=4)
    _key(figure, width, height)
    return figure


def _draw(
    panel: Axes, rows: Sequence[Comparison], channels: Sequence[_Channel], hours: Sequence[float], labels: bool
) -> None:
    values = np.full((len(channels), len(hours)), np.nan)
    across, hatched = {hour: i for i, hour in enumerate(hours)}, []
    down = {channel: i for i, channel in enumerate(channels)}
    for row in (row for row in rows if row.lead_time_hours in across):
        at = down[row.variable, row.level], across[row.lead_time_hours]
        values[at] = np.nan if row.percent is None else row.percent
        if not row.significant:
            hatched.append(Path.unit_rectangle().transformed(Affine2D().translate(at[1] - 0.5, at[0] - 0.5)))
    if hatched:  # one patch, as a thousand take seconds
        cells = Path.make_compound_path(*hatched)
        panel.add_patch(PathPatch(cells, fill=False, hatch="////", edgecolor="#707070", linewidth=0))
    panel.imshow(values, cmap=_COLOURS, norm=_NORM, aspect="auto", interpolation="nearest")
    panel.set_facecolor("#efefef")
    panel.set_xticks(np.arange(len(hours)), [_lead(hour) for hour in hours], fontsize=8, color=PALE)
    names = [f"{scored(name).short_name}{level or ''}" for name, level in channels]
    panel.set_yticks(np.arange(len(channels)), names if labels else [], fontsize=9, color=INK)
    panel.tick_params(length=0)
    panel.set_xticks(np.arange(1, len(hours)) - 0.5, minor=True)
    panel.set_yticks(np.arange(1, len(channels)) - 0.5, minor=True)
    panel.grid(which="minor", color="white", linewidth=1)
    panel.tick_params(which="minor", length=0)
    for spine in panel.spines.values():
        spine.set_visible(False)


def _key(figure: Figure, width: float, height: float) -> None:
    bar = figure.add_axes((_LABEL / width, 0.42 / height, 3.6 / width, 0.14 / height))
    drawn = figure.colorbar(ScalarMappable(_NORM, _COLOURS), cax=bar, orientation="horizontal", spacing="uniform")
    drawn.set_ticks(list(_EDGES), labels=[f"{edge:g}" for edge in _EDGES])
    drawn.ax.tick_params(labelsize=8, length=0, colors=INK)
    drawn.set_label("%", fontsize=8, labelpad=0)
    hatched = Patch(facecolor="white", edgecolor="#8a8a8a", hatch="////", label="not significant")
    figure.legend(
        handles=[hatched], loc="lower left", bbox_to_anchor=((_LABEL + 3.8) / width, 0.3 / height), frameon=False,
        fontsize=9,
    )  # fmt: skip


def _channels(rows: Sequence[Comparison]) -> list[_Channel]:
    """Headline fields in their order, then the others by name and level."""
    found = sorted({(row.variable, row.level) for row in rows}, key=lambda c: (c[0], c[1] or 0))

    def place(channel: _Channel) -> int:
        name, level = channel
        labels = {scored(name).short_name, *getattr(scored(name), "aliases", ())}
        here = [i for i, field in enumerate(HEADLINE_FIELDS) if field in {f"{label}{level or ''}" for label in labels}]
        return here[0] if here else len(HEADLINE_FIELDS)

    return sorted(found, key=place)


def _hours(rows: Sequence[Comparison]) -> list[float]:
    """Lead times, thinned evenly to at most twenty, always with the last."""
    hours = sorted({row.lead_time_hours for row in rows})
    every = -(-len(hours) // _MOST_LEADS)
    return hours[::-1][::every][::-1]


def _lead(hour: float) -> str:
    return f"{hour / 24:.2g}d" if hour >= 24 else f"{hour:g}h"
