"""The linear model of fields whose statistics are known: decaying, moving and resting waves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from airmass.fields.grid import LatLonGrid
from airmass.fields.harmonics import Harmonics
from airmass.fields.linear_residual import Calibration, LinearResidual
from tests.fields.test_harmonics import random_coefficients

GRID = LatLonGrid.equiangular(8, 16)
N = GRID.shape[1] // 2
INSIDE = np.arange(N)[:, None] <= np.arange(N)


def moving_waves() -> LinearResidual:
    """Of two channels: waves that decay and move, each at its own pace, about a mean that is not zero.

    A harmonic that follows one frame by u and the one before by v is drawn through the roots that it decays with.
    """
    rng = np.random.default_rng(0)
    phases = rng.uniform(-1, 1, (2, N, N, 2)) * (np.arange(N) > 0)[:, None, None]
    one, other = rng.uniform(0.1, 0.8, (2, N, N, 2)) * np.exp(1j * phases)
    spread = rng.uniform(0.1, 2, (N, N, 2))
    made = LinearResidual(
        rng.normal(size=(GRID.size, 2)).astype(np.float32),
        np.stack([-one * other, one + other]).astype(np.complex64),
        spread.astype(np.float32),
        Harmonics.build(GRID.latitude, GRID.longitude),
    )
    return jax.tree.map(jnp.asarray, made)


@pytest.fixture(scope="module")
def residual() -> LinearResidual:
    return moving_waves()


def test_whitened_and_coloured_are_inverse_and_scale_each_harmonic(residual):
    coefficients = random_coefficients(N, 2)
    field = residual.harmonics.synthesise(coefficients)
    coloured = residual.coloured(field)
    expected = residual.harmonics.synthesise(residual.spread * coefficients)
    np.testing.assert_allclose(coloured, expected, atol=2e-5)
    np.testing.assert_allclose(residual.whitened(coloured), field, atol=1e-4)


def test_the_mean_and_a_share_of_each_harmonic_of_each_frame_are_expected(residual):
    before, last = random_coefficients(N, 4)[..., :2], random_coefficients(N, 4)[..., 2:]
    history = jnp.stack([residual.mean + residual.harmonics.synthesise(x) for x in (before, last)])
    persistence = residual.persistence
    left = residual.harmonics.synthesise(persistence[0] * before + persistence[1] * last)
    np.testing.assert_allclose(residual.expected(history), residual.mean + left, atol=3e-5)


def test_a_wave_that_harmonics_do_not_resolve_stays(residual):
    wave = np.tile((-1.0) ** np.arange(GRID.shape[1]), GRID.shape[0])[:, None].astype(np.float32)
    rest = jnp.stack([residual.mean, residual.mean])
    np.testing.assert_allclose(residual.expected(rest), residual.mean, atol=2e-5)
    moved = residual.expected(rest.at[1].add(wave)) - residual.mean
    np.testing.assert_allclose(moved, wave * np.ones(2), atol=2e-5)


def test_a_calibration_scales_what_a_frame_adds_and_leaves_what_was_expected(residual):
    """Gains of one leave what harmonics resolve as it was drawn, at whatever scale they are one."""
    added, gain = random_coefficients(N, 2), np.linspace(0, 1, N)[None, :, None] * np.ones((N, N, 2), np.float32)
    gain[:, :3] = 1
    expected = residual.mean + 1
    drawn = expected + residual.harmonics.synthesise(added)
    kept = Calibration(residual, jnp.asarray(gain, jnp.float32))(drawn, expected)
    np.testing.assert_allclose(residual.harmonics.analyse(kept - expected), gain * added, atol=3e-5)
    whole = Calibration(residual, jnp.ones((N, N, 2)))(drawn, expected)
    np.testing.assert_allclose(whole, drawn, atol=3e-5)


def stationary_variance(residual: LinearResidual) -> np.ndarray:
    """By a sum over the responses to all earlier residuals."""
    v, u = np.asarray(residual.persistence, np.complex128)
    before, response, total = np.zeros_like(u), np.ones_like(u), np.zeros(u.shape)
    for _ in range(300):
        total += np.abs(response) ** 2
        before, response = response, u * response + v * before
    return total * np.square(residual.spread)


def test_drawn_residuals_keep_the_spectrum_however_long_the_forecast(residual):
    """The variance that residuals maintain against decay: that of an autoregression of second order."""

    @jax.jit
    def forecast(key):
        def step(history, key):
            white = residual.harmonics.synthesise(drawn(key))
            frame = residual.expected(history) + residual.coloured(white)
            return jnp.stack([history[-1], frame]), None

        def drawn(key):
            real, imaginary = jax.random.normal(key, (2, N, N, 2)) / jnp.sqrt(2)
            made = jax.lax.complex(real, imaginary).at[0].set(jnp.sqrt(2) * real[0])
            return jnp.where(INSIDE[..., None], made, 0)

        rest = jnp.stack([residual.mean, residual.mean])
        history, _ = jax.lax.scan(step, rest, jax.random.split(key, 60))
        return jnp.square(jnp.abs(residual.harmonics.analyse(history[-1] - residual.mean)))

    found = np.asarray(jax.lax.map(forecast, jax.random.split(jax.random.key(0), 600))).mean(axis=0)
    ratio = (found / stationary_variance(residual))[INSIDE]
    np.testing.assert_allclose(ratio, 1, atol=5 * np.sqrt(2 / 600))
    np.testing.assert_allclose(ratio.mean(), 1, atol=0.02)
