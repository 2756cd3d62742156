"""Tropical cyclones from pressure, wind, vorticity and warm core, on grids of any spacing.

On coarse grids a cyclone covers few points, so criteria scale with the spacing of rows (`scaled`).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from airmass.data.shorelines import over_land
from airmass.evaluation.tracks.base import Channel, Frame, Point, Track
from airmass.evaluation.tracks.lows import centres, closed, deepest, minima
from airmass.evaluation.tracks.neighbourhood import Field, disc, spacing, vorticity
from airmass.evaluation.tracks.settings import TropicalSettings
from airmass.evaluation.tracks.sphere import KM_PER_DEGREE
from airmass.evaluation.tracks.stitching import Chain, Reach, Stitcher, hours_between
from airmass.fields.grid import LatLonGrid

MSL: Channel = ("mean_sea_level_pressure", None)
WIND_10M: tuple[Channel, Channel] = (("10m_u_component_of_wind", None), ("10m_v_component_of_wind", None))
WIND_850: tuple[Channel, Channel] = (("u_component_of_wind", 850), ("v_component_of_wind", 850))
CORE = {
    "thickness": (("geopotential", 300), ("geopotential", 500)),
    "temperature": (("temperature", 300), ("temperature", 500)),
    "none": (),
}
_G = 9.80665
# Lows are followed to this latitude beyond the tropics.
_FARTHEST = 75.0
# Spacing in degrees of T63, the truncation to which the published threshold of vorticity applies, and the power of the
# spacing with which it falls beyond. The power was chosen at 5.6 degrees: a cyclone of 60 hPa with its strongest wind
# at 100 km is found (averages over boxes have 4.3e-5 s-1), and monsoon depressions of the simulated climate are not.
_T63, _FALL = 1.875, 0.4


def scaled(settings: TropicalSettings, degrees: float) -> TropicalSettings:
    """Criteria for a grid whose rows are `degrees` apart.

    Distances are at least some grid spacings: two and a half for closed contours, one and a half for the search of
    wind and vorticity, one for the offset of the warm core, two between minima. The threshold of vorticity falls beyond
    1.9 degrees, because a grid box averages over more than the storm's core. Others stay, so that a coarse grid
    shows intense cyclones only; Walsh et al. 2007 (10.1175/JCLI4074.1) discuss thresholds by resolution.
    """
    return replace(
        settings,
        contour_radius=max(settings.contour_radius, 2.5 * degrees),
        core_radius=max(settings.core_radius, 2.5 * degrees),
        core_offset=max(settings.core_offset, degrees),
        near=max(settings.near, 1.5 * degrees),
        merge=max(settings.merge, 2 * degrees),
        vorticity=settings.vorticity * min(1.0, (_T63 / degrees) ** _FALL),
    )


@dataclass(frozen=True)
class TropicalTracker:
    """Minima of pressure in closed contours, tropical ones by warm core, vorticity, wind, latitude and land."""

    settings: TropicalSettings = field(default_factory=TropicalSettings)
    name = "tropical"

    @property
    def channels(self) -> tuple[Channel, ...]:
        return (MSL, *WIND_10M, *WIND_850, *CORE[self.settings.warm_core])

    @property
    def columns(self) -> Mapping[str, str]:
        return {"wind": "m s-1", "slp": "Pa"}

    def tracks(self, frames: Iterator[Frame], observed: Mapping[str, tuple[Point, ...]]) -> list[Track]:
        stitcher: Stitcher | None = None
        for frame in frames:
            settings = scaled(self.settings, spacing(frame.grid))
            if stitcher is None:
                slack = spacing(frame.grid) * KM_PER_DEGREE
                stitcher = Stitcher(Reach(settings.speed, slack, settings.gap), observed)
            stitcher.add(frame.time, cyclones(frame, settings))
        return [] if stitcher is None else _tropical(stitcher.chains, self.settings)


def cyclones(frame: Frame, settings: TropicalSettings) -> list[Point]:
    """All lows of a frame, with `tropical` 1 where all criteria of a tropical cyclone hold."""
    grid, msl = frame.grid, frame[MSL]
    rows, columns = minima(grid, msl, _FARTHEST)
    lat, lon = centres(grid, msl, rows, columns)
    lowest = msl[rows, columns].astype(np.float64)
    held = closed(grid, msl, lat, lon, lowest, 100 * min(settings.follow, settings.contour), settings.contour_radius)
    lat, lon, lowest = lat[held], lon[held], lowest[held]
    held = deepest(lat, lon, lowest, settings.merge * KM_PER_DEGREE)
    lat, lon, lowest = lat[held], lon[held], lowest[held]
    wind = strongest_wind(frame, lat, lon, settings.near * KM_PER_DEGREE)
    spin = strongest_spin(frame, lat, lon, settings.near * KM_PER_DEGREE)
    tropical = (np.abs(lat) <= settings.latitude) & (wind >= settings.wind) & (spin >= settings.vorticity)
    tropical &= closed(grid, msl, lat, lon, lowest, 100 * settings.contour, settings.contour_radius)
    tropical &= warm(frame, lat, lon, settings)
    if settings.sea:
        tropical &= ~over_land(lat, lon)
    return [
        Point(frame.time, float(y), float(x), {"wind": float(w), "slp": float(p), "tropical": float(t)})
        for y, x, w, p, t in zip(lat, lon, wind, lowest, tropical, strict=True)
    ]


def strongest_wind(frame: Frame, lat: np.ndarray, lon: np.ndarray, radius_km: float) -> np.ndarray:
    """Largest wind speed at 10 m around each point."""
    u, v = (frame[channel].ravel() for channel in WIND_10M)
    return _largest(frame.grid, lambda nodes: np.hypot(u[nodes], v[nodes]), lat, lon, radius_km)


def strongest_spin(frame: Frame, lat: np.ndarray, lon: np.ndarray, radius_km: float) -> np.ndarray:
    """Largest cyclonic vorticity at 850 hPa around each point."""
    grid, u, v = frame.grid, frame[WIND_850[0]], frame[WIND_850[1]]
    side = np.sign(grid.latitude)

    def spin(nodes: np.ndarray) -> np.ndarray:
        return vorticity(grid, u, v, nodes) * side[nodes // len(grid.longitude)]

    return _largest(grid, spin, lat, lon, radius_km)


def _largest(
    grid: LatLonGrid, at: Callable[[np.ndarray], np.ndarray], lat: np.ndarray, lon: np.ndarray, radius_km: float
) -> np.ndarray:
    """Largest value of the nodes around each point."""
    return np.array([at(disc(grid, y, x, radius_km)[0]).max() for y, x in zip(lat, lon, strict=True)], np.float64)


def warm(frame: Frame, lat: np.ndarray, lon: np.ndarray, settings: TropicalSettings) -> np.ndarray:
    """True where thickness or temperature has a maximum near a point from which it falls in all directions."""
    if settings.warm_core == "none":
        return np.ones(len(lat), bool)
    core, fall = warmth(frame, settings)
    tops = [_highest(frame.grid, core, y, x, settings.core_offset) for y, x in zip(lat, lon, strict=True)]
    top = np.array(tops, int)
    rows, columns = np.divmod(top, len(frame.grid.longitude))
    return closed(
        frame.grid,
        core,
        frame.grid.latitude[rows],
        frame.grid.longitude[columns],
        core.ravel()[top],
        -fall,
        settings.core_radius,
    )


def warmth(frame: Frame, settings: TropicalSettings) -> tuple[Field, float]:
    """Thickness of 300 to 500 hPa in m, or their mean temperature in K, and the fall that makes a warm core."""
    upper, lower = (frame[channel] for channel in CORE[settings.warm_core])
    if settings.warm_core == "thickness":
        return (upper - lower) / _G, settings.thickness
    return (upper + lower) / 2, settings.temperature


def _highest(grid: LatLonGrid, core: Field, lat: float, lon: float, reach: float) -> int:
    nodes = disc(grid, lat, lon, reach * KM_PER_DEGREE)[0]
    return int(nodes[np.argmax(core.ravel()[nodes])])


def _tropical(chains: list[Chain], settings: TropicalSettings) -> list[Track]:
    """Tracks of tropical cyclones, from the first point that meets all criteria, or from the observed storm on."""
    found: list[Track] = []
    new = 0
    for chain in chains:
        points = chain.points[chain.observed :]
        if not chain.observed:
            points = points[next((i for i, p in enumerate(points) if p.values["tropical"]), len(points)) :]
        if points and (chain.observed or _lasts(points, settings)):
            found.append(Track(chain.name if chain.observed else str(new), tuple(points)))
            new += not chain.observed
    return found


def _lasts(points: list[Point], settings: TropicalSettings) -> bool:
    steps = [hours_between(a.time, b.time) for a, b in pairwise(points)]
    tropical = sum(step for step, a in zip(steps, points, strict=False) if a.values["tropical"])
    return (
        abs(points[0].lat) <= settings.genesis_latitude
        and sum(steps) >= settings.duration
        and tropical >= settings.tropical_duration
    )
