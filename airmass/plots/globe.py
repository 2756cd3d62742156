"""Map of the globe: fields as images in the Robinson projection, without a gap at the date line.

The pixels of the map are projected back to the sphere once. Every field is then interpolated to them, bilinearly in
latitude and longitude, which is much faster than projecting a mesh for every field.
"""

from functools import cache

import cartopy.crs as ccrs
import matplotlib.path as mpath
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from airmass.fields.grid import LatLonGrid
from airmass.plots.coastlines import coastlines

PROJECTION = ccrs.Robinson()
SPHERE = ccrs.PlateCarree()

Rectangle = tuple[float, float, float, float]


class Globe:
    """Interpolator from one grid to the pixels of the map, `width` pixels across and half as many down."""

    def __init__(self, grid: LatLonGrid, width: int = 800):
        self.grid = grid
        west, east, south, north = extent()
        self.x = west + (np.arange(width) + 0.5) * (east - west) / width
        self.y = south + (np.arange(width // 2) + 0.5) * (north - south) / (width // 2)
        longitude, latitude = _unproject(*np.meshgrid(self.x, self.y))
        self._inside = np.isfinite(longitude)
        rows, columns = grid.shape
        row = np.interp(np.nan_to_num(latitude), grid.latitude, np.arange(rows))
        column = np.nan_to_num(longitude) % 360 / (360 / columns)
        south_row, west_column = np.floor(row).astype(int), np.floor(column).astype(int)
        up, right = row - south_row, column - west_column
        neighbours = [(i, j) for i in (0, 1) for j in (0, 1)]
        self._nodes = np.stack(
            [np.minimum(south_row + i, rows - 1) * columns + (west_column + j) % columns for i, j in neighbours]
        )
        self._shares = np.stack([(up if i else 1 - up) * (right if j else 1 - right) for i, j in neighbours])

    def image(self, field: Float[np.ndarray, "latitude longitude"]) -> np.ma.MaskedArray:
        """The field on the pixels, rows from south to north; masked outside the globe and where most of the field is
        missing.
        """
        flat = np.asarray(field, np.float64).ravel()
        present = np.isfinite(flat)
        shares = self._shares * present[self._nodes]
        total = shares.sum(axis=0)
        values = (shares * np.where(present, flat, 0.0)[self._nodes]).sum(axis=0)
        shown = self._inside & (total >= 0.5)
        return np.ma.masked_array(values / np.where(shown, total, 1), ~shown)


def map_axes(figure: Figure, rectangle: Rectangle, resolution: str = "l") -> Axes:
    """Add empty map axes with coastlines and outline; `rectangle` is (left, bottom, width, height) in figure units."""
    axes = figure.add_axes(rectangle)
    west, east, south, north = extent()
    axes.set(xlim=(west, east), ylim=(south, north), aspect="equal")
    axes.set_axis_off()
    axes.add_collection(LineCollection(_coast(resolution), colors="#2a2a2a", linewidths=0.45, zorder=3))
    axes.add_collection(LineCollection([_outline()], colors="#404040", linewidths=0.9, zorder=4, clip_on=False))
    return axes


def show(axes: Axes, image: np.ndarray, cmap, norm):
    """Draw an image of `Globe` in the axes, clipped at the outline; replace its data with `set_array`."""
    drawn = axes.imshow(image, extent=extent(), origin="lower", cmap=cmap, norm=norm, interpolation="nearest", zorder=1)
    drawn.set_clip_path(mpath.Path(_outline()), axes.transData)
    return drawn


@cache
def extent() -> tuple[float, float, float, float]:
    """West, east, south and north edge of the map in the projection's metres."""
    (west, east), (south, north) = PROJECTION.x_limits, PROJECTION.y_limits
    return west, east, south, north


@cache
def _coast(resolution: str) -> tuple[np.ndarray, ...]:
    lines = coastlines(resolution)
    projected = PROJECTION.transform_points(SPHERE, *np.concatenate(lines).T)[:, :2]
    return tuple(np.split(projected, np.cumsum([len(line) for line in lines])[:-1]))


@cache
def _outline() -> np.ndarray:
    return np.asarray(PROJECTION.boundary.coords)[:, :2]


def _unproject(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Longitude and latitude of points of the map; NaN outside the globe."""
    sphere = SPHERE.transform_points(PROJECTION, x, y)
    longitude, latitude = sphere[..., 0], sphere[..., 1]
    with np.errstate(invalid="ignore"):
        back = PROJECTION.transform_points(SPHERE, longitude, latitude)
        inside = np.hypot(back[..., 0] - x, back[..., 1] - y) < 1e4
    return np.where(inside, longitude, np.nan), np.where(inside, latitude, np.nan)
