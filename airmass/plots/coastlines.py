"""Coastlines to draw on maps."""

from functools import cache

import numpy as np
from jaxtyping import Float

from airmass.data.shorelines import LAKE, SHORE, polygons

# km2; smaller ones are specks on a map of the globe.
_SMALLEST_LAKE = 20_000
_SMALLEST_ISLAND = 5_000


@cache
def coastlines(resolution: str = "l") -> tuple[Float[np.ndarray, "point 2"], ...]:
    """Shores and great lakes as lines of (longitude, latitude), longitude within -180 to 180.

    No line crosses the date line or runs along it. `resolution` is "c" (crude, 25 km) or "l" (low, 5 km).
    """
    smallest = {SHORE: _SMALLEST_ISLAND, LAKE: _SMALLEST_LAKE}
    lines: list[np.ndarray] = []
    for kind, area, line in polygons(resolution):
        if area >= smallest.get(kind, np.inf):
            lines += _cut(line)
    return tuple(lines)


def _cut(line: Float[np.ndarray, "point 2"]) -> list[Float[np.ndarray, "point 2"]]:
    """The parts of a line between crossings of the date line, without runs along it or along the south pole.

    The data closes the polygons of Eurasia and Antarctica with such runs, which are not coast.
    """
    longitude = (line[:, 0] + 180) % 360 - 180
    line = np.stack([longitude, line[:, 1]], axis=1)
    jumps = np.abs(np.diff(longitude)) > 180
    on_seam = np.abs(np.abs(longitude) - 180) < 1e-3
    artificial = (on_seam[1:] & on_seam[:-1]) | (line[1:, 1] < -89) | (line[:-1, 1] < -89)
    parts = np.split(line, np.flatnonzero(jumps | artificial) + 1)
    return [part for part in parts if len(part) > 1]
