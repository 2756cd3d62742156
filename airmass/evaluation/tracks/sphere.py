"""Geometry on a sphere of the Earth's mean radius: distances in km, angles in degrees, arrays that broadcast."""

import numpy as np
from jaxtyping import Float

RADIUS_KM = 6371.0088  # mean radius of WGS84 (Moritz 2000)
KM_PER_DEGREE = RADIUS_KM * np.pi / 180

Degrees = Float[np.ndarray, "*points"] | float
Km = Float[np.ndarray, "*points"] | float


def distance(lat: Degrees, lon: Degrees, lat2: Degrees, lon2: Degrees) -> np.ndarray:
    """Great-circle distance in km (haversine formula, accurate at short distances)."""
    lat, lon, lat2, lon2 = map(np.deg2rad, (lat, lon, lat2, lon2))
    half = np.sin((lat2 - lat) / 2) ** 2 + np.cos(lat) * np.cos(lat2) * np.sin((lon2 - lon) / 2) ** 2
    return 2 * RADIUS_KM * np.arcsin(np.sqrt(np.clip(half, 0, 1)))


def bearing(lat: Degrees, lon: Degrees, lat2: Degrees, lon2: Degrees) -> np.ndarray:
    """Initial direction from the first point to the second, degrees clockwise from north in [0, 360)."""
    lat, lon, lat2, lon2 = map(np.deg2rad, (lat, lon, lat2, lon2))
    east = np.sin(lon2 - lon) * np.cos(lat2)
    north = np.cos(lat) * np.sin(lat2) - np.sin(lat) * np.cos(lat2) * np.cos(lon2 - lon)
    return np.rad2deg(np.arctan2(east, north)) % 360


def destination(lat: Degrees, lon: Degrees, direction: Degrees, length: Km) -> tuple[np.ndarray, np.ndarray]:
    """Latitude and longitude (in [0, 360)) of the point `length` km away along the great circle in `direction`."""
    lat, lon, direction = map(np.deg2rad, (lat, lon, direction))
    angle = np.asarray(length) / RADIUS_KM
    sine = np.sin(lat) * np.cos(angle) + np.cos(lat) * np.sin(angle) * np.cos(direction)
    east = np.sin(direction) * np.sin(angle) * np.cos(lat)
    lon2 = lon + np.arctan2(east, np.cos(angle) - np.sin(lat) * sine)
    return np.rad2deg(np.arcsin(np.clip(sine, -1, 1))), np.rad2deg(lon2) % 360


def vectors(lat: Degrees, lon: Degrees) -> Float[np.ndarray, "*points 3"]:
    """Unit vectors of points."""
    lat, lon = np.deg2rad(lat), np.deg2rad(lon)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat) + 0 * lon], axis=-1)


def position(vector: Float[np.ndarray, "*points 3"]) -> tuple[np.ndarray, np.ndarray]:
    """Latitude and longitude (in [0, 360)) of vectors of any length."""
    x, y, z = np.moveaxis(np.asarray(vector), -1, 0)
    return np.rad2deg(np.arctan2(z, np.hypot(x, y))), np.rad2deg(np.arctan2(y, x)) % 360


def extrapolated(
    lat: Degrees, lon: Degrees, lat2: Degrees, lon2: Degrees, share: float | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Point beyond the second one on the great circle through both, `share` of their distance farther."""
    onward = (bearing(lat2, lon2, lat, lon) + 180) % 360
    return destination(lat2, lon2, onward, share * distance(lat, lon, lat2, lon2))
