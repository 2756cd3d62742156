"""Tracker of models that predict cyclones themselves: existence on the grid, and around it the storm's own values.

Source: the published direct tracker of WeatherNext 2 (settings `direct_tracker_6h_v1`). Distances are geodesics on
WGS84. Tracks begin with storms observed at the initial time; each is followed to the maximum of existence near where
its motion leads, then new ones are looked for where existence is large.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
import pyproj

from airmass.evaluation.tracks.base import Channel, Frame, Point, Track
from airmass.evaluation.tracks.neighbourhood import Field, interpolate
from airmass.evaluation.tracks.sphere import position, vectors
from airmass.fields.grid import LatLonGrid
from airmass.fields.variables import CYCLONE_EXISTS

_KNOT = 1852 / 3600
_WGS84 = pyproj.Geod(ellps="WGS84")

SPEEDS, QUADRANTS = (34, 50, 64), ("ne", "se", "sw", "nw")
RADII = tuple(f"r{speed}_{quadrant}" for speed in SPEEDS for quadrant in QUADRANTS)
# Value -> field. Winds are in knots there, pressure in hPa, radii in km.
_DISCS = {"wind": "cyclone_usa_wind_disc", "slp": "cyclone_usa_pres_disc", "rmw": "cyclone_usa_rmw_disc"}
_DISCS |= {name: f"cyclone_usa_{name}_radius_disc" for name in RADII}


@dataclass(frozen=True)
class DirectSettings:
    """Settings of the published tracker; distances in km."""

    search: float = 250.0
    strength: float = 500.0
    apart: float = 500.0
    persistence: float = 0.9
    least_strength: float = 1e-5
    box: float = 5.0
    genesis: float = 0.3
    genesis_latitude: float = 80.0
    longest_short: float = 60.0


@dataclass
class _Storm:
    name: str
    points: list[Point]
    observed: int
    new: bool

    @property
    def last(self) -> Point:
        return self.points[-1]


class DirectTracker:
    """Tracks from existence and discs, one frame at a time."""

    name = "direct"

    def __init__(self, settings: DirectSettings | None = None):
        self.settings = settings or DirectSettings()

    @property
    def channels(self) -> tuple[Channel, ...]:
        return ((CYCLONE_EXISTS, None), *((field, None) for field in _DISCS.values()))

    @property
    def columns(self) -> Mapping[str, str]:
        return {"wind": "m s-1", "slp": "Pa", "rmw": "km", **dict.fromkeys(RADII, "km"), "probability": "1"}

    def tracks(self, frames: Iterator[Frame], observed: Mapping[str, tuple[Point, ...]]) -> list[Track]:
        storms = [_Storm(name, list(points), len(points), False) for name, points in observed.items()]
        previous = max((storm.last.time for storm in storms), default=None)
        for frame in frames:
            live = [storm for storm in storms if storm.last.time == previous]
            moved = [storm for storm in live if self._follow(storm, frame)]
            moved = self._pruned(moved)
            storms += self._born(frame, moved, sum(storm.new for storm in storms))
            previous = frame.time
        return [
            Track(storm.name, tuple(map(_finished, storm.points[storm.observed :]))) for storm in self._kept(storms)
        ]

    def _follow(self, storm: _Storm, frame: Frame) -> bool:
        """Add the storm's point of a frame; False where it has ended."""
        guess = self._guess(storm)
        point = self._found(frame, *guess)
        if point is not None:
            storm.points.append(point)
        return point is not None

    def _guess(self, storm: _Storm) -> tuple[float, float]:
        if len(storm.points) < 2:
            return storm.last.lat, storm.last.lon
        before, last = storm.points[-2:]
        if before.time < last.time - _step(storm.points):
            return last.lat, last.lon
        return _onward(before, last, self.settings.persistence)

    def _found(self, frame: Frame, lat: float, lon: float) -> Point | None:
        """Maximum of existence near a place, moved to the mean around it, with its values; None if it is too weak."""
        exists = frame[CYCLONE_EXISTS, None].astype(np.float64)
        nodes = disc(frame.grid, lat, lon, self.settings.search)
        p = exists.ravel()[nodes]
        if not len(nodes) or not p.max() > 0:
            return None
        rows, columns = np.divmod(nodes, len(frame.grid.longitude))
        top = int(np.argmax(p))
        return self._at_mean(frame, exists, frame.grid.latitude[rows[top]], frame.grid.longitude[columns[top]])

    def _at_mean(self, frame: Frame, exists: Field, lat: float, lon: float) -> Point | None:
        centre = self._mean(frame.grid, exists, lat, lon)
        if centre is None:
            return None
        strength = min(1.0, exists.ravel()[disc(frame.grid, *centre, self.settings.strength)].sum() / exists.size)
        if strength < self.settings.least_strength:
            return None
        y, x = np.array([centre[0]]), np.array([centre[1]])
        values = {name: float(interpolate(frame.grid, frame[field, None], y, x)[0]) for name, field in _DISCS.items()}
        return Point(frame.time, *centre, values | {"probability": strength})

    def _mean(self, grid: LatLonGrid, exists: Field, lat: float, lon: float) -> tuple[float, float] | None:
        nodes = disc(grid, lat, lon, self.settings.search)
        p = exists.ravel()[nodes]
        if not p.sum() > 0:
            return None
        rows, columns = np.divmod(nodes, len(grid.longitude))
        mean = p @ vectors(grid.latitude[rows], grid.longitude[columns]) / p.sum()
        y, x = position(mean)
        return float(y), float(x)

    def _pruned(self, moved: list[_Storm]) -> list[_Storm]:
        """Drop the new point of the storm that moved farther, while two are too near."""
        moved = sorted(moved, key=lambda storm: storm.name)
        while pair := next(
            (p for p in combinations(moved, 2) if _km(p[0].last, p[1].last) < self.settings.apart), None
        ):
            first, second = (_km(*storm.points[-2:]) for storm in pair)
            dropped = pair[0] if first >= second else pair[1]
            dropped.points.pop()
            moved.remove(dropped)
        return moved

    def _born(self, frame: Frame, live: Sequence[_Storm], count: int) -> list[_Storm]:
        """New storms at the largest existence of boxes, far from the others."""
        exists = frame[CYCLONE_EXISTS, None].astype(np.float64)
        centres = [(storm.last.lat, storm.last.lon) for storm in live]
        born: list[_Storm] = []
        for lat, lon in self._candidates(frame.grid, exists):
            if abs(lat) > self.settings.genesis_latitude or self._near(lat, lon, centres):
                continue
            point = self._at_mean(frame, exists, lat, lon)
            if point is None or self._near(point.lat, point.lon, centres):
                continue
            centres.append((point.lat, point.lon))
            born.append(_Storm(str(count + len(born)), [point], 0, True))
        return born

    def _near(self, lat: float, lon: float, centres: Sequence[tuple[float, float]]) -> bool:
        return any(_geodesic(lat, lon, *centre) <= self.settings.apart for centre in centres)

    def _candidates(self, grid: LatLonGrid, exists: Field) -> list[tuple[float, float]]:
        """Positions of the largest existence of each box, above the threshold, in falling order."""
        tall, wide = (
            max(1, round(self.settings.box / float(axis[-1] - axis[0]) * len(axis)))
            for axis in (grid.latitude, grid.longitude)
        )
        found = []
        for row in range(0, exists.shape[0], tall):
            for column in range(0, exists.shape[1], wide):
                part = exists[row : row + tall, column : column + wide]
                i, j = np.unravel_index(np.argmax(part), part.shape)
                if part[i, j] > self.settings.genesis:
                    found.append((part[i, j], float(grid.latitude[row + i]), float(grid.longitude[column + j])))
        return [(lat, lon) for _, lat, lon in sorted(found, key=lambda one: -one[0])]

    def _kept(self, storms: Sequence[_Storm]) -> list[_Storm]:
        shortest = np.timedelta64(round(3600 * self.settings.longest_short), "s")
        return [
            storm
            for storm in storms
            if len(storm.points) > storm.observed
            and (not storm.new or storm.last.time - storm.points[0].time > shortest)
        ]


