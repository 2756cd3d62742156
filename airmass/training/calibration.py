"""Calibration of a trained denoiser: how much too large its residuals are, measured on training dates."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from airmass.core.types import Array
from airmass.data.loading.frames import Frames
from airmass.fields.linear_residual import Calibration, LinearResidual
from airmass.fields.normalise import Normaliser
from airmass.forecasting.checkpoints.model_file import ModelFile

# (history, index of the forecast, index of the frame in it) -> next frame.
DrawFrame = Callable[[Float[Array, "time node prognostic"], int, int], Float[Array, "node prognostic"]]


def calibration_of(saved: ModelFile, frames: Frames) -> Calibration:
    """Calibrate a trained model with forecasts from its training dates, `frames`.

    The recipe has the number of forecasts and the seed of all random numbers.
    """
    recipe, linear_residual, task = saved.recipe, saved.linear_residual, saved.recipe.task
    assert recipe.diffusion is not None and linear_residual is not None
    settings, sampler = recipe.diffusion.calibration, recipe.family.sampler(recipe)
    model = replace(saved, calibration=None).model(frames.static())
    runner = recipe.family.runner(
        model, task, frames.grid, sampler=sampler, seed=recipe.training.seed, stored=frames.stored_forcing
    )
    columns = np.array(Normaliser.columns(task))
    # Stored forcings are needed up to the last frame.
    possible = frames.starts(task.history + (settings.frames if task.stored_forcing else 0))
    starts = possible[np.linspace(0, len(possible) - 1, settings.starts).round().astype(int)]
    step = np.timedelta64(task.step, "h")
    newest = frames.times[starts] + (task.history - 1) * step

    def draw(history, forecast: int, number: int):
        (frame,) = next(runner.frames(np.asarray(history), newest[forecast] + number * step, (number,)))
        return frame[:, columns]

    histories = [frames.window(int(start), task.history)[..., columns] for start in starts]
    scale = np.asarray(saved.normaliser.target_scale)[columns]
    return measured(linear_residual, scale, draw, histories, settings.frames, settings.first_degree)


def measured(
    linear_residual: LinearResidual,
    scale: Float[np.ndarray, " prognostic"],
    draw: DrawFrame,
    histories: Sequence[Float[np.ndarray, "time node prognostic"]],
    n_frames: int,
    first_degree: int = 0,
) -> Calibration:
    """Calibration that reduces what `draw` adds to the spread of `linear_residual`, in units of `scale`.

    All forecasts advance together. The power of each frame is measured together with all earlier ones, then the frame
    is calibrated before the next step: a model's errors after its own frames differ from those after true frames, and
    later forecasts will use calibrated frames.
    """
    linear_residual = jax.tree.map(jnp.asarray, linear_residual)
    wanted = np.square(np.asarray(linear_residual.spread) * scale, dtype=np.float64)
    power = np.zeros_like(wanted)
    states = [jnp.asarray(history) for history in histories]
    for number in range(n_frames):
        drawn = [draw(history, forecast, number) for forecast, history in enumerate(states)]
        power += sum(np.asarray(_power(linear_residual, *one)) for one in zip(states, drawn, strict=True))
        mean = power / ((number + 1) * len(states))
        gain = np.sqrt(np.minimum(1, wanted / np.maximum(mean, np.finfo(np.float32).tiny)))
        gain[:, :first_degree] = 1
        made = Calibration(linear_residual, jnp.asarray(gain, jnp.float32))
        states = [_advance(made, *one) for one in zip(states, drawn, strict=True)]
    return jax.tree.map(np.asarray, made)


@jax.jit
def _power(linear_residual: LinearResidual, history, frame) -> Float[Array, "order degree prognostic"]:
    return jnp.square(jnp.abs(linear_residual.harmonics.analyse(frame - linear_residual.expected(history))))


@jax.jit
def _advance(calibration: Calibration, history, frame) -> Float[Array, "time node prognostic"]:
    newest = calibration(frame, calibration.residual.expected(history))
    return jnp.concatenate([history[1:], newest[None]])
