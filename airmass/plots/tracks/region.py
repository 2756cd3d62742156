"""Map of a region around tracks, in an equal-area projection of its own, so across the date line and over a pole."""

from collections.abc import Sequence
from functools import cached_property

import cartopy.crs as ccrs
import matplotlib.path as mpath
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.patheffects import withStroke

from airmass.data.shorelines import SHORE, polygons
from airmass.evaluation.tracks.sphere import distance, position, vectors
from airmass.plots.coastlines import coastlines
from airmass.plots.globe import Rectangle

_SPHERE = ccrs.PlateCarree()
_MARGIN_KM, _LEAST_KM = 450, 1600
# A coast farther away is not drawn: the projection tears it apart on the other side of the globe.
_FARTHEST_KM = 14_000
_LAND, _SEA, _COAST, _LINES = "#efece6", "#fbfcfd", "#8b8b86", "#dcdfe3"


class Region:
    """Rectangle of `aspect` (width over height) around points, with pixels for fields."""

    def __init__(self, lat: Float[np.ndarray, " point"], lon: Float[np.ndarray, " point"], aspect: float):
        self.centre = tuple(float(x) for x in position(vectors(lat, lon).mean(axis=0)))
        self._projection = ccrs.LambertAzimuthalEqualArea(self.centre[1], self.centre[0])
        x, y = self.project(lat, lon)
        middle = (x.min() + x.max()) / 2, (y.min() + y.max()) / 2
        width = max(np.ptp(x) + 2e3 * _MARGIN_KM, 1e3 * _LEAST_KM)
        height = max(np.ptp(y) + 2e3 * _MARGIN_KM, 1e3 * _LEAST_KM, width / aspect)
        width = max(width, height * aspect)
        self.extent = (middle[0] - width / 2, middle[0] + width / 2, middle[1] - height / 2, middle[1] + height / 2)

    def project(self, lat: np.ndarray, lon: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Metres east and north of the centre on the map."""
        x, y, _ = np.moveaxis(self._projection.transform_points(_SPHERE, np.asarray(lon), np.asarray(lat)), -1, 0)
        return x, y

    @cached_property
    def pixels(self) -> tuple[np.ndarray, np.ndarray]:
        """Latitude and longitude of pixels, rows from south to north."""
        west, east, south, north = self.extent
        columns = 360
        rows = max(2, round(columns * (north - south) / (east - west)))
        x = west + (np.arange(columns) + 0.5) * (east - west) / columns
        y = south + (np.arange(rows) + 0.5) * (north - south) / rows
        points = _SPHERE.transform_points(self._projection, *np.meshgrid(x, y))
        return points[..., 1], points[..., 0] % 360

    def axes(self, figure: Figure, rectangle: Rectangle) -> Axes:
        """Empty map with land, coasts and labelled meridians and parallels."""
        axes = figure.add_axes(rectangle)
        west, east, south, north = self.extent
        axes.set(xlim=(west, east), ylim=(south, north), aspect="equal", xticks=[], yticks=[], facecolor=_SEA)
        for patch in self._land():
            axes.add_patch(patch)
        coast = [np.stack(self.project(line[:, 1], line[:, 0]), axis=1) for line in self._near(coastlines("l"))]
        axes.add_collection(LineCollection(coast, colors=_COAST, linewidths=0.6, zorder=3))
        self._graticule(axes)
        for spine in axes.spines.values():
            spine.set(color="#404040", linewidth=0.8, zorder=9)
        return axes

    def show(self, axes: Axes, image: np.ndarray, cmap, norm):
        """Draw values of the pixels under the coasts; NaN is transparent."""
        shown = np.ma.masked_invalid(image)
        return axes.imshow(
            shown, extent=self.extent, origin="lower", cmap=cmap, norm=norm, interpolation="nearest", zorder=2
        )

    def line(self, axes: Axes, lat: np.ndarray, lon: np.ndarray, **style) -> None:
        axes.plot(*self.project(lat, lon), **style)

    def _near(self, lines: Sequence[np.ndarray]) -> list[np.ndarray]:
        kept = []
        for line in lines:
            near = distance(line[:, 1], line[:, 0], *self.centre) < _FARTHEST_KM
            parts = np.split(np.arange(len(line)), np.flatnonzero(np.diff(near.astype(int))) + 1)
            kept += [line[part] for part in parts if near[part[0]] and len(part) > 1]
        return kept

    def _land(self) -> list[PathPatch]:
        patches = []
        for kind, area, line in polygons("l"):
            if kind == SHORE and area > 500 and distance(line[:, 1], line[:, 0], *self.centre).max() < _FARTHEST_KM:
                outline = mpath.Path(np.stack(self.project(line[:, 1], line[:, 0]), axis=1))
                patches.append(PathPatch(outline, facecolor=_LAND, edgecolor="none", zorder=1))
        return patches

    def _graticule(self, axes: Axes) -> None:
        step = 10 if self.extent[1] - self.extent[0] < 8e6 else 20
        fine = np.linspace(0, 1, 400)
        for value in range(-80, 81, step):
            self._labelled(
                axes, np.full(400, value), 360 * fine, 0, f"{abs(value)}° {'S' if value < 0 else 'N'}", value
            )
        for value in range(0, 360, step):
            east = value if value <= 180 else 360 - value
            text = f"{east}°" + ("" if value in (0, 180) else " E" if value < 180 else " W")
            self._labelled(axes, 160 * fine - 80, np.full(400, value), 1, text, 1)

    def _labelled(self, axes: Axes, lat, lon, side: int, text: str, nonzero: int) -> None:
        """Draw a line of the graticule, and its label where it enters by the left (`side` 0) or lower edge (1)."""
        near = distance(lat, lon, *self.centre) < _FARTHEST_KM
        points = np.stack(self.project(lat[near], lon[near]))
        west, east, south, north = self.extent
        inside = (points[0] > west) & (points[0] < east) & (points[1] > south) & (points[1] < north)
        if not inside.any():
            return
        cut = np.where(np.append(np.abs(np.diff(points, axis=1)).max(axis=0) > 3e6, False), np.nan, points)
        axes.plot(*cut, color=_LINES, linewidth=0.6, zorder=2.5)
        edge = points[:, inside][:, np.argmin(points[side][inside])]
        if edge[side] - (west, south)[side] > 0.06 * (east - west):
            return
        along = edge[1 - side] - (south, west)[side]
        if not 0.07 * (east - west) < along < (north - south, east - west)[side] - 0.04 * (east - west):
            return  # in a corner, the frame or a label of the other edge would cut it
        label = text if nonzero else text[:2]
        pad = 0.006 * (east - west)
        at = (west + pad, edge[1]) if side == 0 else (edge[0], south + pad)
        shown = axes.text(*at, label, fontsize=7, color="#7b8188", zorder=8, va="bottom", ha="left")
        shown.set_path_effects([withStroke(linewidth=2, foreground="#ffffffc0")])
        shown.set(**({"va": "center"} if side == 0 else {"ha": "center"}))