def disc(grid: LatLonGrid, lat: float, lon: float, radius_km: float) -> np.ndarray:
    """Nodes nearer than a geodesic distance, within a box of that over 111.3 km per degree of latitude.

    In longitude the box reaches that over the cosine of its most poleward latitude.
    """
    reach = radius_km / 111.3
    rows = np.flatnonzero(np.abs(grid.latitude - lat) <= reach)
    poleward = min(abs(lat) + reach, 90.0)
    cosine = np.cos(np.deg2rad(poleward))
    away = np.abs((grid.longitude - lon + 180) % 360 - 180)
    columns = np.flatnonzero(away <= (reach / cosine if cosine > 1e-6 else 360.0))
    nodes = (rows[:, None] * len(grid.longitude) + columns).ravel()
    if not len(nodes):
        return nodes
    y, x = grid.latitude[nodes // len(grid.longitude)], grid.longitude[nodes % len(grid.longitude)]
    metres = _WGS84.inv(np.full(len(nodes), lon), np.full(len(nodes), lat), x, y)[2]
    return nodes[metres / 1000 < radius_km]


def _geodesic(lat: float, lon: float, lat2: float, lon2: float) -> float:
    return _WGS84.inv(lon, lat, lon2, lat2)[2] / 1000


def _km(a: Point, b: Point) -> float:
    return _geodesic(a.lat, a.lon, b.lat, b.lon)


def _onward(before: Point, last: Point, share: float) -> tuple[float, float]:
    """The point beyond the last one on the great circle through both, `share` of their arc farther."""
    a, b = vectors(before.lat, before.lon), vectors(last.lat, last.lon)
    arc = np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b)
    if arc < 1e-12:
        return last.lat, last.lon
    tangent = (b * np.cos(arc) - a) / np.sin(arc)  # at b, away from a
    lat, lon = position(b * np.cos(share * arc) + tangent * np.sin(share * arc))
    return float(lat), float(lon)


