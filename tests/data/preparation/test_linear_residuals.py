"""Statistics of linear residuals from frames that were made of known ones."""

import numpy as np
import pytest

from airmass.data.preparation.linear_residuals import linear_residual_of
from airmass.fields.grid import LatLonGrid
from airmass.fields.harmonics import Harmonics
from airmass.fields.task import Task
from tests.fields.test_harmonics import random_coefficients

GRID = LatLonGrid.equiangular(8, 16)
N = GRID.shape[1] // 2
INSIDE = np.arange(N)[:, None] <= np.arange(N)
TASK = Task(("2m_temperature", "mean_sea_level_pressure"), ("total_precipitation_12hr",), (), (), (), step=12)
# By target channel: both prognostic ones, then precipitation.
SCALE = np.float32([2, 500, 1e-3])
MEAN = np.float32([280, 1e5])


class Made:
    """What `Frames` offers, from memory."""

    task = TASK

    def __init__(self, frames: np.ndarray, grid: LatLonGrid = GRID):
        self.frames, self.grid = frames, grid

    @property
    def times(self):
        return np.datetime64("2000-11-01", "ns") + np.arange(len(self.frames)) * np.timedelta64(12, "h")

    def at(self, times):
        return self.frames[np.searchsorted(self.times, times)]

    def starts(self, length):
        return np.arange(len(self.frames) - length + 1)

    def window(self, start, length):
        return self.frames[start : start + length]


def made(coefficients: np.ndarray) -> Made:
    """Frames of both prognostic channels from coefficients [time, order, degree, channel], in scaled units."""
    harmonics = Harmonics.build(GRID.latitude, GRID.longitude)
    fields = np.stack([harmonics.synthesise(one.astype(np.complex64)) for one in coefficients])
    rain = np.random.default_rng(5).exponential(size=(*fields.shape[:2], 1))
    return Made(np.concatenate([MEAN + SCALE[:2] * fields, rain], axis=-1).astype(np.float32))


def stirred(persistence: np.ndarray, spread: np.ndarray, steps: int) -> np.ndarray:
    """Waves that follow the two frames before and are stirred at every step, after 100 steps to forget the start."""
    draws = np.moveaxis(random_coefficients(N, 2 * (steps + 100)).reshape(N, N, steps + 100, 2), 2, 0)
    states = [0 * draws[0], 0 * draws[0]]
    for draw in draws:
        states.append(persistence[0] * states[-2] + persistence[1] * states[-1] + spread * draw)
    return np.stack(states[-steps:])


def test_persistence_and_spread_are_those_that_made_the_frames():
    rng = np.random.default_rng(0)
    phases = rng.uniform(-1, 1, (2, N, N, 2)) * (np.arange(N) > 0)[:, None, None]
    one, other = rng.uniform(0.1, 0.8, (2, N, N, 2)) * np.exp(1j * phases)
    persistence = np.stack([-one * other, one + other])
    spread = rng.uniform(0.1, 1, (N, N, 2))
    steps = 800
    found = linear_residual_of(made(stirred(persistence, spread, steps)), SCALE)
    assert found.mean.shape == (GRID.size, 2) and found.spread.shape == (N, N, 2)
    np.testing.assert_allclose(found.persistence[:, INSIDE], persistence[:, INSIDE], atol=5 / np.sqrt(steps))
    np.testing.assert_allclose(found.spread[INSIDE], spread[INSIDE], rtol=5 / np.sqrt(2 * steps))
    assert np.all(found.persistence[:, ~INSIDE] == 0)


def test_a_wave_that_moves_without_change_persists_whole_with_its_phase():
    start, turn = random_coefficients(N, 2), np.exp(-0.3j * np.arange(N))[:, None, None]
    frames = made(np.stack([start * turn**step for step in range(80)]))
    found = linear_residual_of(frames, SCALE)
    moving = INSIDE & (np.arange(N)[:, None] > 0)
    # Both frames say the same: what is expected of a wave that rests in a frame that turns with it is that wave.
    left = found.persistence[0] / turn + found.persistence[1]
    np.testing.assert_allclose(left[moving], np.broadcast_to(turn, start.shape)[moving], atol=0.06)
    np.testing.assert_allclose(np.abs(left[moving]), 1, atol=0.02)
    # Order 0 rests: it is all mean, and round-off is not taken for a signal.
    np.testing.assert_allclose(found.spread[0], 1e-3, rtol=1e-5)
    later = frames.window(40, 3)[..., :2]
    change = (later[2] - later[1]) / SCALE[:2]
    missed = (found.expected(later[:2]) - later[2]) / SCALE[:2]
    assert np.abs(missed).max() < 0.15 * np.abs(change).max()


def test_a_grid_with_too_few_rows_is_refused():
    with pytest.raises(ValueError, match="4 latitudes, expected 8 or more"):
        linear_residual_of(Made(np.zeros((3, 64, 3)), LatLonGrid.equiangular(4, 16)), SCALE)
