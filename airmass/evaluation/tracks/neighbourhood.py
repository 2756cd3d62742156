"""Values of gridded fields around points: interpolated across the date line and the poles, and within discs."""

import numpy as np
from jaxtyping import Float, Int

from airmass.evaluation.tracks.sphere import KM_PER_DEGREE, destination, distance
from airmass.fields.grid import LatLonGrid

Field = Float[np.ndarray, "latitude longitude"]

BEARINGS = np.arange(16) * 22.5


def spacing(grid: LatLonGrid) -> float:
    """Spacing of rows in degrees."""
    return float(grid.latitude[1] - grid.latitude[0])


def framed(grid: LatLonGrid, field: Field) -> tuple[Float[np.ndarray, " row"], Float[np.ndarray, "row longitude"]]:
    """Latitudes and field with one more row beyond each pole: the row on the other side, half a turn away."""
    poles = int(abs(grid.latitude[0]) > 90 - 1e-3)
    half = len(grid.longitude) // 2
    south, north = np.roll(field[poles], half), np.roll(field[-1 - poles], half)
    latitude = np.concatenate([[-180 - grid.latitude[poles]], grid.latitude, [180 - grid.latitude[-1 - poles]]])
    return latitude, np.concatenate([south[None], field, north[None]])


def interpolate(
    grid: LatLonGrid, field: Field, lat: Float[np.ndarray, "*points"], lon: Float[np.ndarray, "*points"]
) -> Float[np.ndarray, "*points"]:
    """Bilinear interpolation in latitude and longitude, around the globe and across the poles."""
    latitude, values = framed(grid, field)
    row = (np.asarray(lat) - latitude[1]) / spacing(grid) + 1
    column = (np.asarray(lon) % 360) / (360 / len(grid.longitude))
    south = np.clip(np.floor(row).astype(int), 0, len(latitude) - 2)
    west = np.floor(column).astype(int)
    up, right = row - south, column - west
    west, east = west % len(grid.longitude), (west + 1) % len(grid.longitude)
    below = (1 - right) * values[south, west] + right * values[south, east]
    above = (1 - right) * values[south + 1, west] + right * values[south + 1, east]
    return (1 - up) * below + up * above


def rays(
    grid: LatLonGrid, field: Field, lat: Float[np.ndarray, " point"], lon: Float[np.ndarray, " point"], radius: float
) -> Float[np.ndarray, "point bearing step"]:
    """Values along `BEARINGS` from each point, at steps of half a grid spacing or less, out to `radius` in degrees."""
    steps = max(2, int(np.ceil(2 * radius / spacing(grid))))
    lengths = np.arange(1, steps + 1) * radius / steps * KM_PER_DEGREE
    where = destination(lat[:, None, None], lon[:, None, None], BEARINGS[:, None], lengths)
    return interpolate(grid, field, *where)


def disc(
    grid: LatLonGrid, lat: float, lon: float, radius_km: float
) -> tuple[Int[np.ndarray, " node"], Float[np.ndarray, " node"]]:
    """Nodes nearer to a point than `radius_km`, and their distances in km; at least the nearest node."""
    nodes = window(grid, lat, lon, radius_km / KM_PER_DEGREE + spacing(grid))
    rows, columns = np.divmod(nodes, len(grid.longitude))
    away = distance(lat, lon, grid.latitude[rows], grid.longitude[columns])
    inside = away <= max(radius_km, away.min())
    return nodes[inside], away[inside]


def window(grid: LatLonGrid, lat: float, lon: float, reach: float) -> Int[np.ndarray, " node"]:
    """Nodes of a box in latitude and longitude that holds all points within `reach` degrees."""
    rows = np.flatnonzero(np.abs(grid.latitude - lat) <= reach)
    count = len(grid.longitude)
    sine, cosine = np.sin(np.deg2rad(reach)), np.cos(np.deg2rad(lat))
    if reach >= 90 or sine >= cosine:  # the disc holds a pole
        columns = np.arange(count)
    else:
        away = np.abs((grid.longitude - lon + 180) % 360 - 180)
        columns = np.flatnonzero(away <= np.rad2deg(np.arcsin(sine / cosine)))
    return (rows[:, None] * count + columns).ravel()


def vorticity(grid: LatLonGrid, u: Field, v: Field, nodes: Int[np.ndarray, " node"]) -> Float[np.ndarray, " node"]:
    """Relative vorticity in s-1 at some nodes, by differences on the sphere: centred, one-sided at the outermost rows.

    zeta = (dv/dlon - d(u cos lat)/dlat) / (a cos lat); at a pole it is the value of the next row.
    """
    radius, last, count = 1000 * KM_PER_DEGREE * 180 / np.pi, len(grid.latitude) - 1, len(grid.longitude)
    cosine = np.cos(np.deg2rad(grid.latitude))
    rows, columns = np.divmod(nodes, count)
    rows = np.clip(rows, int(cosine[0] < 1e-6), last - int(cosine[-1] < 1e-6))
    west, east = (columns - 1) % count, (columns + 1) % count
    south, north = np.maximum(rows - 1, 0), np.minimum(rows + 1, last)
    eastward = (v[rows, east] - v[rows, west]) / np.deg2rad(2 * 360 / count)
    rise = u[north, columns] * cosine[north] - u[south, columns] * cosine[south]
    northward = rise / ((north - south) * np.deg2rad(spacing(grid)))
    return (eastward - northward) / (radius * cosine[rows])
