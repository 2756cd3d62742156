"""One storm from one initial time: its members' tracks, strike probability, cone, and intensity against time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.dates as mdates
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import BoundaryNorm, Colormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

from airmass.evaluation.tracks.strike import RADIUS, near
from airmass.plots.axes import INK, PALE, style_panel
from airmass.plots.globe import Rectangle
from airmass.plots.maps import rectangle
from airmass.plots.tracks.cone import QUANTILES, inside_cone, mean_track
from airmass.plots.tracks.region import Region

# Wind speeds in m s-1: tropical storm 17.5, hurricane 33 and its categories, with one step below and one between.
_EDGES = (10, 17.5, 25, 33, 43, 50, 58, 70)
_WINDS = ("#9aa5b1", "#5aa7d6", "#2b7bba", "#3aa655", "#f2c037", "#f08a24", "#d9352c", "#a01a7d", "#4b1a6b")
_STRIKES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
_SHADES = ("#e8f1c9", "#cfe7a0", "#a9d67d", "#f7d560", "#f5b03e", "#ee7d31", "#dd4a2d", "#a81e2d")
_CONES, _MEAN = ("#cfe0f2", "#8db8e0"), "#d55e00"

Place = tuple[float, float]  # left and bottom, in inches

# All in inches.
_MAP, _GAP, _LEFT, _TOP, _HEAD, _BAR = (6.0, 4.4), 0.55, 0.3, 0.75, 0.3, 0.75


@dataclass(frozen=True)
class StormForecast:
    """Rows of the tracks of a storm from one initial time, its best track, and all tracks of that initial time."""

    name: str
    init_time: np.datetime64
    members: pd.DataFrame
    best: pd.DataFrame
    everything: pd.DataFrame
    numbers: Sequence[int]
    system: str

    @property
    def ensemble(self) -> bool:
        return len(self.numbers) > 1


def wind_scale() -> tuple[Colormap, BoundaryNorm]:
    """Colours of wind speed in m s-1, grey where it is unknown."""
    return ListedColormap(_WINDS).with_extremes(bad="#b9bfc6"), BoundaryNorm(_EDGES, len(_WINDS), extend="both")


def storm_figure(storm: StormForecast) -> Figure:
    """Fan of tracks and intensity; for an ensemble also strike probability and cone."""
    rows = 2 if storm.ensemble else 1
    width = 2 * _LEFT + 2 * _MAP[0] + _GAP
    height = _TOP + rows * (_MAP[1] + _HEAD + _BAR)
    figure = Figure(figsize=(width, height), dpi=100, facecolor="white")
    region = _region(storm)
    places = [
        (_LEFT + column * (_MAP[0] + _GAP), height - _TOP - _HEAD - _MAP[1] - row * (_MAP[1] + _HEAD + _BAR))
        for row in range(rows)
        for column in range(2)
    ]
    _fan(figure, region, storm, places[0])
    strip = places[3] if storm.ensemble else places[1]
    if storm.ensemble:
        _strike(figure, region, storm, places[1])
        _cone(figure, region, storm, places[2])
    _intensity(figure, storm, strip)
    _headings(figure, storm)
    return figure


def _region(storm: StormForecast) -> Region:
    shown = [storm.members, _during(storm)]
    lat, lon = (np.concatenate([rows[name].to_numpy(float) for rows in shown]) for name in ("lat", "lon"))
    return Region(lat, lon, _MAP[0] / _MAP[1])


def _during(storm: StormForecast) -> pd.DataFrame:
    """The best track from the initial time to the last point of the forecast."""
    return storm.best[(storm.best.time >= storm.init_time) & (storm.best.time <= storm.members.time.max())]


def _box(figure: Figure, place: Place) -> Rectangle:
    return rectangle(figure, place[0], place[1], *_MAP)


def _fan(figure: Figure, region: Region, storm: StormForecast, place: Place) -> None:
    axes = region.axes(figure, _box(figure, place))
    cmap, norm = wind_scale()
    for _, rows in storm.members.groupby("track_id", sort=False):
        points = np.stack(region.project(rows.lat.to_numpy(), rows.lon.to_numpy()), axis=1)
        width = 1.2 if storm.ensemble else 6  # of one, seen on both sides of the best track
        segments = np.stack([points[:-1], points[1:]], axis=1)
        drawn = LineCollection(list(segments), cmap=cmap, norm=norm, linewidths=width, zorder=5, capstyle="round")
        drawn.set_array(np.ma.masked_invalid(rows.wind.to_numpy()[1:]))
        axes.add_collection(drawn)
    _best(region, axes, storm, labels=True)
    title = f"Tracks of {storm.members.number.nunique()} of {len(storm.numbers)} members" if storm.ensemble else "Track"
    _title(figure, place, title, "black: best track, a dot a day at 00 UTC")
    _bar(figure, place, (cmap, norm), "largest wind speed at 10 m, m/s", [f"{edge:g}" for edge in _EDGES])


def _best(region: Region, axes: Axes, storm: StormForecast, labels: bool) -> None:
    rows = _during(storm)
    lat, lon = rows.lat.to_numpy(), rows.lon.to_numpy()
    region.line(axes, lat, lon, color="white", linewidth=3.4, zorder=6, solid_capstyle="round")
    region.line(axes, lat, lon, color="black", linewidth=1.8, zorder=6.1, solid_capstyle="round")
    midnight = rows[rows.time.dt.hour == 0]
    x, y = region.project(midnight.lat.to_numpy(), midnight.lon.to_numpy())
    axes.plot(x, y, "o", color="black", markersize=4.5, markeredgecolor="white", markeredgewidth=0.8, zorder=6.2)
    for i, day in enumerate(midnight.time.dt.day if labels else ()):
        axes.annotate(
            f"{day}",
            (x[i], y[i]),
            (5, 4),
            textcoords="offset points",
            fontsize=8,
            color=INK,
            zorder=7,
            annotation_clip=True,
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
        )


def _strike(figure: Figure, region: Region, storm: StormForecast, place: Place) -> None:
    axes = region.axes(figure, _box(figure, place))
    passed = [near(rows, *region.pixels) for _, rows in storm.everything.groupby("number")]
    image = np.sum(passed, axis=0) / len(storm.numbers)
    cmap, norm = ListedColormap(_SHADES), BoundaryNorm(_STRIKES, len(_SHADES))
    region.show(axes, np.where(image >= _STRIKES[0] - 1e-9, np.minimum(image, 0.999), np.nan), cmap, norm)
    _best(region, axes, storm, labels=False)
    _title(figure, place, "Strike probability", f"a centre passes within {RADIUS:g} km")
    _bar(figure, place, (cmap, norm), "share of all members, %", [f"{100 * edge:g}" for edge in _STRIKES])


def _cone(figure: Figure, region: Region, storm: StormForecast, place: Place) -> None:
    """Places nearer to the mean track than 67 and 90 % of the members at that time."""
    axes = region.axes(figure, _box(figure, place))
    mean = mean_track(storm.members)
    lat, lon = region.pixels
    image = np.full(lat.shape, np.nan)
    for level, quantile in enumerate(QUANTILES):
        image[inside_cone(mean, f"radius_{quantile}", lat, lon)] = level
    norm = BoundaryNorm((-0.5, 0.5, 1.5), 2)
    region.show(axes, image, ListedColormap(_CONES), norm)
    _best(region, axes, storm, labels=False)
    line: dict[str, Any] = {"color": _MEAN, "linewidth": 2, "linestyle": (0, (3, 1.5))}
    region.line(axes, mean.lat.to_numpy(), mean.lon.to_numpy(), zorder=6.5, **line)
    handles: list[Artist] = [Line2D([], [], label="mean position", **line)]
    handles += [Patch(color=c, label=f"{100 * q:g} % of members") for c, q in zip(_CONES, QUANTILES, strict=True)][::-1]
    axes.legend(handles=handles, fontsize=8, loc="lower right", framealpha=0.9, edgecolor="none").set_zorder(8)
    _title(figure, place, "Cone of the ensemble", "black: best track")


def _intensity(figure: Figure, storm: StormForecast, place: Place) -> None:
    """Pressure above wind against time: members, their middle 80 % and median, and the best track."""
    left, bottom = place
    days = (storm.members.time.max() - storm.members.time.min()) / np.timedelta64(1, "D")
    every = max(1, round(days / 6))
    for i, (name, factor, label) in enumerate((("slp", 0.01, "pressure, hPa"), ("wind", 1.0, "wind, m/s"))):
        size = (_MAP[0] - 0.5, _MAP[1] / 2 - 0.2)
        axes = figure.add_axes(rectangle(figure, left + 0.5, bottom + (1 - i) * (_MAP[1] / 2 + 0.05), *size))
        style_panel(axes)
        _curves(axes, storm, name, factor)
        axes.set_xlim(*mdates.date2num([storm.init_time, storm.members.time.max().to_datetime64()]))
        axes.set_ylabel(label, fontsize=9, color=PALE)
        axes.xaxis.set_major_locator(mdates.DayLocator(interval=every))
        axes.xaxis.set_major_formatter(mdates.DateFormatter("%-d %b" if i else ""))
    _title(figure, place, "Intensity", "black: best track")


def _curves(axes: Axes, storm: StormForecast, name: str, factor: float) -> None:
    table = storm.members.pivot_table(name, "time", "number") * factor
    if storm.ensemble:
        axes.plot(table.index, table.to_numpy(), color="#a9c4e0", linewidth=0.7)
        low, middle, high = np.nanquantile(table.to_numpy(), [0.1, 0.5, 0.9], axis=1)
        axes.fill_between(table.index, low, high, color="#8db8e0", alpha=0.45, linewidth=0)
        axes.plot(table.index, middle, color="#1f4e8c", linewidth=2)
        handles = [
            Line2D([], [], color="#a9c4e0", linewidth=0.9, label="member"),
            Line2D([], [], color="#1f4e8c", linewidth=2, label="median, with the middle 80 %"),
        ]
        if name == "slp":
            axes.legend(handles=handles, fontsize=8, frameon=False, loc="best")
    else:
        axes.plot(table.index, table.to_numpy(), color="#1f4e8c", linewidth=2)
    rows = _during(storm)
    axes.plot(rows.time, rows[name] * factor, color="black", linewidth=1.8)


def _headings(figure: Figure, storm: StormForecast) -> None:
    width, height = figure.get_size_inches()
    figure.text(_LEFT / width, 1 - 0.14 / height, storm.name, fontsize=17, weight="bold", color=INK, va="top")
    start = pd.Timestamp(storm.init_time).strftime("%Y-%m-%d %H UTC")
    figure.text(
        1 - _LEFT / width,
        1 - 0.16 / height,
        f"{storm.system}, initial time {start}",
        fontsize=12,
        color=PALE,
        va="top",
        ha="right",
    )


def _title(figure: Figure, place: Place, title: str, note: str) -> None:
    width, height = figure.get_size_inches()
    y = (place[1] + _MAP[1] + 0.08) / height
    figure.text(place[0] / width, y, title, fontsize=12, weight="bold", color=INK)
    figure.text((place[0] + _MAP[0]) / width, y, note, fontsize=9, color=PALE, ha="right")


def _bar(figure: Figure, place: Place, scale: tuple[Colormap, BoundaryNorm], label: str, texts: Sequence[str]) -> None:
    axes = figure.add_axes(rectangle(figure, place[0] + 0.4, place[1] - 0.22, _MAP[0] - 0.8, 0.12))
    cmap, norm = scale
    bar = figure.colorbar(ScalarMappable(norm, cmap), cax=axes, orientation="horizontal", spacing="uniform")
    bar.set_ticks(list(norm.boundaries), labels=list(texts))
    bar.set_label(label, fontsize=9, color=INK, labelpad=1)
    bar.outline.set_linewidth(0.5)
    bar.ax.tick_params(labelsize=8, length=2, colors=INK)
