"""Regions of the globe over which scores are averaged, by name, box or surface."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from airmass.core.errors import InputError
from airmass.fields.grid import LatLonGrid, latitude_weights

# South, north, west, east in degrees. Names and limits are those of WeatherBench 2 (Rasp et al. 2024,
# doi:10.1029/2023MS004019), which takes them from ECMWF's scorecards.
BOXES: Mapping[str, tuple[float, float, float, float]] = {
    "tropics": (-20, 20, 0, 360),
    "northern-hemisphere": (20, 90, 0, 360),
    "southern-hemisphere": (-90, -20, 0, 360),
    "arctic": (60, 90, 0, 360),
    "antarctic": (-90, -60, 0, 360),
    "europe": (35, 75, -12.5, 42.5),
    "north-america": (25, 60, -120, -75),
    "north-atlantic": (25, 65, -70, -10),
    "north-pacific": (25, 60, 145, -130),
    "east-asia": (25, 60, 102.5, 150),
    "ausnz": (-45, -12.5, 120, 175),
}
EXTRATROPICS = "extratropics"
SURFACES = ("land", "sea")
LAND_MASK = "land_sea_mask"
# ECMWF's scorecards use short names.
_SHORT = {"n.hem": "northern-hemisphere", "s.hem": "southern-hemisphere", "n.amer": "north-america",
          "n.atl": "north-atlantic", "n.pac": "north-pacific", "e.asia": "east-asia", "austnz": "ausnz"}  # fmt: skip
GROUPS = {"ecmwf": tuple(BOXES), "bands": ("-90:-60", "-60:-30", "-30:0", "0:30", "30:60", "60:90")}
_BOX = re.compile(r"[-+.\d]+(:[-+.\d]+){1}((:[-+.\d]+){2})?")


def region_names(texts: Sequence[str]) -> tuple[str, ...]:
    """Names of regions as written in scores; groups (`ecmwf`, `bands`) are replaced by their members.

    A region is a name of `BOXES`, `extratropics`, `land`, `sea`, a latitude band `30:60`, a box
    `SOUTH:NORTH:WEST:EAST`, or several joined by `/` for their intersection. Raises InputError for other text and for
    a region given twice.
    """
    names = [name for text in texts for name in GROUPS.get(text, (text,))]
    found = ["/".join(_SHORT.get(part, part) for part in name.split("/")) for name in names]
    for i, name in enumerate(found):
        for part in name.split("/"):
            _check(part, name)
        if name in found[:i]:
            raise InputError(f"region {name!r} is given twice")
    return tuple(found)


def needs_land_mask(names: Sequence[str]) -> bool:
    return any(part in SURFACES for name in names for part in name.split("/"))


def station_weights(
    names: Sequence[str], latitude: Float[np.ndarray, " station"], longitude: Float[np.ndarray, " station"]
) -> Float[np.ndarray, "region station"]:
    """Weights of all stations, each 1, then of those in each region. Raises InputError for a region without any."""
    rows = [np.ones(len(latitude))]
    for name in names:
        inside = np.logical_and.reduce([_inside(part, (latitude, longitude), None) for part in name.split("/")])
        if not inside.any():
            raise InputError(f"region {name!r} has no stations")
        rows.append(inside.astype(np.float64))
    return np.stack(rows)


def region_weights(
    names: Sequence[str], grid: LatLonGrid, land: Float[np.ndarray, " node"] | None = None
) -> Float[np.ndarray, "region node"]:
    """Area weights of the whole globe, then of each region; 0 outside. Raises InputError for a region without nodes.

    A node belongs to a region if its centre lies inside or on the edge. `land` is the land fraction, which is needed
    for land and sea: land is where it is at least one half.
    """
    area = np.repeat(latitude_weights(grid.latitude), len(grid.longitude))
    rows = [area]
    for name in names:
        inside = np.logical_and.reduce([_inside(part, grid.nodes, land) for part in name.split("/")])
        if not (inside & (area > 0)).any():
            raise InputError(f"region {name!r} has no grid points on the grid of {grid}")
        rows.append(np.where(inside, area, 0.0))
    return np.stack(rows)


def _check(part: str, name: str) -> None:
    if part in BOXES or part in SURFACES or part == EXTRATROPICS:
        return
    if not _BOX.fullmatch(part):
        import difflib

        known = [*BOXES, EXTRATROPICS, *SURFACES, *GROUPS, *_SHORT]
        near = difflib.get_close_matches(part, known, n=2, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(known)}"
        raise InputError(f"unknown region {name!r}; {hint}, a band such as 30:60 or a box SOUTH:NORTH:WEST:EAST")
    try:
        south, north, west, east = _box(part)
    except ValueError:
        raise InputError(f"region {name!r}: expected numbers, as in 30:60 or 35:75:-12:42") from None
    if not -90 <= south < north <= 90:
        raise InputError(f"region {name!r}: latitude from {south:g} to {north:g}, expected -90 to 90, south first")
    if not (-180 <= west <= 360 and -180 <= east <= 360 and west != east):
        raise InputError(f"region {name!r}: longitude from {west:g} to {east:g}, expected two within -180 to 360")


def _box(part: str) -> tuple[float, float, float, float]:
    numbers = [float(text) for text in part.split(":")]
    return (numbers[0], numbers[1], *(numbers[2:] or (0.0, 360.0)))  # type: ignore[return-value]


def _inside(part: str, nodes: tuple[np.ndarray, np.ndarray], land: np.ndarray | None) -> np.ndarray:
    latitude, longitude = nodes
    if part in SURFACES:
        if land is None:
            raise InputError(f"region {part!r} needs {LAND_MASK} on the grid; stations have none")
        return (land >= 0.5) == (part == "land")
    if part == EXTRATROPICS:
        return np.abs(latitude) >= 20
    south, north, west, east = BOXES.get(part) or _box(part)
    rows = (latitude >= south) & (latitude <= north)
    if east - west >= 360:
        return rows
    return rows & ((longitude - west) % 360 <= (east - west) % 360)
