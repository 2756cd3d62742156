"""Weather with storms planted on known paths: Holland vortices with warm cores in a background without any.

The background has zonal means with jets, travelling waves of the middle latitudes that are deeper than most tropical
cyclones but have cold cores, and faint waves in the tropics. Vortices are those of Holland 1980
(10.1175/1520-0493(1980)108<1212:AAMOTW>2.0.CO;2): pressure deficit dp (1 - exp(-x)), x = (rm / r)^b, and gradient wind.
The deficit shrinks with height, to 0.6 at 500 hPa and 0.2 at 300 hPa, which makes the column between warm.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from airmass.evaluation.tracks.base import Frame
from airmass.evaluation.tracks.neighbourhood import window
from airmass.evaluation.tracks.sphere import KM_PER_DEGREE, bearing, distance, extrapolated
from airmass.fields.grid import LatLonGrid
from airmass.fields.variables import VARIABLES

LEVELS = (300, 500, 850)
CHANNELS = (
    ("mean_sea_level_pressure", None),
    ("10m_u_component_of_wind", None),
    ("10m_v_component_of_wind", None),
    ("u_component_of_wind", 850),
    ("v_component_of_wind", 850),
    ("geopotential", 300),
    ("geopotential", 500),
    ("temperature", 300),
    ("temperature", 500),
)
_DENSITY, _GAS, _ROTATION = 1.15, 287.05, 7.292e-5


@dataclass(frozen=True)
class Storm:
    """A vortex: positions at `times`, deficit of pressure in Pa at each, radius of maximum wind in km, Holland's B."""

    times: np.ndarray
    lat: np.ndarray
    lon: np.ndarray
    deficit: np.ndarray
    radius: float = 60.0
    b: float = 1.4


def straight(times, start, end, deficit, **shape) -> Storm:
    """A storm on the great circle from `start` to `end` (latitude, longitude), with a deficit in Pa at all times."""
    share = np.linspace(0, 1, len(times))
    lat, lon = extrapolated(start[0], start[1], end[0], end[1], share - 1)
    return Storm(np.asarray(times), lat, lon, np.broadcast_to(np.asarray(deficit, float), len(times)), **shape)


def hourly(start: str, steps: int, hours: int = 6) -> np.ndarray:
    return np.datetime64(start, "ns") + np.arange(steps) * np.timedelta64(hours, "h")


_KEPT: dict = {}


def background(grid: LatLonGrid, time: np.datetime64, seed: int = 0) -> dict:
    """Fields of CHANNELS at a time, without a tropical cyclone; those of coarse grids are kept."""
    key = (grid.shape, time, seed)
    if key not in _KEPT:
        made = _background(grid, time, seed)
        if grid.size > 1e5:
            return made
        _KEPT[key] = made
    return {channel: field.copy() for channel, field in _KEPT[key].items()}


def _background(grid: LatLonGrid, time: np.datetime64, seed: int) -> dict:
    lat = np.deg2rad(grid.latitude)[:, None]
    hours = float((time - np.datetime64("2000-01-01", "ns")) / np.timedelta64(1, "h"))
    middle = np.exp(-(((np.abs(lat) - np.deg2rad(50)) / np.deg2rad(15)) ** 2))
    calm = np.exp(-((lat / np.deg2rad(30)) ** 2))
    waves, faint = _waves(grid, hours, seed, (4, 9)), _waves(grid, hours, seed + 100, (2, 7))
    msl = 101300 + 700 * np.cos(6 * lat) * np.cos(lat) - 1500 * np.sin(lat) ** 4
    msl = msl + 1400 * middle * waves + 80 * calm * faint
    # Cold lows: the column is thin where pressure at the surface is low.
    z500 = 9.80665 * (5850 - 700 * np.sin(lat) ** 2 + 110 * middle * waves + 3 * calm * faint)
    z300 = z500 + 9.80665 * (3800 - 330 * np.sin(lat) ** 2 + 60 * middle * waves + 1 * calm * faint)
    jet = 12 * middle - 5 * calm
    u, v = jet + 8 * middle * _waves(grid, hours, seed + 1, (4, 9)), 8 * middle * _waves(grid, hours, seed + 2, (4, 9))
    u = u + 2 * calm * faint
    t500, t300 = (260 - 25 * np.sin(lat) ** 2 + 5 * middle * waves), (240 - 20 * np.sin(lat) ** 2 + 4 * middle * waves)
    found = (msl, 0.7 * u, 0.7 * v, u, v, z300, z500, t300, t500)
    return {c: np.broadcast_to(f, grid.shape).astype(np.float64).copy() for c, f in zip(CHANNELS, found, strict=True)}


def _waves(grid: LatLonGrid, hours: float, seed: int, numbers: tuple[int, int]) -> np.ndarray:
    """Eastward travelling waves of these zonal wavenumbers, with tilts, of standard deviation near 1."""
    rng = np.random.default_rng(seed)
    lat, lon = np.deg2rad(grid.latitude)[:, None], np.deg2rad(grid.longitude)[None]
    total = np.zeros(grid.shape)
    for k in range(*numbers):
        phase, tilt, speed = rng.uniform(0, 2 * np.pi), rng.uniform(-3, 3), rng.uniform(0.5, 1.5)
        total += np.cos(k * (lon - np.deg2rad(speed * hours / 2.4)) + tilt * lat + phase)
    return total / np.sqrt((numbers[1] - numbers[0]) / 2)


