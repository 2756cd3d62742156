"""White noise on the sphere: spherical-harmonic coefficients of equal power (Price et al. 2025, GenCast).

Independent values at the nodes of a latitude-longitude grid would be far rougher near the poles, where nodes are dense,
than at the equator. Noise drawn by degree has the same variance, and the same power at each scale, everywhere.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from airmass.core.types import Array
from airmass.fields.harmonics import check_nodes, legendre

# Orders are synthesised in this many groups: more skip more zeros of the triangle of degrees, fewer compile faster.
_GROUPS = 8
# Harmonics of high order vanish near the poles; rows where a whole group is below this are left out.
_NEGLIGIBLE = 1e-9


class SphereNoise(eqx.Module):
    """Noise of unit variance at every node, and of equal power in every harmonic of degree 0 to n_longitude / 2 - 1.

    The published "n_longitude / 2 - 1 wavenumbers" are read as total degrees, with all orders up to the degree: the
    noise is then isotropic, and its covariance depends on distance only.

    Each group of orders has one table of Legendre functions [order, row, degree] for harmonics even about the equator
    and one for odd ones, over the rows of one hemisphere: 6 MB in all at 1 degree, 350 MB at 0.25 degree.
    """

    # Each group has sizes of its own.
    even: tuple[Float[Array, "_order _row _degree"], ...]
    odd: tuple[Float[Array, "_order _row _degree"], ...]
    n_latitude: int = eqx.field(static=True)
    n_longitude: int = eqx.field(static=True)

    @classmethod
    def build(
        cls, latitude: Float[np.ndarray, " latitude"], longitude: Float[np.ndarray, " longitude"]
    ) -> "SphereNoise":
        """The tables for nodes row by row over latitude and longitude, in degrees.

        Latitudes must be symmetric about the equator, with or without poles; longitudes must be an even number of even
        steps around the globe. Raises InputError otherwise.
        """
        latitude, longitude = np.asarray(latitude, np.float64), np.asarray(longitude, np.float64)
        check_nodes(latitude, longitude)
        n_degrees = len(longitude) // 2
        half = np.deg2rad(latitude[: (len(latitude) + 1) // 2])
        even, odd = [], []
        for orders in np.array_split(np.arange(n_degrees), min(_GROUPS, n_degrees)):
            # By the addition theorem the squares of all harmonics sum to n_degrees^2 / 4 pi at every point.
            table = legendre(half, orders, n_degrees) * np.sqrt(4 * np.pi) / n_degrees
            table = table.transpose(1, 2, 0).astype(np.float32)
            used = np.abs(table).max(axis=(0, 2)) > _NEGLIGIBLE
            table = table[:, np.argmax(used) :]
            even.append(jnp.asarray(table[..., 0::2]))
            odd.append(jnp.asarray(table[..., 1::2]))
        return cls(tuple(even), tuple(odd), len(latitude), len(longitude))

    @eqx.filter_jit
    def draw(
        self, key: PRNGKeyArray, channels: int, large: Float[Array, "large large channel"] | None = None
    ) -> Float[Array, "node channel"]:
        """Independent noise in each channel, float32; `large` replaces the coefficients of the lowest degrees."""
        n_degrees = self.n_longitude // 2
        drawn = jax.random.normal(key, (n_degrees, n_degrees, channels))
        return self.synthesise(drawn if large is None else _with_large(drawn, large))

    @eqx.filter_jit
    def synthesise(self, coefficients: Float[Array, "degrees degrees channel"]) -> Float[Array, "node channel"]:
        """Sum of harmonics, each divided by n_degrees / sqrt(4 pi).

        The coefficients are packed as a triangle of cosines and one of sines in a square: that of cos(m longitude) in
        degree l at [m, l - m], and that of sin(m longitude), m > 0, at [n_degrees - m, n_degrees - 1 - (l - m)].
        """
        n_degrees, _, channels = coefficients.shape
        sines = jnp.pad(coefficients[:0:-1, ::-1], ((1, 0), (0, 0), (0, 0)))
        # irfft counts every order but 0 twice, and harmonics of order above 0 carry the square root of 2.
        scale = jnp.full(n_degrees, self.n_longitude / np.sqrt(2)).at[0].set(self.n_longitude)[:, None, None]
        both = scale * jnp.concatenate([coefficients, -sines], axis=-1)
        n_rows = (self.n_latitude + 1) // 2
        upper, lower, first = [], [], 0
        for even, odd in zip(self.even, self.odd, strict=True):
            group = both[first : first + len(even)]
            first += len(even)
            symmetric = _product(even, group[:, : 2 * even.shape[-1] : 2])
            antisymmetric = _product(odd, group[:, 1 : 2 * odd.shape[-1] : 2])
            pad = ((0, 0), (n_rows - even.shape[1], 0), (0, 0))
            upper.append(jnp.pad(symmetric + antisymmetric, pad))
            lower.append(jnp.pad(symmetric - antisymmetric, pad)[:, : self.n_latitude // 2][:, ::-1])
        waves = jnp.concatenate([jnp.concatenate(upper), jnp.concatenate(lower)], axis=1)
        waves = jax.lax.complex(waves[..., :channels], waves[..., channels:])
        field = jnp.fft.irfft(waves, self.n_longitude, axis=0)
        return field.swapaxes(0, 1).reshape(-1, channels)


def _with_large(
    coefficients: Float[Array, "degrees degrees channel"], large: Float[Array, "large large channel"]
) -> Float[Array, "degrees degrees channel"]:
    """Coefficients with the lowest degrees replaced: cosines in the first corner of the square, sines in the last."""
    count = len(large)
    cosines = (np.add.outer(np.arange(count), np.arange(count)) < count)[..., None]
    for corner, mine in ((slice(count), cosines), (slice(len(coefficients) - count, None), ~cosines)):
        kept = jnp.where(mine, large, coefficients[corner, corner])
        coefficients = jnp.asarray(coefficients).at[corner, corner].set(kept)
    return coefficients


def _product(
    table: Float[Array, "order row degree"], coefficients: Float[Array, "order degree channel"]
) -> Float[Array, "order row channel"]:
    return jnp.einsum("mrj,mjc->mrc", table, coefficients, precision=jax.lax.Precision.HIGHEST)
