"""Harmonics beside scipy's, exact quadrature and the addition theorem."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import sph_harm_y

from airmass.core.errors import InputError
from airmass.diffusion.sphere import SphereNoise
from airmass.fields.grid import LatLonGrid
from airmass.fields.harmonics import Harmonics, legendre

# With and without poles, with and without a row on the equator, as few rows as degrees and more.
GRIDS = [
    LatLonGrid.equiangular(9, 16, poles=True),
    LatLonGrid.equiangular(8, 16),
    LatLonGrid.equiangular(11, 16),
    LatLonGrid.equiangular(32, 64),
    LatLonGrid.equiangular(19, 36, poles=True),
]
GRID_NAMES = [str(grid.shape) for grid in GRIDS]


def harmonics_of(grid: LatLonGrid) -> Harmonics:
    return Harmonics.build(grid.latitude, grid.longitude)


def random_coefficients(n: int, channels: int = 3) -> np.ndarray:
    """Complex at [order, degree], real in order 0, zero where the order exceeds the degree."""
    real, imaginary = np.random.default_rng(n).normal(size=(2, n, n, channels)) / np.sqrt(2)
    made = real + 1j * imaginary
    made[0] = np.sqrt(2) * made[0].real
    return np.where((np.arange(n)[:, None] <= np.arange(n))[..., None], made, 0).astype(np.complex64)


@pytest.mark.parametrize(("degree", "order"), [(0, 0), (1, 0), (1, 1), (7, 3), (179, 0), (179, 170), (719, 719)])
def test_legendre_functions_are_scipys(degree, order):
    latitude = np.deg2rad(np.linspace(-90, 90, 37))
    ours = legendre(latitude, np.array([max(order - 1, 0), order]), degree + 1)
    expected = sph_harm_y(degree, order, np.pi / 2 - latitude, 0).real
    lowest = max(order - 1, 0)
    assert ours.shape == (degree + 1 - lowest, 2, 37)
    np.testing.assert_allclose(ours[degree - order, 1], expected, atol=1e-10)
    assert np.all(ours[degree - order + 1 :, 1] == 0)


def test_legendre_functions_of_the_quarter_degree_grid_obey_the_addition_theorem():
    """Squares over the orders of degree l sum to (2 l + 1) / 4 pi everywhere. (scipy returns NaN at such degrees.)"""
    table = legendre(np.deg2rad([-89.75, -60, -10, 0]), np.arange(720), 720)
    for degree in (100, 500, 719):
        orders = np.arange(degree + 1)
        squares = np.square(table[degree - orders, orders]) * np.where(orders, 2, 1)[:, None]
        np.testing.assert_allclose(squares.sum(axis=0), (2 * degree + 1) / (4 * np.pi), rtol=1e-9)


@pytest.mark.parametrize("grid", GRIDS, ids=GRID_NAMES)
def test_analysis_after_synthesis_is_the_identity(grid):
    harmonics, coefficients = harmonics_of(grid), random_coefficients(grid.shape[1] // 2)
    found = harmonics.analyse(harmonics.synthesise(coefficients))
    np.testing.assert_allclose(found, coefficients, atol=3e-5)


def test_a_coefficient_is_scipys_harmonic():
    grid = LatLonGrid.equiangular(32, 64)
    coefficients = np.zeros((32, 32, 2), np.complex64)
    coefficients[9, 30, 0], coefficients[0, 5, 1] = 1 - 2j, 3
    colatitude, longitude = np.pi / 2 - np.deg2rad(grid.nodes[0]), np.deg2rad(grid.nodes[1])
    wave = 2 * ((1 - 2j) * sph_harm_y(30, 9, colatitude, longitude)).real
    expected = np.stack([wave, 3 * sph_harm_y(5, 0, colatitude, longitude).real], axis=1) * np.sqrt(4 * np.pi) / 32
    np.testing.assert_allclose(harmonics_of(grid).synthesise(coefficients), expected, atol=1e-5)


@pytest.mark.parametrize("grid", GRIDS, ids=GRID_NAMES)
def test_every_coefficient_of_white_noise_has_unit_variance(grid):
    noise = SphereNoise.build(grid.latitude, grid.longitude).draw(jax.random.key(0), 500)
    found = np.square(np.abs(harmonics_of(grid).analyse(noise))).mean(axis=-1)
    n = len(found)
    inside = np.arange(n)[:, None] <= np.arange(n)
    np.testing.assert_array_equal(found[~inside], 0)
    np.testing.assert_allclose(found[inside], 1, atol=5 * np.sqrt(2 / 500))
    np.testing.assert_allclose(found[inside].mean(), 1, atol=5 * np.sqrt(2 / 500) / n)


@pytest.mark.parametrize("grid", GRIDS, ids=GRID_NAMES)
def test_a_filter_multiplies_each_harmonic_and_drops_the_rest(grid):
    harmonics, n = harmonics_of(grid), grid.shape[1] // 2
    gain, coefficients = random_coefficients(n)[..., ::-1], random_coefficients(n)
    field = harmonics.synthesise(coefficients)
    np.testing.assert_allclose(harmonics.filtered(field, gain), harmonics.synthesise(gain * coefficients), atol=3e-5)
    # Waves of half the longitudes' number change sign from node to node: no harmonic here makes them.
    shortest = np.cos(np.pi * np.arange(grid.shape[1])) * np.ones((grid.shape[0], 1))
    unresolved = jnp.asarray(shortest.reshape(-1, 1), jnp.float32) * jnp.ones(3)
    np.testing.assert_allclose(harmonics.filtered(field + unresolved, gain), harmonics.filtered(field, gain), atol=3e-5)


def test_fewer_rows_than_degrees_are_refused():
    with pytest.raises(InputError, match="6 latitudes, expected 8 or more to resolve 8 degrees"):
        harmonics_of(LatLonGrid.equiangular(6, 16, poles=True))