def plant(grid: LatLonGrid, fields: dict, lat: float, lon: float, deficit: float, radius: float, b: float) -> None:
    """Add a vortex to fields, averaged over boxes of the grid (a coarse grid does not see the core)."""
    step = grid.latitude[1] - grid.latitude[0]
    across = 360 / len(grid.longitude)
    parts = max(1, int(np.ceil(step / 0.5)))
    offsets = (np.arange(parts) + 0.5) / parts - 0.5
    nodes = window(grid, lat, lon, 25 + step)
    row, column = np.divmod(nodes, len(grid.longitude))
    total = 0.0
    for i in offsets:
        for j in offsets:
            y = np.clip(grid.latitude[row] + i * step, -90, 90)
            total = total + np.stack(_vortex(y, grid.longitude[column] + j * across, lat, lon, deficit, radius, b))
    for channel, change in zip(CHANNELS, total / parts**2, strict=True):
        fields[channel].reshape(-1)[nodes] += change


def _vortex(lat, lon, clat, clon, deficit, radius, b) -> tuple:
    away = np.maximum(distance(lat, lon, clat, clon), 0.1)
    out = np.deg2rad(bearing(clat, clon, lat, lon))
    x = (radius / away) ** b
    # Vanishing beyond 15 to 25 degrees, as no vortex fills the globe.
    taper = np.clip((25 * KM_PER_DEGREE - away) / (10 * KM_PER_DEGREE), 0, 1)
    lack = deficit * (1 - np.exp(-x)) * taper
    coriolis = 1e3 * away * abs(_ROTATION * np.sin(np.deg2rad(clat)))
    speed = (np.sqrt(b * deficit / _DENSITY * x * np.exp(-x) + coriolis**2) - coriolis) * taper
    turn = np.sign(clat) * np.pi / 2
    # Bearing of the wind: to the left of outward north of the equator, and inward at the surface.
    aloft = np.sin(out - turn), np.cos(out - turn)
    inward = -np.sin(out), -np.cos(out)
    surface = [0.8 * speed * (0.95 * a + 0.3 * i) for a, i in zip(aloft, inward, strict=True)]
    height = _GAS * 300 * lack / 101300
    z500, z300 = -0.6 * height, -0.2 * height
    warming = (z300 - z500) / (_GAS * np.log(500 / 300))
    return (-lack, *surface, speed * aloft[0], speed * aloft[1], z300, z500, 0.5 * warming, 0.5 * warming)


def frames(grid: LatLonGrid, times: np.ndarray, storms: Sequence[Storm], seed: int = 0) -> Iterator[Frame]:
    for time in times:
        fields = background(grid, time, seed)
        for storm in storms:
            for i in np.flatnonzero(storm.times == time):
                plant(grid, fields, storm.lat[i], storm.lon[i], storm.deficit[i], storm.radius, storm.b)
        yield Frame(time, grid, {channel: field.astype(np.float32) for channel, field in fields.items()})


def dataset(grid: LatLonGrid, times: np.ndarray, storms: Sequence[Storm], seed: int = 0) -> xr.Dataset:
    """The frames as a store along `time`, with levels LEVELS (fields without a channel hold its neighbour's)."""
    made = list(frames(grid, times, storms, seed))
    fields = {}
    for name in dict.fromkeys(name for name, _ in CHANNELS):
        levels = [level for other, level in CHANNELS if other == name]
        if levels == [None]:
            fields[name] = (("time", "latitude", "longitude"), np.stack([f[name, None] for f in made]))
        else:
            nearest = {p: min(levels, key=lambda q: abs(q - p)) for p in LEVELS}
            values = np.stack([np.stack([f[name, nearest[p]] for p in LEVELS]) for f in made])
            if name == "geopotential":
                values[:, 2] = 9.80665 * 1450
            fields[name] = (("time", "level", "latitude", "longitude"), values)
    coords = {
        "time": times,
        "level": ("level", np.array(LEVELS), {"units": "hPa"}),
        "latitude": grid.latitude,
        "longitude": grid.longitude,
    }
    return xr.Dataset({n: (*f, VARIABLES[n].attributes) for n, f in fields.items()}, coords)


def forecast(grid: LatLonGrid, init_time, leads: Sequence[int], members: Sequence[Sequence[Storm]], system="planted"):
    """An ensemble forecast with the storms of each member; `leads` in hours."""
    lead_times = np.array(leads) * np.timedelta64(3600 * 10**9, "ns")
    valid = init_time + lead_times
    made = [dataset(grid, valid, storms, seed=0).drop_vars("time").rename(time="lead_time") for storms in members]
    joined = xr.concat(made, "number").expand_dims(init_time=[init_time])
    order = ("init_time", "number", "lead_time", "level", "latitude", "longitude")
    joined = joined.assign_coords(number=np.arange(len(made)), lead_time=lead_times).transpose(*order)
    joined.attrs["airmass_system"] = system
    return joined


# Uniform fields for lows of any latitude.
MSL_ONLY = {
    ("mean_sea_level_pressure", None): 101300.0,
    ("10m_u_component_of_wind", None): 3.0,
    ("10m_v_component_of_wind", None): 0.0,
    ("geopotential", 300): 90000.0,
    ("geopotential", 500): 54000.0,
}


def plant_low(grid: LatLonGrid, fields: dict, lat: float, lon: float, deficit: float) -> None:
    """Subtract a Gaussian low of 600 km from pressure, with a cold core."""
    away = distance(*np.meshgrid(grid.latitude, grid.longitude, indexing="ij"), lat, lon)
    shape = np.exp(-((away / 600) ** 2))
    fields["mean_sea_level_pressure", None] = fields["mean_sea_level_pressure", None] - deficit * shape
    fields["geopotential", 300] = fields["geopotential", 300] - 3000 * shape
