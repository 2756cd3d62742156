"""Noise on the sphere beside scipy's harmonics, the addition theorem and exact quadrature."""

import jax
import numpy as np
import pytest
from scipy.special import eval_legendre, sph_harm_y

from airmass.core.errors import InputError
from airmass.diffusion.sphere import SphereNoise
from airmass.fields.grid import LatLonGrid

# With and without poles, with and without a row on the equator, more rows than degrees and fewer.
GRIDS = [
    LatLonGrid.equiangular(9, 16, poles=True),
    LatLonGrid.equiangular(8, 16),
    LatLonGrid.equiangular(6, 16, poles=True),
    LatLonGrid.equiangular(5, 12),
    LatLonGrid.equiangular(19, 36, poles=True),
]
GRID_NAMES = [str(grid.shape) for grid in GRIDS]


def responses(latitude, longitude) -> np.ndarray:
    """The field of each coefficient alone: the whole synthesis as a matrix [node, coefficient]."""
    n = len(longitude) // 2
    every = np.eye(n * n, dtype=np.float32).reshape(n, n, n * n)
    return np.asarray(SphereNoise.build(latitude, longitude).synthesise(every), np.float64)


def degree_of_coefficient(n: int) -> np.ndarray:
    row, column = np.indices((n, n))
    return np.where(row + column < n, row + column, 2 * n - 1 - row - column).ravel()


@pytest.mark.parametrize("grid", GRIDS, ids=GRID_NAMES)
def test_variance_is_one_at_every_node(grid):
    np.testing.assert_allclose((responses(grid.latitude, grid.longitude) ** 2).sum(axis=1), 1, rtol=2e-5)


