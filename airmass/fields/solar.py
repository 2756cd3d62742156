"""Solar radiation at the top of the atmosphere, accumulated as in ERA5, from time and grid alone.

Formulas and yearly irradiances are those that ERA5's model uses (Lam et al. 2023, and the published code's tables).

The published models were trained on radiation computed in float32, days since 2000 included: time has a resolution of
42 seconds (2^-11 days), which changes the result by up to 80 % where the sun is up for the first or last minute of the
hour only. So this is compiled float32 arithmetic like the published code. It always runs on a CPU: the sines of a GPU
differ in the last bit.
"""

from contextlib import AbstractContextManager, nullcontext

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from airmass.core.types import Array
from airmass.fields.grid import LatLonGrid

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
    """Irradiance at 1 au, W m-2, interpolated between mid-year values."""
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
    latitude, longitude = (np.float32(np.deg2rad(degrees)) for degrees in (grid.latitude[rows], grid.longitude))
    with _on_cpu():
        hours = [_one_hour(*_hour_before(time), latitude, longitude) for time in np.asarray(times, "datetime64[s]")]
    return np.stack(hours).reshape(len(hours), -1)


def _on_cpu() -> AbstractContextManager:
    try:
        return jax.default_device(jax.local_devices(backend="cpu")[0])
    except RuntimeError:  # JAX_PLATFORMS excludes the CPU
        return nullcontext()


def _hour_before(end: np.datetime64) -> tuple[Float[np.ndarray, " bin"], Float[np.ndarray, " bin"]]:
    """Days since J2000, and irradiance at 1 au, at the edges of the bins of the hour before `end`."""
    ago = np.linspace(-3600.0, 0.0, _BINS + 1)
    end_days = (end - np.datetime64("2000-01-01T12", "s")).astype(np.int64) / 86400.0
    irradiance = np.interp(ago, [-3600, 0], total_solar_irradiance(np.array([end - 3600, end])))
    return np.float32(end_days) + (ago / 86400.0).astype(np.float32), irradiance.astype(np.float32)


@jax.jit
def _one_hour(
    days: Float[Array, " bin"],
    irradiance: Float[Array, " bin"],
    latitude: Float[Array, " row"],
    longitude: Float[Array, " column"],
) -> Float[Array, "row column"]:
    sin_declination, time_correction, distance = _orbit(days)
    cos_declination = jnp.sqrt(1 - sin_declination**2)
    across = jnp.cos(2 * jnp.pi * (days % 1.0 + time_correction / 86400) + longitude[:, None])
    weights = jnp.full(_BINS + 1, 3600.0 / _BINS).at[jnp.array([0, -1])].divide(2)
    weights = weights * irradiance * (1 / distance) ** 2

    def row(phi):
        height = jnp.cos(phi) * cos_declination * across + jnp.sin(phi) * sin_declination
        return jnp.maximum(height, 0) @ weights

    return jax.lax.map(row, latitude)  # row by row: a 0.25 degree grid times 361 bins does not fit into memory


def _orbit(days: Float[Array, " bin"]) -> tuple[Float[Array, " bin"], Float[Array, " bin"], Float[Array, " bin"]]:
    """Sine of solar declination, equation of time (s) and distance (au), `days` since J2000."""
    years, one = days / 365.25, jnp.ones_like(days)
    r = 1.7535 + 6.283076 * years
    mean_longitude = 4.8951 + 6.283076 * years
    anomaly = 6.240041 + 6.283020 * years
    ecliptic = _sum(
        (4.8952, one),
        (6.283320, years),
        (-0.0075, jnp.sin(r)),
        (-0.0326, jnp.cos(r)),
        (-0.0003, jnp.sin(2 * r)),
        (0.0002, jnp.cos(2 * r)),
    )
    equation_of_time = _sum(
        (591.8, jnp.sin(2 * mean_longitude)),
        (-459.4, jnp.sin(anomaly)),
        (39.5, jnp.sin(anomaly) * jnp.cos(2 * mean_longitude)),
        (-12.7, jnp.sin(4 * mean_longitude)),
        (-4.8, jnp.sin(2 * anomaly)),
    )
    distance = _sum((1.0001, one), (-0.0163, jnp.sin(r)), (0.0037, jnp.cos(r)))
    return jnp.sin(0.409093) * jnp.sin(ecliptic), equation_of_time, distance


def _sum(*terms: tuple[float, Float[Array, " bin"]]) -> Float[Array, " bin"]:
    """Sum of coefficients times values, computed (and so rounded) as a matrix-vector product like the published code.

    The last bit of 130 radians is 3 seconds of arc: an ordinary sum changed a value by 0.1 %.
    """
    coefficients, values = zip(*terms, strict=True)
    return jnp.stack(values, axis=-1) @ jnp.array(coefficients)
