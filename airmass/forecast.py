"""From a checkpoint and an initial state to a forecast on disk, frame by frame."""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count, islice
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from airmass.arrays import Array
from airmass.data.loader import Frames
from airmass.errors import InputError
from airmass.files import new_output, refuse_existing
from airmass.forcing import forcings
from airmass.forecast_writer import ForecastWriter
from airmass.grid import LatLonGrid
from airmass.memory import keep_freed_memory
from airmass.models.graphcast import GraphCast
from airmass.models.state import State
from airmass.rollout import serve
from airmass.saved import read_model
from airmass.task import Task

_HOUR = np.timedelta64(1, "h")


def forecast(
    checkpoint: str | Path,
    initial: str | Path,
    init_times: Sequence[str],
    lead_time: str,
    out: str | Path,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Forecast from the frames of the store `initial` at each of `init_times`; write one Zarr store to `out`.

    The store has dims (init_time, lead_time, [level,] latitude, longitude). `lead_time` is such as `10d` or `72h`.
    `progress` gets (frames done, frames in all). Raises InputError, before anything is compiled or written, for a
    checkpoint of another grid or other variables than the store's, and for absent or broken initial frames.
    """
    refuse_existing(out)
    keep_freed_memory()
    saved = read_model(checkpoint)
    task = saved.recipe.task
    frames = Frames(initial, task)
    if frames.grid != saved.grid:
        raise InputError(f"{checkpoint}: was trained on the grid {saved.grid}, but {initial} holds {frames.grid}")
    inits = np.array([read_time(text) for text in init_times])
    if len(set(inits)) < len(inits):
        raise InputError(f"init times {', '.join(init_times)}: each may be given once")
    steps = read_hours(lead_time) // task.step
    if steps < 1 or read_hours(lead_time) % task.step:
        raise InputError(f"lead time {lead_time}: expected a multiple of the model's step of {task.step} h")
    starts = [_initial(frames, init) for init in inits]
    model = jax.jit(lambda model: model.ready())(saved.model(frames.static()))
    with new_output(out) as aside, ForecastWriter(aside, saved, inits, steps, frames) as writer:
        for row, (init, start) in enumerate(zip(inits, starts, strict=True)):
            for step, frame in enumerate(islice(run(model, task, start, frames.grid, init), steps)):
                writer.write(row, step, np.asarray(frame))
                if progress:
                    progress(row * steps + step + 1, len(inits) * steps)
    return Path(out)


def run(
    model: GraphCast, task: Task, start: Float[np.ndarray, "time node target"], grid: LatLonGrid, init: np.datetime64
) -> Iterator[Float[Array, "node target"]]:
    """Frames of a forecast without end, in physical units, from the frames that end at `init`."""
    state = State(model.normaliser.prognostic(start), jnp.int32(init.astype("datetime64[h]").astype(int)))
    step = partial(compiled_step, model)
    return serve(step, state, _windows(task, grid, init), key=jax.random.key(0))


@jax.jit
def compiled_step(
    model: GraphCast, state: State, window: Float[Array, "window node forcing"], *, key: PRNGKeyArray
) -> tuple[State, Float[Array, "node target"]]:
    """One forecast step; graphs, scales and static fields are arguments, so one compilation serves every date."""
    return model.step(state, window, key=key)


def read_time(text: str) -> np.datetime64:
    """A UTC time such as 2001-01-05, 2001-01-05T06 or 2001-01-05T06:00Z."""
    try:
        return np.datetime64(text.removesuffix("Z"), "ns")
    except ValueError:
        raise InputError(f"time {text!r}: expected one such as 2001-01-05T06") from None


def read_hours(text: str) -> int:
    """Hours in a duration such as `10d`, `72h` or `5d12h`."""
    match = re.fullmatch(r"(?:(\d+)d)?(?:(\d+)h)?", text.strip())
    if not match or not text.strip():
        raise InputError(f"lead time {text!r}: expected one such as 10d, 72h or 5d12h")
    return 24 * int(match[1] or 0) + int(match[2] or 0)


def _initial(frames: Frames, init: np.datetime64) -> Float[np.ndarray, "time node target"]:
    """The frames of history that end at `init`."""
    return frames.at(init - np.arange(frames.task.history)[::-1] * frames.task.step * _HOUR)


def _windows(task: Task, grid: LatLonGrid, init: np.datetime64) -> Iterator[Float[np.ndarray, "window node forcing"]]:
    """For each step, the forcings at its history's times and at its target time; each time is computed once."""
    step = task.step * _HOUR
    window = forcings(task.forcing, init + np.arange(1 - task.history, 1) * step, grid)
    for number in count(1):
        newest = forcings(task.forcing, np.array([init + number * step]), grid)
        window = np.concatenate([window[-task.history :], newest])
        yield window