@pytest.mark.parametrize("grid", GRIDS, ids=GRID_NAMES)
def test_covariance_depends_on_distance_alone_and_is_that_of_equal_power(grid):
    matrix = responses(grid.latitude, grid.longitude)
    latitude, longitude = (np.deg2rad(x) for x in grid.nodes)
    points = np.stack(
        [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)], axis=1
    )
    cosine = np.clip(points @ points.T, -1, 1)
    degrees = np.arange(grid.shape[1] // 2)
    expected = sum((2 * n + 1) * eval_legendre(n, cosine) for n in degrees) / len(degrees) ** 2
    np.testing.assert_allclose(matrix @ matrix.T, expected, atol=2e-5)


def test_each_coefficient_is_one_harmonic_of_equal_power():
    """On Gaussian latitudes quadrature is exact, so that responses are orthogonal, and their degrees can be told."""
    nodes, weights = np.polynomial.legendre.leggauss(10)
    latitude, longitude = np.rad2deg(np.arcsin(nodes)), np.arange(20) * 18.0
    matrix = responses(latitude, longitude)
    area = np.repeat(weights, 20) / 40
    np.testing.assert_allclose(matrix.T @ (area[:, None] * matrix), np.eye(100) / 100, atol=1e-7)
    phi, lam = np.meshgrid(np.deg2rad(latitude), np.deg2rad(longitude), indexing="ij")
    for degree in range(10):
        harmonics = [sph_harm_y(degree, m, np.pi / 2 - phi, lam).ravel() for m in range(degree + 1)]
        basis = np.stack([h.real for h in harmonics] + [h.imag for h in harmonics[1:]], axis=1)
        shares = np.square(basis.T @ (area[:, None] * matrix)).sum(axis=0)
        np.testing.assert_array_equal(shares > 1e-9, degree_of_coefficient(10) == degree)


def test_a_harmonic_of_the_one_degree_grid_is_scipys():
    grid = LatLonGrid.equiangular(181, 360, poles=True)
    coefficients = np.zeros((180, 180, 2), np.float32)
    coefficients[170, 9, 0] = 1  # cosine of order 170 in degree 179
    coefficients[180 - 31, 179 - 69, 1] = 1  # sine of order 31 in degree 100
    ours = SphereNoise.build(grid.latitude, grid.longitude).synthesise(coefficients)
    colatitude, longitude = np.pi / 2 - np.deg2rad(grid.nodes[0]), np.deg2rad(grid.nodes[1])
    scale = np.sqrt(2 * 4 * np.pi) / 180
    np.testing.assert_allclose(ours[:, 0], scale * sph_harm_y(179, 170, colatitude, longitude).real, atol=1e-6)
    np.testing.assert_allclose(ours[:, 1], scale * sph_harm_y(100, 31, colatitude, longitude).imag, atol=1e-6)


def test_draws_have_unit_variance_at_every_latitude_and_independent_channels():
    grid = LatLonGrid.equiangular(32, 64)
    noise = SphereNoise.build(grid.latitude, grid.longitude)
    draws = np.asarray(noise.draw(jax.random.key(0), 400))
    assert draws.dtype == np.float32 and draws.shape == (grid.size, 400)
    assert abs(draws.mean()) < 4 / np.sqrt(400 * 32**2)
    # 400 draws of 64 columns, which carry at least one independent value between them.
    variance = np.square(draws.reshape(32, 64, 400)).mean(axis=(1, 2))
    np.testing.assert_allclose(variance, 1, atol=5 * np.sqrt(2 / 400))
    np.testing.assert_allclose(variance[8:24], 1, atol=5 * np.sqrt(2 / 400 / 32))
    # Weighted by area, a correlation between channels has a standard deviation of 1/32: 32^2 coefficients.
    weighted = draws * np.sqrt(grid.area_weights[:, None])
    correlation = np.corrcoef(weighted.T)[np.triu_indices(400, 1)]
    np.testing.assert_allclose(correlation.std(), 1 / 32, rtol=0.05)
    assert np.abs(correlation).max() < 6 / 32


def test_power_of_draws_is_flat_in_degree():
    nodes, weights = np.polynomial.legendre.leggauss(16)
    latitude, longitude = np.rad2deg(np.arcsin(nodes)), np.arange(32) * 11.25
    draws = np.asarray(SphereNoise.build(latitude, longitude).draw(jax.random.key(1), 300))
    phi, lam = np.meshgrid(np.deg2rad(latitude), np.deg2rad(longitude), indexing="ij")
    area = (np.repeat(weights, 32) * 2 * np.pi / 32)[:, None]
    for degree in range(16):
        harmonics = [sph_harm_y(degree, m, np.pi / 2 - phi, lam).ravel() for m in range(degree + 1)]
        found = np.conj(harmonics) @ (area * draws)
        power = (np.abs(found[0]) ** 2 + 2 * np.sum(np.abs(found[1:]) ** 2, axis=0)).mean() / (2 * degree + 1)
        deviation = np.sqrt(2 / (300 * (2 * degree + 1)))
        np.testing.assert_allclose(power * 16**2 / (4 * np.pi), 1, atol=4.5 * deviation, err_msg=f"degree {degree}")


def test_a_draw_depends_on_its_key_alone():
    grid = GRIDS[0]
    noise = SphereNoise.build(grid.latitude, grid.longitude)
    keys = jax.random.split(jax.random.key(3), 4)
    together = jax.vmap(lambda key: noise.draw(key, 3))(keys)
    np.testing.assert_allclose(together[2], noise.draw(keys[2], 3), atol=1e-6)
    assert not np.any(np.isclose(together[2], together[1], atol=1e-6))


@pytest.mark.parametrize(
    ("latitude", "longitude", "message"),
    [
        (np.linspace(-90, 90, 19), np.arange(35) * 360 / 35, "35 longitudes, expected an even number of 4 or more"),
        (np.linspace(-90, 90, 19), np.array([0.0, 180]), "2 longitudes"),
        (np.linspace(-90, 90, 19), np.linspace(0, 360, 36), "steps from 10.2857 to 10.2857 .* 36 even steps of 10 "),
        (np.linspace(-90, 90, 19), np.array([0.0, 80, 180, 270]), "steps from 80 to 100 degrees"),
        (np.linspace(-90, 90, 19), np.array([0.0, 90, np.nan, 270]), "steps from nan to nan"),
        (np.linspace(-90, 80, 18), np.arange(36) * 10.0, "18 latitudes from -90 to 80, expected .* symmetric"),
        (np.array([0.0, 30, -30, 0]), np.arange(36) * 10.0, "4 latitudes from 0 to 0, expected rows in order"),
        (np.array([-100.0, 0, 100]), np.arange(36) * 10.0, "3 latitudes from -100 to 100"),
    ],
)
def test_other_grids_are_refused(latitude, longitude, message):
    with pytest.raises(InputError, match=message):
        SphereNoise.build(latitude, longitude)
