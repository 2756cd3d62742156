"""Log densities by the probability flow beside closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from airmass.diffusion.likelihood import log_density
from tests.diffusion.gaussian import Mixture

LEAST, MOST = 0.05, 300.0
MIXTURE = Mixture.build(
    np.array([0.3, 0.7]),
    np.array([[-1.4, 0.7], [0.6, -0.3]]),
    np.array([[[0.3, 0.1], [0.1, 0.1]], [[0.1, -0.06], [-0.06, 0.2]]]),
)
POINTS = np.float32([[-1.4, 0.7], [0, 0], [0.6, -0.3], [2, -1], [-0.5, 1.5]])


def test_density_of_a_mixture_is_its_closed_form():
    ours = jax.jit(jax.vmap(lambda y: log_density(MIXTURE.denoise, y, LEAST, MOST)))(POINTS)
    np.testing.assert_allclose(ours, MIXTURE.log_density(POINTS, LEAST), atol=2e-3)


@pytest.fixture(scope="module")
def scaled():
    """A Gaussian with a variance of its own in each of 12 dimensions, its denoiser and one point."""
    variances = np.linspace(0.2, 2, 12).astype(np.float32).reshape(3, 4)
    point = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    exact = -(point**2 / (variances + LEAST**2) + np.log(2 * np.pi * (variances + LEAST**2))).sum() / 2
    return lambda y, level: variances / (variances + level**2) * y, point, exact


def test_density_of_a_gaussian_by_the_whole_jacobian(scaled):
    denoiser, point, exact = scaled
    np.testing.assert_allclose(log_density(denoiser, point, LEAST, MOST), exact, atol=2e-3)


def test_random_signs_are_exact_where_the_jacobian_is_diagonal(scaled):
    denoiser, point, exact = scaled
    ours = log_density(denoiser, point, LEAST, MOST, probes=1, key=jax.random.key(0))
    np.testing.assert_allclose(ours, exact, atol=2e-3)


def test_random_signs_have_the_mean_of_the_exact_trace():
    """Every key's estimate of the mixture's density, whose Jacobians are not diagonal."""
    keys = jax.random.split(jax.random.key(1), 400)
    point = jnp.asarray(POINTS[1])
    ours = np.asarray(jax.jit(jax.vmap(lambda key: log_density(MIXTURE.denoise, point, LEAST, MOST, 1, key)))(keys))
    assert ours.std() > 0.05
    exact = float(MIXTURE.log_density(point, LEAST))
    assert abs(ours.mean() - exact) < 4 * ours.std() / np.sqrt(len(ours)) + 2e-3


def test_probes_ask_for_a_key():
    with pytest.raises(ValueError, match="a trace by probes needs a key"):
        log_density(MIXTURE.denoise, POINTS[0], LEAST, MOST, probes=1)
