"""What calibration makes of models that err in known ways."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from airmass.core.errors import InputError
from airmass.data.loading.frames import Frames
from airmass.diffusion.sphere import SphereNoise
from airmass.fields.linear_residual import Calibration, LinearResidual
from airmass.forecasting.checkpoints.model_file import read_model
from airmass.models.gencast.runner import GenCastRunner
from airmass.models.gencast.settings import CalibrationSettings
from airmass.training.calibration import measured
from airmass.training.train import train
from tests.fields.test_harmonics import random_coefficients
from tests.fields.test_linear_residual import GRID, INSIDE, N, moving_waves
from tests.models.gencast.test_objective import TINY

CALIBRATED = dataclasses.replace(
    TINY, diffusion=dataclasses.replace(TINY.diffusion, calibration=CalibrationSettings(starts=3, frames=2))
)
SCALE = np.float32([2, 500])
STARTS = 400
# Five standard deviations of the root of a mean of as many squares.
TOLERANCE = 5 / np.sqrt(2 * STARTS)
WHITE = SphereNoise.build(GRID.latitude, GRID.longitude)
KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def linear_residual() -> LinearResidual:
    return moving_waves()


def white(number: int):
    """A field of independent harmonics of unit variance."""
    return WHITE.draw(jax.random.fold_in(KEY, number), 2)


@pytest.mark.parametrize("n_frames", [1, 3])
def test_innovations_that_are_too_large_by_a_known_factor_are_divided_by_it(linear_residual, n_frames):
    """Those that are right or too small, and those of large scales that are to be left alone, stay as they are."""
    factor = np.broadcast_to(np.linspace(4, 0.25, N)[None, :, None], (N, N, 2)).astype(np.float32)
    start = linear_residual.harmonics.synthesise(random_coefficients(N, 2))
    history = np.stack([linear_residual.mean + start, linear_residual.mean - start])

    @jax.jit
    def drawn(linear_residual, history, one):
        return linear_residual.expected(history) + SCALE * linear_residual.harmonics.filtered(
            one, factor * linear_residual.spread
        )

    def draw(history, forecast, number):
        return drawn(linear_residual, history, white(STARTS * number + forecast))

    gain = measured(linear_residual, SCALE, draw, [history] * STARTS, n_frames, first_degree=2).gain
    assert gain.shape == (N, N, 2) and gain.dtype == np.float32
    assert np.all(gain[:, :2] == 1) and np.all(gain <= 1)
    small = INSIDE & (np.arange(N) >= 2)
    expected = np.minimum(1, 1 / factor)
    np.testing.assert_allclose(gain[small], expected[small], rtol=TOLERANCE / np.sqrt(n_frames))


def test_errors_that_feed_on_themselves_are_measured_after_frames_of_the_models_own(linear_residual):
    """A model that keeps one and a half times the last frame, where half is right, draws ever more of it.

    Measured on true frames alone, forecasts keep more power than the truth; after frames of the model's own, less more.
    """
    unit, persistence = jnp.ones((N, N, 2)), jnp.zeros((2, N, N, 2), jnp.complex64).at[1].set(0.5)
    half, truth = dataclasses.replace(linear_residual, persistence=persistence, spread=unit), 1 / (1 - 0.5**2)

    def history(number):
        before = np.sqrt(truth) * white(2 * number)
        return np.stack([half.mean + before, half.mean + 0.5 * before + white(2 * number + 1)])

    @jax.jit
    def drawn(half, history, one):
        return half.mean + 1.5 * half.harmonics.filtered(history[-1] - half.mean, unit) + one

    def draw(history, forecast, number):
        return drawn(half, history, white(10**6 + 1000 * number + forecast))

    @jax.jit
    def step(calibration, history, one):
        half = calibration.residual
        return jnp.stack([history[1], calibration(drawn(half, history, one), half.expected(history))])

    def power(calibration):
        """Of the last frame of forecasts from draws that the calibration was not measured on."""
        calibration, found = jax.tree.map(jnp.asarray, calibration), []
        for forecast in range(60):
            state = jnp.asarray(history(forecast))
            for number in range(12):
                state = step(calibration, state, white(10**7 + 100 * forecast + number))
            found.append(jnp.square(jnp.abs(half.harmonics.analyse(state[-1] - half.mean))))
        return np.mean(found, axis=0)[INSIDE].mean()

    given = [history(number) for number in range(100)]
    once, often = (power(measured(half, np.ones(2, np.float32), draw, given, count)) for count in (1, 12))
    assert once > 1.2 * truth
    assert often - truth < 0.7 * (once - truth)


@pytest.mark.slow
def test_a_run_calibrates_its_model_and_again_the_same(small_store, tmp_path):
    path = train(CALIBRATED, small_store, tmp_path / "run")
    saved, first = read_model(path), path.read_bytes()
    gain = saved.calibration.gain
    assert gain.shape == saved.linear_residual.spread.shape and np.all((gain >= 0) & (gain <= 1))
    assert gain[INSIDE].min() < 0.9
    path.unlink()  # killed after the last update
    train(CALIBRATED, small_store, tmp_path / "run")
    assert path.read_bytes() == first
    plain = read_model(train(TINY, small_store, tmp_path / "plain"))
    assert plain.calibration is None and plain.linear_residual is None
    # A run that was begun without may be calibrated later.
    later = read_model(train(CALIBRATED, small_store, tmp_path / "plain", accept_changes=True))
    np.testing.assert_array_equal(later.calibration.gain, gain)
    for ours, theirs in zip(jax.tree.leaves(saved.network), jax.tree.leaves(plain.network), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.fixture(scope="module")
def first_frames(small_store, tmp_path_factory):
    """A model, a history, and its first frame with the calibration given: of the same draws every time."""
    saved = read_model(train(CALIBRATED, small_store, tmp_path_factory.mktemp("calibrated") / "run"))
    frames = Frames(small_store, saved.recipe.task)
    history = frames.window(0, 2)[..., list(saved.normaliser.prognostic_columns)]

    def first(calibration):
        model = dataclasses.replace(saved, calibration=calibration).model(frames.static())
        runner = GenCastRunner(model, saved.recipe.task, frames.grid, saved.recipe.diffusion.sampling, 0)
        (frame,) = next(runner.frames(history, frames.times[2], (0,)))
        return np.asarray(frame)

    return saved, history, first


@pytest.mark.slow
def test_a_forecast_keeps_the_gains_share_of_every_harmonic(first_frames):
    saved, history, first = first_frames
    columns, one = list(saved.normaliser.prognostic_columns), np.ones_like(saved.calibration.gain)
    linear_residual = jax.tree.map(jnp.asarray, saved.linear_residual)
    gain = np.where(np.arange(N)[:, None] < 5, one, 0.3 * one)
    raw, kept = first(None), first(Calibration(saved.linear_residual, gain))
    others = [column for column in range(raw.shape[1]) if column not in columns]
    np.testing.assert_allclose(kept[:, others], raw[:, others], rtol=1e-5, atol=1e-9)
    expected, scale = linear_residual.expected(history), np.asarray(saved.normaliser.history_std)

    def share(frame):
        return linear_residual.harmonics.analyse((frame[:, columns] - expected) / scale)

    np.testing.assert_allclose(share(kept), gain * share(raw), atol=2e-4)
    np.testing.assert_allclose(share(first(Calibration(saved.linear_residual, one))), share(raw), atol=2e-4)


def test_it_is_refused_where_harmonics_fail_and_for_numbers_that_make_no_forecasts():
    task = dataclasses.replace(TINY.task, prognostic=(*TINY.task.prognostic, "sea_surface_temperature"))
    with pytest.raises(InputError, match=r"--diffusion\.calibration\.starts: sea_surface_temperature is missing"):
        dataclasses.replace(CALIBRATED, task=task)
    with pytest.raises(InputError, match="starts is -1, expected 0 to 1000000"):
        CalibrationSettings(starts=-1)
    with pytest.raises(InputError, match="frames is 0, expected 1 to 10000"):
        CalibrationSettings(starts=1, frames=0)
