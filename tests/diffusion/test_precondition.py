"""The scalings beside what they are for."""

import jax
import numpy as np
import pytest

from airmass.diffusion.precondition import c_in, c_out, c_skip, denoise, loss_weight

SIGMAS = np.float32([0.02, 0.5, 1, 7, 88])


@pytest.mark.parametrize("sigma", SIGMAS)
def test_network_sees_unit_variance_and_is_asked_for_unit_variance(sigma):
    data, noise = jax.random.normal(jax.random.key(0), (2, 200_000))
    x = data + sigma * noise
    np.testing.assert_allclose((c_in(sigma) * x).std(), 1, rtol=0.01)
    target = (data - c_skip(sigma) * x) / c_out(sigma)
    np.testing.assert_allclose(target.std(), 1, rtol=0.01)


def test_loss_weight_makes_the_networks_error_the_loss():
    np.testing.assert_allclose(loss_weight(SIGMAS) * c_out(SIGMAS) ** 2, 1, rtol=1e-5)
    np.testing.assert_allclose(loss_weight(SIGMAS), (SIGMAS**2 + 1) / SIGMAS**2, rtol=1e-6)


@pytest.mark.parametrize("sigma", SIGMAS)
def test_denoiser_is_the_published_formula(sigma):
    x = np.random.default_rng(0).normal(size=10).astype(np.float32) * sigma
    ours = denoise(lambda y, s: np.sin(y) + s, x, sigma)
    root = np.sqrt(np.float64(sigma) ** 2 + 1)
    np.testing.assert_allclose(ours, x / root**2 + sigma / root * (np.sin(x / root) + sigma), rtol=1e-4, atol=1e-6)


def test_zero_network_is_the_exact_denoiser_of_unit_gaussian_data():
    x = np.float32([-3, 0.1, 50])
    np.testing.assert_allclose(denoise(lambda y, s: 0 * y, x, np.float32(2)), x / 5, rtol=1e-6)
