"""Solar radiation at the top of the atmosphere, as ERA5 accumulates it, from time and place alone.

Formulas and yearly irradiances are those that ERA5's model uses (Lam et al. 2023, and the published code's tables).
"""

import numpy as np
from jaxtyping import Float

from airmass.grid import LatLonGrid

_BINS = 360
_ERA5_SCALE = 0.9965
# W m-2 at the middle of each year from 1951; from 1996 on the last 13 repeat.
_IRRADIANCE_1951 = np.array(
    """1365.7765 1365.7676 1365.6284 1365.6564 1365.7773 1366.3109 1366.6681 1366.6328 1366.3828 1366.2767 1365.9199
    1365.7484 1365.6963 1365.6976 1365.7341 1365.9178 1366.1143 1366.1644 1366.2476 1366.2426 1365.9580 1366.0525
    1365.7991 1365.7271 1365.5345 1365.6453 1365.8331 1366.2747 1366.6348 1366.6482 1366.6951 1366.2859 1366.1992
    1365.8103 1365.6416 1365.6379 1365.7899 1366.0826 1366.6479 1366.5533 1366.4457 1366.3021 1366.0286 1365.7971
    1365.6996""".split(),
    np.float64,
)
_IRRADIANCE_CYCLE_1996 = np.array(
    """1365.6121 1365.7399 1366.1021 1366.3851 1366.6836 1366.6022 1366.6807 1366.2300 1366.0480 1365.8545 1365.8107
    1365.7240 1365.6918""".split(),
    np.float64,
)


def total_solar_irradiance(times: np.ndarray) -> Float[np.ndarray, " time"]:
    """Irradiance at 1 au, W m-2, interpolated between the middles of years."""
    times = np.asarray(times, "datetime64[s]")
    years = times.astype("datetime64[Y]").astype(int) + 1970
    start = times.astype("datetime64[Y]").astype("datetime64[s]")
    length = (times.astype("datetime64[Y]") + 1).astype("datetime64[s]") - start
    fractional = years + (times - start) / length
    last = max(int(years.max()) + 2, 1997)
    recent = _IRRADIANCE_CYCLE_1996[np.arange(last - 1996) % len(_IRRADIANCE_CYCLE_1996)]
    table = np.concatenate([_IRRADIANCE_1951, recent])
    return _ERA5_SCALE * np.interp(fractional, 1951.5 + np.arange(len(table)), table)


def toa_incident_solar_radiation(times: np.ndarray, grid: LatLonGrid) -> Float[np.ndarray, "time node"]:
    """J m-2 accumulated over the hour that ends at each time: trapezoid over 360 bins."""
    return np.stack([_one_hour(time, grid) for time in np.asarray(times, "datetime64[s]")])


def _one_hour(end: np.datetime64, grid: LatLonGrid) -> np.ndarray:
    seconds = np.linspace(-3600.0, 0.0, _BINS + 1)
    end_days = (end - np.datetime64("2000-01-01T12", "s")).astype(np.int64) / 86400.0
    days = end_days + seconds / 86400.0
    irradiance = np.interp(seconds, [-3600, 0], total_solar_irradiance(np.array([end - 3600, end])))
    declination, time_correction, distance = _orbit(days / 365.25)
    hour_angle = 2 * np.pi * (np.mod(days, 1.0) + time_correction / 86400.0)
    latitude, longitude = np.deg2rad(grid.latitude), np.deg2rad(grid.longitude)
    weights = np.full(_BINS + 1, 3600.0 / _BINS)
    weights[[0, -1]] /= 2
    weights *= irradiance / distance**2
    across = np.cos(hour_angle[:, None] + longitude[None])
    total = np.empty(grid.shape, np.float32)
    for row, phi in enumerate(latitude):  # a row at a time: a 0.25 degree grid times 361 bins does not fit memory
        height = np.cos(phi) * np.cos(declination)[:, None] * across + (np.sin(phi) * np.sin(declination))[:, None]
        total[row] = weights @ np.maximum(height, 0.0)
    return total.reshape(-1)


def _orbit(years: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Solar declination (radians), equation of time (s) and distance (au), `years` of 365.25 days since J2000."""
    r = 1.7535 + 6.283076 * years
    ecliptic = (
        4.8952
        + 6.283320 * years
        - 0.0075 * np.sin(r)
        - 0.0326 * np.cos(r)
        - 0.0003 * np.sin(2 * r)
        + 0.0002 * np.cos(2 * r)
    )
    declination = np.arcsin(np.sin(0.409093) * np.sin(ecliptic))
    mean_longitude = 4.8951 + 6.283076 * years
    anomaly = 6.240041 + 6.283020 * years
    equation_of_time = (
        591.8 * np.sin(2 * mean_longitude)
        - 459.4 * np.sin(anomaly)
        + 39.5 * np.sin(anomaly) * np.cos(2 * mean_longitude)
        - 12.7 * np.sin(4 * mean_longitude)
        - 4.8 * np.sin(2 * anomaly)
    )
    distance = 1.0001 - 0.0163 * np.sin(r) + 0.0037 * np.cos(r)
    return declination, equation_of_time, distance