def _step(points: Sequence[Point]) -> np.timedelta64:
    return min(b.time - a.time for a, b in pairwise(points))


def _finished(point: Point) -> Point:
    """The point with consistent radii, in SI units for wind and pressure."""
    values = {name: max(value, 0.0) if value == value else value for name, value in point.values.items()}
    values = consistent(values)
    return Point(
        point.time, point.lat, point.lon, values | {"wind": values["wind"] * _KNOT, "slp": 100 * values["slp"]}
    )


def consistent(values: Mapping[str, float]) -> dict[str, float]:
    """Radii that fit the wind (knots): 0 for speeds above it, larger for lower speeds, at least that of the maximum.

    Missing values stay missing and raise nothing.
    """
    made = dict(values)
    wind = made["wind"]
    for speed in SPEEDS:
        if wind < speed:
            made |= {f"r{speed}_{q}": 0.0 for q in QUADRANTS if not np.isnan(made[f"r{speed}_{q}"])}
    made = _nested(made)
    for speed in SPEEDS:
        if wind >= speed and made["rmw"] == made["rmw"]:
            held = {q: made[f"r{speed}_{q}"] for q in QUADRANTS if not np.isnan(made[f"r{speed}_{q}"])}
            if held:
                largest = max(held, key=lambda q: held[q])
                made[f"r{speed}_{largest}"] = max(held[largest], made["rmw"])
    return _nested(made)


def _nested(values: dict[str, float]) -> dict[str, float]:
    made = dict(values)
    for q in QUADRANTS:
        for outer, inner in ((50, (64,)), (34, (50, 64))):
            if not np.isnan(made[f"r{outer}_{q}"]):
                made[f"r{outer}_{q}"] = float(
                    np.nanmax([values[f"r{outer}_{q}"], *(values[f"r{s}_{q}"] for s in inner)])
                )
    return made
