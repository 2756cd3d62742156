"""Spherical harmonics on a latitude-longitude grid: analysis and synthesis."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.lax import Precision, complex
from jaxtyping import Complex, Float, Inexact, Int

from airmass.core.errors import InputError
from airmass.core.types import Array

# Float32 coordinates of a 0.25 degree grid carry errors of 1e-5 degrees.
_TOLERANCE = 1e-3


class Harmonics(eqx.Module):
    """Harmonics of degree 0 to n - 1, by default n_longitude / 2 of them, each divided by n over sqrt(4 pi).

    With this scale, independent coefficients of unit variance give a field of unit variance. Coefficients are complex,
    at [order, degree], for orders from 0 on, and zero where the order exceeds the degree. Analysis is least squares
    with the rows' areas as weights: exact for sums of these harmonics, on all rows that `build` accepts.

    The tables take 47 MB at 1 degree.
    """

    rows: Float[Array, "order row degree"]
    inverse: Float[Array, "order degree row"]
    n_longitude: int = eqx.field(static=True)

    @classmethod
    def build(
        cls,
        latitude: Float[np.ndarray, " latitude"],
        longitude: Float[np.ndarray, " longitude"],
        degrees: int | None = None,
    ) -> "Harmonics":
        """The tables for nodes row by row over latitude and longitude, in degrees, of at most so many harmonic degrees.

        Raises InputError where `check_resolved` does.
        """
        latitude, longitude = np.asarray(latitude, np.float64), np.asarray(longitude, np.float64)
        n = check_resolved(latitude, longitude, degrees)
        table = legendre(np.deg2rad(latitude), np.arange(n), n) * np.sqrt(4 * np.pi) / n
        rows = np.zeros((n, len(latitude), n))
        for order in range(n):
            rows[order, :, order:] = table[: n - order, order].T
        middles = (latitude[1:] + latitude[:-1]) / 2
        bounds = np.sin(np.deg2rad([np.sign(latitude[0]) * 90, *middles, np.sign(latitude[-1]) * 90]))
        weights = np.sqrt(np.abs(np.diff(bounds)))
        inverse = np.zeros((n, n, len(latitude)))
        for order in range(n):
            inverse[order, order:] = np.linalg.pinv(weights[:, None] * rows[order, :, order:]) * weights
        return cls(rows.astype(np.float32), inverse.astype(np.float32), len(longitude))

    def analyse(self, field: Float[Array, "node channel"]) -> Complex[Array, "order degree channel"]:
        """Coefficients of a field: the least-squares fit of the harmonics."""
        waves = jnp.fft.rfft(field.reshape(-1, self.n_longitude, field.shape[-1]), axis=1)[:, : self.rows.shape[0]]
        return _product("mlr,rmc->mlc", self.inverse, waves / self.n_longitude)

    def synthesise(self, coefficients: Complex[Array, "order degree channel"]) -> Float[Array, "node channel"]:
        """The field of given coefficients."""
        waves = _product("mrl,mlc->rmc", self.rows, coefficients)
        return jnp.fft.irfft(waves * self.n_longitude, self.n_longitude, axis=1).reshape(-1, coefficients.shape[-1])

    def filtered(
        self, field: Float[Array, "node channel"], gain: Inexact[Array, "order degree channel"]
    ) -> Float[Array, "node channel"]:
        """A field with each harmonic times its gain; unresolved scales are left out."""
        return self.synthesise(gain * self.analyse(field))


def legendre(
    latitude: Float[np.ndarray, " row"], orders: Int[np.ndarray, " order"], n_degrees: int
) -> Float[np.ndarray, "degree order row"]:
    """Associated Legendre functions of sin(latitude) (radians), orthonormal on the sphere, at [l - m, m].

    Each order from its lowest degree up to n_degrees - 1, then zeros. The recurrence is upward in degree, which is
    stable. In float64 the lowest degree underflows near the poles only where all degrees below about 1900 are
    negligible.
    """
    m = np.asarray(orders, np.float64)[:, None]
    x = np.sin(latitude)
    table = np.zeros((n_degrees - int(m.min()), len(m), len(x)))
    steps = np.arange(1, int(m.max()) + 1)
    lowest = np.concatenate([[1.0], np.cumprod(-np.sqrt(1 + 1 / (2 * steps)))]) / np.sqrt(4 * np.pi)
    table[0] = lowest[np.asarray(orders, int), None] * np.cos(latitude) ** m
    for j in range(1, len(table)):
        degree = m + j
        a = np.sqrt((4 * degree**2 - 1) / (degree**2 - m**2))
        b = np.sqrt(((degree - 1) ** 2 - m**2) / (4 * (degree - 1) ** 2 - 1))
        table[j] = a * (x * table[j - 1] - (b * table[j - 2] if j > 1 else 0))
        table[j, degree[:, 0] >= n_degrees] = 0
    return table


def check_nodes(latitude: Float[np.ndarray, " latitude"], longitude: Float[np.ndarray, " longitude"]) -> None:
    """Raise InputError unless rows are symmetric about the equator and an even number of columns circle the globe."""
    n = len(longitude)
    if n < 4 or n % 2:
        raise InputError(f"harmonics: {n} longitudes, expected an even number of 4 or more")
    if not np.abs(np.diff(longitude) - 360 / n).max() <= _TOLERANCE:  # not >, which NaN would pass
        steps = np.diff(longitude)
        raise InputError(
            f"harmonics: longitude steps from {steps.min():g} to {steps.max():g} degrees, expected {n} even "
            f"steps of {360 / n:g} around the globe"
        )
    in_order = np.all(np.diff(latitude) > 0) or np.all(np.diff(latitude) < 0)
    mirrored = np.abs(latitude + latitude[::-1]).max() <= _TOLERANCE
    if not (in_order and mirrored and abs(latitude[0]) <= 90 + _TOLERANCE):
        raise InputError(
            f"harmonics: {len(latitude)} latitudes from {latitude[0]:g} to {latitude[-1]:g}, expected rows "
            "in order from one pole to the other that are symmetric about the equator"
        )


def check_resolved(
    latitude: Float[np.ndarray, " latitude"], longitude: Float[np.ndarray, " longitude"], degrees: int | None = None
) -> int:
    """The number of harmonic degrees on a grid, at most `degrees`.

    Raises InputError where `check_nodes` does, and for fewer rows than degrees, which are then ambiguous.
    """
    check_nodes(latitude, longitude)
    n = min(len(longitude) // 2, degrees or len(longitude))
    if len(latitude) < n:
        raise InputError(f"harmonics: {len(latitude)} latitudes, expected {n} or more to resolve {n} degrees")
    return n


def _product(how: str, table: Float[Array, "order out in"], waves: Complex[Array, "..."]) -> Complex[Array, "..."]:
    """The product of a real table and complex waves, as one real product."""
    n = waves.shape[-1]
    both = jnp.concatenate([waves.real, waves.imag], axis=-1)
    made = jnp.einsum(how, table, both, precision=Precision.HIGHEST)
    return complex(made[..., :n], made[..., n:])
