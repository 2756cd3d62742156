"""Atmospheric rivers: long, narrow regions of large integrated vapour transport, followed by their centres.

Integrated vapour transport is the vector (1 / g) times the integral of specific humidity times wind over pressure, by
the trapezoidal rule over the levels from 1000 to 300 hPa.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Int
from scipy.ndimage import label

from airmass.evaluation.tracks.base import Channel, Frame, Point, Track
from airmass.evaluation.tracks.neighbourhood import Field, spacing
from airmass.evaluation.tracks.settings import RiverSettings
from airmass.evaluation.tracks.sphere import KM_PER_DEGREE, distance, position, vectors
from airmass.evaluation.tracks.stitching import Reach, Stitcher, hours_between
from airmass.fields.grid import LatLonGrid

_G = 9.80665
LEVELS = (300, 500, 700, 850, 1000)
_PARTS = ("specific_humidity", "u_component_of_wind", "v_component_of_wind")


class RiverTracker:
    """Atmospheric rivers by the transport over `levels` in hPa."""

    name = "rivers"

    def __init__(self, settings: RiverSettings | None = None, levels: Sequence[int] = LEVELS):
        self.settings, self.levels = settings or RiverSettings(), tuple(sorted(levels))

    @property
    def channels(self) -> tuple[Channel, ...]:
        return tuple((name, level) for name in _PARTS for level in self.levels)

    @property
    def columns(self) -> Mapping[str, str]:
        return {"transport": "kg m-1 s-1", "length": "km", "width": "km"}

    def tracks(self, frames: Iterator[Frame], observed: Mapping[str, tuple[Point, ...]]) -> list[Track]:
        stitcher: Stitcher | None = None
        for frame in frames:
            if stitcher is None:
                slack = max(spacing(frame.grid) * KM_PER_DEGREE, 300.0)  # centres jump as ends come and go
                stitcher = Stitcher(Reach(self.settings.speed, slack, 0.0), {})
            stitcher.add(frame.time, rivers(frame, self.levels, self.settings))
        chains = [] if stitcher is None else stitcher.chains
        least = self.settings.duration
        lasting = [c.points for c in chains if hours_between(c.points[0].time, c.points[-1].time) >= least]
        return [Track(str(i), tuple(points)) for i, points in enumerate(lasting)]


def transport(frame: Frame, levels: Sequence[int]) -> tuple[Field, Field]:
    """Eastward and northward vapour transport in kg m-1 s-1; `levels` rise, in hPa."""
    pressure = 100.0 * np.asarray(levels, float)
    q, u, v = (np.stack([frame[name, level] for level in levels]).astype(np.float64) for name in _PARTS)
    east, north = (np.asarray(np.trapezoid(q * wind, pressure, axis=0)) / _G for wind in (u, v))
    return east, north


def rivers(frame: Frame, levels: Sequence[int], settings: RiverSettings) -> list[Point]:
    """Centres of the rivers of a frame, with their largest transport, length and width."""
    east, north = transport(frame, levels)
    size = np.hypot(east, north)
    poleward = north * np.sign(frame.grid.latitude)[:, None]
    points = [_river(frame, nodes, size, poleward, settings) for nodes in regions(size >= settings.transport)]
    return [point for point in points if point is not None]


def regions(inside: np.ndarray) -> list[Int[np.ndarray, " node"]]:
    """Nodes of each connected region, diagonals and the date line included."""
    marks, _ = label(inside, np.ones((3, 3)))
    for shift in (-1, 0, 1):
        for a, b in zip(marks[:, 0], np.roll(marks[:, -1], shift), strict=True):
            if a and b and a != b:
                marks[marks == b] = a
    flat = marks.ravel()
    order = np.argsort(flat, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(flat[order])) + 1)
    return [group for group in groups if flat[group[0]]]


def _river(frame: Frame, nodes, size: Field, poleward: Field, settings: RiverSettings) -> Point | None:
    grid = frame.grid
    if len(nodes) < 2:
        return None
    row, column = np.divmod(nodes, len(grid.longitude))
    lat, lon = grid.latitude[row], grid.longitude[column]
    area = _area(grid)[row]
    length = _length(lat, lon)
    width = area.sum() / length
    weight = area * size.ravel()[nodes]
    y, x = position(weight @ vectors(lat, lon))
    mean = float((area * poleward.ravel()[nodes]).sum() / area.sum())
    fits = length >= settings.length and length >= settings.ratio * width and mean >= settings.poleward
    if not fits or abs(float(y)) < settings.latitude:
        return None
    values = {"transport": float(size.ravel()[nodes].max()), "length": float(length), "width": float(width)}
    return Point(frame.time, float(y), float(x), values)


def _length(lat: np.ndarray, lon: np.ndarray) -> float:
    """Distance in km between the ends: the point farthest from any, and the point farthest from that."""
    one = int(np.argmax(distance(lat[0], lon[0], lat, lon)))
    return float(distance(lat[one], lon[one], lat, lon).max())


def _area(grid: LatLonGrid) -> np.ndarray:
    """Area in km2 of a box of each row."""
    side = KM_PER_DEGREE * spacing(grid)
    return side * KM_PER_DEGREE * 360 / len(grid.longitude) * np.maximum(np.cos(np.deg2rad(grid.latitude)), 1e-6)
