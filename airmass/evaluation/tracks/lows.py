"""Minima of mean sea level pressure inside closed contours, to a part of a grid spacing."""

import numpy as np
from jaxtyping import Bool, Float

from airmass.evaluation.tracks.neighbourhood import Field, framed, rays, spacing
from airmass.evaluation.tracks.sphere import distance
from airmass.fields.grid import LatLonGrid


def minima(grid: LatLonGrid, field: Field, within: float = 90.0) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the nodes that are no higher than their eight neighbours, and lower than one of them.

    Up to latitude `within`.
    """
    first, last = np.searchsorted(grid.latitude, (-within, within))
    last = min(last + 1, len(grid.latitude))  # one row more does no harm, a comparison of every row would
    values = framed(grid, field)[1][first : last + 2]
    rows, columns = np.nonzero(values[1:-1] <= _lowest(values))
    count = len(grid.longitude)
    highest = np.max([values[rows + 1 + y, (columns + x) % count] for y in (-1, 0, 1) for x in (-1, 0, 1)], axis=0)
    held = (values[rows + 1, columns] < highest) & (np.abs(grid.latitude[rows + first]) <= within)
    return rows[held] + first, columns[held]


def _lowest(values: Float[np.ndarray, "row longitude"]) -> Float[np.ndarray, "inner longitude"]:
    """Lowest of each node and its eight neighbours, around the globe; the first and last row only as neighbours."""
    lowest = np.minimum(values[:-2], values[1:-1])
    np.minimum(lowest, values[2:], out=lowest)
    made = lowest.copy()
    np.minimum(made[:, 1:], lowest[:, :-1], out=made[:, 1:])
    np.minimum(made[:, :-1], lowest[:, 1:], out=made[:, :-1])
    np.minimum(made[:, 0], lowest[:, -1], out=made[:, 0])
    np.minimum(made[:, -1], lowest[:, 0], out=made[:, -1])
    return made


def centres(
    grid: LatLonGrid, field: Field, rows: np.ndarray, columns: np.ndarray
) -> tuple[Float[np.ndarray, " low"], Float[np.ndarray, " low"]]:
    """Latitude and longitude of minima between the nodes, by a parabola through three nodes each way."""
    latitude, values = framed(grid, field)
    count = len(grid.longitude)
    middle = values[rows + 1, columns]
    lat = latitude[rows + 1] + spacing(grid) * _vertex(values[rows, columns], middle, values[rows + 2, columns])
    west, east = values[rows + 1, (columns - 1) % count], values[rows + 1, (columns + 1) % count]
    lon = grid.longitude[columns] + 360 / count * _vertex(west, middle, east)
    beyond = np.abs(lat) > 90
    return np.where(beyond, np.sign(lat) * 180 - lat, lat), (lon + 180 * beyond) % 360


def _vertex(before: np.ndarray, middle: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Place of the lowest point of parabolas through values at -1, 0 and 1, within half a step."""
    curvature = before - 2 * middle + after
    slope = (before - after) / 2
    return np.clip(np.divide(slope, curvature, out=np.zeros(len(slope)), where=curvature > 0), -0.5, 0.5)


def closed(
    grid: LatLonGrid, field: Field, lat: np.ndarray, lon: np.ndarray, value: np.ndarray, rise: float, radius: float
) -> Bool[np.ndarray, " point"]:
    """True where the field rises from `value` by `rise` within `radius` degrees of a point in every direction.

    A negative `rise` asks for a fall. Directions are 16 rays, as in Vitart et al. 1997; TempestExtremes asks for a
    closed contour of any form, which is the same for round ones.
    """
    if not len(lat):
        return np.zeros(0, bool)
    along = rays(grid, field, lat, lon, radius) - value[:, None, None]
    farthest = along.max(axis=-1) if rise >= 0 else -along.min(axis=-1)
    return (farthest >= abs(rise)).all(axis=-1)


def deepest(lat: np.ndarray, lon: np.ndarray, value: np.ndarray, apart_km: float) -> Bool[np.ndarray, " point"]:
    """True for the points without a lower one that is kept within a distance."""
    kept: list[int] = []
    for i in np.argsort(value, kind="stable"):
        if not kept or distance(lat[i], lon[i], lat[kept], lon[kept]).min() > apart_km:
            kept.append(i)
    return np.isin(np.arange(len(lat)), kept)
