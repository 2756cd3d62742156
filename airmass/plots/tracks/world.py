"""All tracks of one initial time on the globe, coloured by strength."""

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection
from matplotlib.colors import BoundaryNorm, Colormap
from matplotlib.figure import Figure

from airmass.evaluation.tracks.scores import Runs
from airmass.plots.axes import INK, PALE
from airmass.plots.globe import PROJECTION, map_axes
from airmass.plots.maps import colour_bar, rectangle
from airmass.plots.tracks.storm import wind_scale

_MAP, _TOP, _BOTTOM = (10.5, 5.33), 0.6, 0.8


def world_figure(tracks: pd.DataFrame, runs: Runs | None) -> Figure:
    """Map of tracks; a dot at the first point of each."""
    import cartopy.crs as ccrs

    figure = Figure(figsize=(_MAP[0] + 0.3, _MAP[1] + _TOP + _BOTTOM), dpi=100, facecolor="white")
    axes = map_axes(figure, rectangle(figure, 0.15, _BOTTOM, *_MAP))
    column, title, label, (cmap, norm) = _shown(tracks)
    for _, rows in tracks.groupby("track_id", sort=False):
        points = PROJECTION.transform_points(ccrs.PlateCarree(), rows.lon.to_numpy(), rows.lat.to_numpy())[:, :2]
        segments = np.stack([points[:-1], points[1:]], axis=1)
        # A step across the edge of the map is not drawn.
        whole = np.abs(np.diff(segments[..., 0], axis=1)[:, 0]) < 1e7
        drawn = LineCollection(list(segments[whole]), cmap=cmap, norm=norm, linewidths=1.6, zorder=5)
        drawn.set_array(np.ma.masked_invalid(rows[column].to_numpy()[1:][whole]))
        axes.add_collection(drawn)
        axes.plot(*points[0], "o", color="#303030", markersize=2.5, zorder=5.5)
    colour_bar(figure, (cmap, norm), 3.0, 4.8, label)
    _headings(figure, title, tracks, runs)
    return figure


def _shown(tracks: pd.DataFrame) -> tuple[str, str, str, tuple[Colormap, BoundaryNorm]]:
    """Column that colours the tracks, heading, label and scale."""
    if "wind" in tracks.columns:
        return "wind", "Cyclones", "largest wind speed at 10 m, m/s", wind_scale()
    edges = (250, 375, 500, 625, 750, 875, 1000, 1250)
    scale = wind_scale()[0], BoundaryNorm(edges, wind_scale()[0].N, extend="both")
    return "transport", "Atmospheric rivers", "largest vapour transport, kg/(m s)", scale


def _headings(figure: Figure, title: str, tracks: pd.DataFrame, runs: Runs | None) -> None:
    width, height = figure.get_size_inches()
    start = tracks.init_time.iloc[0]
    when = "analysis" if pd.isna(start) else f"initial time {start:%Y-%m-%d %H UTC}"
    count = tracks.track_id.nunique()
    text = f"{count} track{'s' if count > 1 else ''}" + (f" of {len(runs.numbers)} members" if runs else "")
    figure.text(0.15 / width, 1 - 0.14 / height, title, fontsize=16, weight="bold", color=INK, va="top")
    figure.text(1 - 0.15 / width, 1 - 0.16 / height, f"{text}, {when}", fontsize=12, color=PALE, va="top", ha="right")
