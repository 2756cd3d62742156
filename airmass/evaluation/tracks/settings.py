"""Settings of the trackers, free of heavy imports so that `airmass track --help` is fast.

Distances are in degrees of a great circle (1 degree = 111.2 km) unless their name says km.
"""

import math
from dataclasses import dataclass, fields
from typing import Any, Literal

from airmass.core.errors import InputError

WarmCore = Literal["thickness", "temperature", "none"]


def require_settings(settings: Any, group: str, positive: tuple[str, ...] = ()) -> None:
    """Raise InputError unless every number is finite and at least 0; those of `positive` above 0."""
    for part in fields(settings):
        value, least = getattr(settings, part.name), "above 0" if part.name in positive else "0 or more"
        if isinstance(value, float) and not (math.isfinite(value) and value >= 0 and (value or least == "0 or more")):
            raise InputError(f"--{group}.{part.name.replace('_', '-')} is {value}, expected {least}")


@dataclass(frozen=True)
class TropicalSettings:
    """Criteria of tropical cyclones, for grids of any spacing.

    A cyclone is a minimum of mean sea level pressure inside a closed contour; it is tropical while it has a warm core,
    vorticity at 850 hPa and wind at 10 m at low latitudes over the sea. Pressure, thickness, wind and latitude are
    those of Ullrich et al. 2021 (10.5194/gmd-14-5023-2021; after Zarzycki and Ullrich 2017, 10.1002/2016GL071606),
    vorticity that of Hodges et al. 2017 (10.1175/JCLI-D-16-0557.1), durations those of Vitart et al. 1997
    (10.1175/1520-0442(1997)010<1745:SOIVOT>2.0.CO;2) and Camargo and Zebiak 2002
    (10.1175/1520-0434(2002)017<1152:ITDATO>2.0.CO;2).
    """

    contour: float = 2.0
    """Rise of pressure around the centre in all directions, hPa."""
    contour_radius: float = 5.5
    """Distance within which pressure rises."""
    follow: float = 1.0
    """Rise of pressure, hPa, that is enough to go on with a track."""
    warm_core: WarmCore = "thickness"
    """Warm core by the thickness of 300 to 500 hPa or by the mean temperature of these levels."""
    thickness: float = 6.0
    """Fall of the thickness of 300 to 500 hPa around its maximum in all directions, m."""
    temperature: float = 0.4
    """Fall of the mean temperature at 300 and 500 hPa around its maximum in all directions, K."""
    core_offset: float = 1.0
    """Largest distance of the warm core from the centre."""
    core_radius: float = 6.5
    """Distance within which thickness or temperature falls."""
    vorticity: float = 6e-5
    """Least cyclonic vorticity at 850 hPa near the centre, s-1."""
    wind: float = 10.0
    """Least wind speed at 10 m near the centre, m s-1."""
    near: float = 2.0
    """Distance from the centre within which wind and vorticity are looked for."""
    latitude: float = 50.0
    """Highest latitude of a tropical cyclone."""
    genesis_latitude: float = 40.0
    """Highest latitude of the first point of a track."""
    sea: bool = True
    """A point counts as tropical over the sea only; a storm that crosses land is followed."""
    merge: float = 6.0
    """Of two minima nearer than this, the deeper one is taken."""
    speed: float = 20.0
    """Largest departure from the extrapolated motion, m s-1."""
    gap: float = 12.0
    """Longest time without a minimum within a track, hours."""
    duration: float = 48.0
    """Shortest track, hours; storms observed at the initial time are kept at any length."""
    tropical_duration: float = 24.0
    """Shortest time that a track meets all criteria, in sum, hours."""

    def __post_init__(self):
        require_settings(self, "tropical", ("contour_radius", "core_radius", "speed"))


@dataclass(frozen=True)
class ExtratropicalSettings:
    """Criteria of extratropical cyclones: minima of pressure in closed contours without a warm core.

    Contour and its radius are those of Ullrich and Zarzycki 2017 (10.5194/gmd-10-1069-2017), duration that of the
    intercomparison of Neu et al. 2013 (10.1175/BAMS-D-11-00154.1), and the distance, which leaves out heat lows that
    stay in place, that of Hoskins and Hodges 2002 (10.1175/1520-0469(2002)059<1041:NPOTNH>2.0.CO;2).
    """

    contour: float = 2.0
    """Rise of pressure around the centre in all directions, hPa."""
    contour_radius: float = 6.0
    """Distance within which pressure rises."""
    latitude: float = 20.0
    """Lowest latitude."""
    warm_core: WarmCore = "thickness"
    """A low with a warm core at its first point is left out; "none" keeps all lows."""
    merge: float = 6.0
    """Of two minima nearer than this, the deeper one is taken."""
    speed: float = 25.0
    """Largest departure from the extrapolated motion, m s-1."""
    gap: float = 6.0
    """Longest time without a minimum within a track, hours."""
    duration: float = 24.0
    """Shortest track, hours."""
    distance: float = 1000.0
    """Least distance of the last point from the first, km."""

    def __post_init__(self):
        require_settings(self, "extratropical", ("contour_radius", "speed"))


@dataclass(frozen=True)
class RiverSettings:
    """Criteria of atmospheric rivers: long, narrow regions of large vapour transport, integrated over the levels.

    The threshold is that of Rutz et al. 2014 (10.1175/MWR-D-13-00168.1), shape and poleward transport those of Guan and
    Waliser 2015 (10.1002/2015JD024257).
    """

    transport: float = 250.0
    """Least integrated vapour transport, kg m-1 s-1."""
    poleward: float = 50.0
    """Least mean poleward transport of a river, kg m-1 s-1."""
    length: float = 2000.0
    """Least length, km."""
    ratio: float = 2.0
    """Least ratio of length to width."""
    latitude: float = 20.0
    """Lowest latitude of the centre."""
    speed: float = 25.0
    """Largest departure of the centre from the extrapolated motion, m s-1."""
    duration: float = 12.0
    """Shortest track, hours."""

    def __post_init__(self):
        require_settings(self, "rivers", ("length", "speed"))
