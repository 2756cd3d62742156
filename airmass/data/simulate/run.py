"""Runs of the circulation model, written a few days at a time."""

import dataclasses
from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import jax
import numpy as np

from airmass.core.errors import InputError
from airmass.core.memory import keep_freed_memory
from airmass.data.simulate.archive import Archive
from airmass.data.simulate.climate import Climate, ClimateState
from airmass.data.simulate.restart import archived, first_state, to_dynamics
from airmass.data.simulate.settings import FRAMES_PER_DAY, SimulateSettings

# Frames of a block, the unit of writing: five days, which are lost at most if a run is stopped.
BLOCK_FRAMES = 5 * FRAMES_PER_DAY


def run(out: Path, settings: SimulateSettings, held: int | None, progress: Callable[[str, int, int], None]) -> None:
    """Simulate into the store `out`, which has `held` frames or does not exist (None), up to `settings.days`."""
    keep_freed_memory()
    climate = climate_of(settings)
    source = f"circulation model jcm {version('jcm')} (SPEEDY physics, dinosaur {version('dinosaur')})"
    if held is None:
        archive = Archive.create(out, settings, climate.static, source)
    else:
        archive = Archive.resume(out, held, source)
    progress("compiling", 0, 0)
    if archive.frames:
        state = restored(climate, settings, archive.state())
    else:
        state = first_state(climate, settings, lambda done, total: progress("settling in", done, total))
    waiting = None
    for first in range(archive.frames, settings.frames, BLOCK_FRAMES):
        # The next block is started before the last one is written: JAX computes while zarr compresses.
        times = frame_times(settings, first, min(first + BLOCK_FRAMES, settings.frames))
        state, frames = _simulate(climate, state, times)
        if waiting is not None:
            _write(archive, settings, *waiting, progress)
        waiting = times, frames, state
    if waiting is not None:
        _write(archive, settings, *waiting, progress)


def climate_of(settings: SimulateSettings) -> Climate:
    """The circulation model, built and compiled once for all start dates, seeds and lengths."""
    return _climate(dataclasses.replace(settings, days=1, seed=0, start="2000-01-01"))


@lru_cache(maxsize=1)
def _climate(settings: SimulateSettings) -> Climate:
    return Climate.build(settings)


def restored(climate: Climate, settings: SimulateSettings, leaves: list[np.ndarray]) -> ClimateState:
    """The state from its leaves, as the store has them."""
    template = climate.new_state(to_dynamics(climate, archived(np.datetime64(settings.start))))
    return jax.tree.unflatten(jax.tree.structure(template), leaves)


def frame_times(settings: SimulateSettings, first: int, end: int) -> np.ndarray:
    hours = 24 // FRAMES_PER_DAY
    return np.datetime64(settings.start, "h") + np.arange(first, end) * np.timedelta64(hours, "h")


def _simulate(
    climate: Climate, state: ClimateState, times: np.ndarray
) -> tuple[ClimateState, list[dict[str, jax.Array]]]:
    """The state after `times` and the fields at them; returns before JAX has computed them."""
    frames = []
    for time in times:
        state, fields = climate.six_hours(state, time)
        frames.append(fields)
    return state, frames


def _write(archive: Archive, settings: SimulateSettings, times, frames, state: ClimateState, progress) -> None:
    fields = {name: np.stack([np.asarray(frame[name]) for frame in frames]) for name in frames[0]}
    if not all(np.isfinite(fields[name]).all() for name in fields if name != "sea_surface_temperature"):
        raise InputError(
            f"{archive.path}: the circulation model became unstable after {archive.frames // FRAMES_PER_DAY} days; "
            f"time_step_minutes is {settings.time_step_minutes}, try a shorter one"
        )
    archive.append(times, fields, [np.asarray(leaf) for leaf in jax.tree.leaves(state)])
    progress("simulating", archive.frames // FRAMES_PER_DAY, settings.days)
