"""Extratropical cyclones: minima of pressure in closed contours without a warm core, from pole to pole."""

from collections.abc import Iterator, Mapping

import numpy as np

from airmass.evaluation.tracks.base import Channel, Frame, Point, Track
from airmass.evaluation.tracks.lows import centres, closed, deepest, minima
from airmass.evaluation.tracks.neighbourhood import spacing
from airmass.evaluation.tracks.settings import ExtratropicalSettings, TropicalSettings
from airmass.evaluation.tracks.sphere import KM_PER_DEGREE, distance
from airmass.evaluation.tracks.stitching import Reach, Stitcher, hours_between
from airmass.evaluation.tracks.trackers.tropical import CORE, MSL, WIND_10M, scaled, strongest_wind, warm


class ExtratropicalTracker:
    """Lows outside the tropics."""

    name = "extratropical"

    def __init__(self, settings: ExtratropicalSettings | None = None):
        self.settings = settings or ExtratropicalSettings()

    @property
    def channels(self) -> tuple[Channel, ...]:
        return (MSL, *WIND_10M, *CORE[self.settings.warm_core])

    @property
    def columns(self) -> Mapping[str, str]:
        return {"wind": "m s-1", "slp": "Pa"}

    def tracks(self, frames: Iterator[Frame], observed: Mapping[str, tuple[Point, ...]]) -> list[Track]:
        stitcher: Stitcher | None = None
        for frame in frames:
            if stitcher is None:
                slack = spacing(frame.grid) * KM_PER_DEGREE
                stitcher = Stitcher(Reach(self.settings.speed, slack, self.settings.gap), {})
            stitcher.add(frame.time, self._lows(frame))
        chains = [] if stitcher is None else stitcher.chains
        kept = [chain.points for chain in chains if self._fits(chain.points[0], chain.points[-1])]
        return [Track(str(i), tuple(points)) for i, points in enumerate(kept)]

    def _fits(self, first: Point, last: Point) -> bool:
        return (
            hours_between(first.time, last.time) >= self.settings.duration
            and float(distance(first.lat, first.lon, last.lat, last.lon)) >= self.settings.distance
            and not first.values["warm"]
        )

    def _lows(self, frame: Frame) -> list[Point]:
        settings, grid, msl = self.settings, frame.grid, frame[MSL]
        radius = max(settings.contour_radius, 2.5 * spacing(grid))
        rows, columns = minima(grid, msl)
        lat, lon = centres(grid, msl, rows, columns)
        lowest = msl[rows, columns].astype(np.float64)
        held = np.abs(lat) >= settings.latitude
        held[held] = closed(grid, msl, lat[held], lon[held], lowest[held], 100 * settings.contour, radius)
        lat, lon, lowest = lat[held], lon[held], lowest[held]
        held = deepest(lat, lon, lowest, max(settings.merge, 2 * spacing(grid)) * KM_PER_DEGREE)
        lat, lon, lowest = lat[held], lon[held], lowest[held]
        core = scaled(TropicalSettings(warm_core=settings.warm_core), spacing(grid))
        is_warm = warm(frame, lat, lon, core) & (settings.warm_core != "none")
        wind = strongest_wind(frame, lat, lon, core.near * KM_PER_DEGREE)
        return [
            Point(frame.time, float(y), float(x), {"wind": float(w), "slp": float(p), "warm": float(c)})
            for y, x, w, p, c in zip(lat, lon, wind, lowest, is_warm, strict=True)
        ]
