"""Noise that lasts: its correlations over frames, and where in the field it goes."""

import jax
import numpy as np

from airmass.diffusion.correlated_noise import correlated_coefficients, draw_key
from airmass.diffusion.sphere import SphereNoise
from airmass.fields.grid import LatLonGrid
from airmass.fields.harmonics import Harmonics

MEMBER = jax.random.key(5)
DEGREES, CHANNELS = 6, 400


def remembered(frame: int, number: int = 0, memory: float = 0.6) -> np.ndarray:
    return np.asarray(correlated_coefficients(MEMBER, frame, number, memory, DEGREES, CHANNELS)).ravel()


def test_draws_have_unit_variance_and_the_correlation_of_their_distance():
    frames = np.stack([remembered(frame) for frame in range(6)])
    size = frames.shape[1]
    np.testing.assert_allclose(np.square(frames).mean(axis=1), 1, atol=5 * np.sqrt(2 / size))
    apart = np.abs(np.subtract.outer(np.arange(6), np.arange(6)))
    np.testing.assert_allclose(np.corrcoef(frames), 0.6**apart, atol=5 / np.sqrt(size))


def test_draws_of_one_frame_and_those_without_memory_are_independent():
    drawn = [*(remembered(3, number) for number in range(3)), *(remembered(f, memory=0.0) for f in (4, 5))]
    bound = 5 / np.sqrt(len(drawn[0]))
    assert np.abs(np.corrcoef(drawn) - np.eye(5)).max() < bound
    np.testing.assert_allclose(np.mean(drawn, axis=1), 0, atol=bound)


def test_only_the_lowest_degrees_are_replaced():
    grid = LatLonGrid.equiangular(16, 32)
    white, harmonics = (kind.build(grid.latitude, grid.longitude) for kind in (SphereNoise, Harmonics))
    key = draw_key(MEMBER, 2, 0)
    large = jax.random.normal(jax.random.key(1), (DEGREES, DEGREES, 3))
    own, mixed = (np.asarray(harmonics.analyse(white.draw(key, 3, given))) for given in (None, large))
    np.testing.assert_allclose(mixed[:, DEGREES:], own[:, DEGREES:], atol=1e-4)
    # A sphere of fewer degrees scales its harmonics by their number.
    coarse = LatLonGrid.equiangular(DEGREES, 2 * DEGREES)
    alone = SphereNoise.build(coarse.latitude, coarse.longitude).synthesise(large)
    expected = Harmonics.build(coarse.latitude, coarse.longitude).analyse(alone)
    np.testing.assert_allclose(mixed[:DEGREES, :DEGREES], expected, atol=1e-4)
    assert np.abs(own[:DEGREES, :DEGREES] - expected).max() > 1
