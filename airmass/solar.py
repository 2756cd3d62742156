"""Solar radiation at the top of the atmosphere, as ERA5 accumulates it, from time and place alone.

Formulas and yearly irradiances are those that ERA5's model uses (Lam et al. 2023, and the published code's tables).

The published models were trained on radiation computed in float32, days since 2000 included: time moves in steps of 42
seconds (2^-11 days), and where the sun is up for the first or last minute of the hour that changes the result by up to
80 %. So float32 values are rounded here where the compiled published code rounds them.
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


def toa_incident_solar_radiation(
    times: np.ndarray, grid: LatLonGrid, rows: slice = slice(None)
) -> Float[np.ndarray, "time node"]:
    """J m-2 accumulated over the hour that ends at each time, on these rows of the grid: trapezoid over 360 bins."""
    latitude, longitude = (_rounded(np.deg2rad(degrees)) for degrees in (grid.latitude[rows], grid.longitude))
    return np.stack([_one_hour(time, latitude, longitude) for time in np.asarray(times, "datetime64[s]")])


def _one_hour(end: np.datetime64, latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    seconds = np.linspace(-3600.0, 0.0, _BINS + 1)
    end_days = (end - np.datetime64("2000-01-01T12", "s")).astype(np.int64) / 86400.0
    days = _rounded(end_days + seconds / 86400.0)
    irradiance = np.interp(seconds, [-3600, 0], total_solar_irradiance(np.array([end - 3600, end])))
    sin_declination, time_correction, distance = _orbit(days)
    cos_declination = np.sqrt(1 - sin_declination**2)
    solar_time = _rounded(np.mod(days, 1.0) + time_correction / 86400.0)
    hour_angle = _rounded(_rounded(2 * np.pi) * solar_time[:, None] + longitude)
    weights = np.full(_BINS + 1, 3600.0 / _BINS)
    weights[[0, -1]] /= 2
    weights = (weights * irradiance / distance**2).astype(np.float32)
    across = np.cos(hour_angle).astype(np.float32)
    total = np.empty((len(latitude), len(longitude)), np.float32)
    lit, dark = np.empty_like(across), np.zeros_like(across)  # numpy compares with a number at a fifth of the speed
    for row, phi in enumerate(latitude):  # a row at a time: a 0.25 degree grid times 361 bins does not fit memory
        slope = (np.cos(phi) * cos_declination).astype(np.float32)
        middle = (np.sin(phi) * sin_declination).astype(np.float32)
        np.multiply(slope[:, None], across, out=lit)
        lit += middle[:, None]
        np.maximum(lit, dark, out=lit)
        total[row] = weights @ lit
    return total.reshape(-1)


def _orbit(days: Float[np.ndarray, " bin"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sine of solar declination, equation of time (s) and distance (au), `days` since J2000."""
    r = _rounded_sum((1.7535, 6.283076 / 365.25), (1.0, days))
    mean_longitude = _rounded_sum((4.8951, 6.283076 / 365.25), (1.0, days))
    anomaly = _rounded_sum((6.240041, 6.283020 / 365.25), (1.0, days))
    years = _rounded(_rounded(1 / 365.25) * days)
    ecliptic = _rounded_sum(
        (4.8952, 6.283320, -0.0075, -0.0326, -0.0003, 0.0002),
        (1.0, years, np.sin(r), np.cos(r), np.sin(2 * r), np.cos(2 * r)),
    )
    equation_of_time = (
        591.8 * np.sin(2 * mean_longitude)
        - 459.4 * np.sin(anomaly)
        + 39.5 * np.sin(anomaly) * np.cos(2 * mean_longitude)
        - 12.7 * np.sin(4 * mean_longitude)
        - 4.8 * np.sin(2 * anomaly)
    )
    distance = 1.0001 - 0.0163 * np.sin(r) + 0.0037 * np.cos(r)
    return np.sin(0.409093) * np.sin(ecliptic), equation_of_time, distance


def _rounded(values):
    """What float32 keeps of float64 values, as float64."""
    return np.float64(np.float32(values))


def _rounded_sum(coefficients: tuple[float, ...], values: tuple) -> np.ndarray:
    """Sum of products, rounded after each fused multiply-add: the last bit of 130 radians is 3 seconds of arc."""
    total = 0.0
    for coefficient, value in zip(coefficients, values, strict=True):
        total = _rounded(total + _rounded(coefficient) * value)
    return np.asarray(total)
