"""The folder of a run: whose it is, its statistics, and the model that comes out of it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
from rich.console import Console

import airmass
from airmass.core.arrays import ArrayFile
from airmass.core.errors import InputError
from airmass.core.files import HELD_BY_ANOTHER, hold, holder, new_output, refuse_inside, write_arrays, writing
from airmass.core.strict_json import read_json
from airmass.core.tables import say
from airmass.data.formats.store import minute
from airmass.data.loading.frames import Frames
from airmass.data.preparation.linear_residuals import linear_residual_of
from airmass.data.preparation.statistics import CLIMATOLOGY, compute_statistics, load_statistics
from airmass.fields.grid import LatLonGrid
from airmass.fields.linear_residual import LinearResidual
from airmass.fields.normalise import Normaliser
from airmass.fields.task import Task
from airmass.forecasting.checkpoints.model_file import (
    MODEL_FILE,
    SavedModel,
    innovation_arrays,
    innovation_from,
    read_model,
    write_model,
)
from airmass.forecasting.checkpoints.read import missing_fill
from airmass.models.family import new_network
from airmass.recipes.recipes import Recipe, completed
from airmass.training.warm_start import restored_fill, restored_scales, start_from

SETTINGS_FILE = "settings.json"
STATISTICS_FOLDER = "statistics"
INNOVATION = "innovation.npz"
START_FILE = "start.npz"
_LOCK = "lock"
# Settings that change nothing in what a run computes.
_FREE = {"cost", "expect", "safety.save_minutes", "safety.time_limit_minutes", "safety.margin_minutes", "watch"}
_FREE |= {"loader.threads", "loader.ahead", "loader.hold_gib", "airmass", "data"}


class Start(NamedTuple):
    """What a run starts from: a checkpoint, and the folder of its statistics if it is a published one."""

    checkpoint: Path | None = None
    statistics: Path | None = None


FROM_SCRATCH = Start()


@contextmanager
def claimed(
    run: Path, settings: dict, recipe: Recipe, frames: Frames, console: Console, start: Start, accept_changes: bool
) -> Iterator[Callable[[], None]]:
    """Hold the run's folder, made with settings and statistics, or seen to be begun with the same settings and data.

    The folder appears only once its statistics over the training dates are complete, and is locked before it is looked
    at. Raises InputError where another process trains there, and with every setting that differs, unless
    `accept_changes`: then they are shown, and kept once the function given here is called.
    """
    refuse_inside(run, frames.path)
    recipe.family.check_grid(recipe, frames.grid)
    settings = json.loads(json.dumps(settings))
    if not (run / SETTINGS_FILE).exists():
        _make(run, settings, recipe, frames, console, start)
    with _locked(run):
        accepted = _compare(run, settings, console, accept_changes)
        _write_innovation(run / STATISTICS_FOLDER, recipe, frames)
        yield partial(_keep, run, accepted)


def _make(run: Path, settings: dict, recipe: Recipe, frames: Frames, console: Console, start: Start) -> None:
    if run.exists() and (not run.is_dir() or any(run.iterdir())):
        raise InputError(f"{run}: exists and is not a training run")
    first, last = minute(frames.times[0]), minute(frames.times[-1])
    held_back = "" if recipe.training.dates else ", all of the store (--training.dates leaves some of it to judge on)"
    say(console, f"training on {first} to {last}{held_back}")
    say(console, f"statistics and climatology over these dates -> {run / STATISTICS_FOLDER}")
    with new_output(run, replace=run.exists()) as aside:
        aside.mkdir()
        _write_statistics(aside / STATISTICS_FOLDER, recipe, frames)
        if start.checkpoint is not None:
            _write_start(aside, recipe, frames, start, console)
        (aside / SETTINGS_FILE).write_text(json.dumps(settings, indent=1))


@contextmanager
def _locked(run: Path) -> Iterator[None]:
    """Keep other runs from training in the same folder; the system gives the lock back, however the process ends."""
    with writing(run):
        lock = hold(run, _LOCK)
    if lock is HELD_BY_ANOTHER:
        raise InputError(f"{run}: another process trains in this folder ({holder(run / _LOCK)}); name another --run")
    with nullcontext() if isinstance(lock, str) else lock:
        yield


def beginning(run: Path, recipe: Recipe, grid: LatLonGrid) -> SavedModel:
    """The model before the first update: from the checkpoint that the run started from, or of random parameters.

    Its scales are those of the statistics in the run's folder, or of that checkpoint.
    """
    if (run / START_FILE).exists():
        return read_model(run / START_FILE)
    network = new_network(recipe.task, recipe.model, jax.random.key(recipe.training.seed))
    folder = run / STATISTICS_FOLDER
    fill = missing_fill(recipe.task, str(folder))
    return SavedModel(recipe, grid, _scales(folder, recipe.task), network, {}, fill, _innovation(folder, recipe, grid))


def export(run: Path, saved: SavedModel, frames: Frames, updates: int) -> Path:
    """Write the model file of a run and return its path."""
    about: dict[str, str | int] = {
        "airmass": airmass.__version__,
        "updates": updates,
        "data": str(frames.path),
        "data_fingerprint": frames.fingerprint,
        "climatology": str((run / STATISTICS_FOLDER / CLIMATOLOGY).resolve()),
    }
    path = run / MODEL_FILE
    write_model(path, replace(saved, about=about))
    return path


def _scales(folder: Path, task: Task) -> Normaliser:
    tables = load_statistics(folder, (*task.targets, *task.static), task.levels)
    return Normaliser.from_statistics(task, *tables, source=str(folder))


def _innovation(folder: Path, recipe: Recipe, grid: LatLonGrid) -> LinearResidual | None:
    if not recipe.needs_innovation:
        return None
    return innovation_from(ArrayFile(folder / INNOVATION), recipe, grid, folder / INNOVATION)


def _write_start(aside: Path, recipe: Recipe, frames: Frames, start: Start, console: Console) -> None:
    """The checkpoint to start from, made to fit the recipe, so that the run needs it no longer."""
    assert start.checkpoint is not None
    own = beginning(aside, recipe, frames.grid)
    network, carried = start_from(own.network, recipe.task, recipe.model, start.checkpoint)
    scales = restored_scales(own.normaliser, recipe.task, start.checkpoint, start.statistics)
    fill = restored_fill(own.fill, recipe.task, start.checkpoint, start.statistics)
    say(console, f"starting from {carried}")
    write_model(aside / START_FILE, replace(own, network=network, normaliser=scales, fill=fill))


def _compare(run: Path, settings: dict, console: Console, accept_changes: bool) -> dict | None:
    """The settings to keep in place of those of the run, None where they are the same."""
    held = read_json(run / SETTINGS_FILE, dict[str, Any], infinity=True)
    recipe = held.get("recipe")
    if not isinstance(recipe, dict) or not isinstance(recipe.get("model"), dict):
        raise InputError(f"{run / SETTINGS_FILE}: holds no recipe of a training run")
    held["recipe"] = completed(recipe)
    different = list(_differences(settings, {key: held.get(key) for key in settings}))
    if not different:
        return None
    words = "; ".join(f"{name} = {theirs}, not {ours}" for name, ours, theirs in different)
    if not accept_changes:
        raise InputError(f"{run}: this run was begun with {words}; name another --run, or --accept-changes to go on")
    say(console, f"going on with a run that was begun with {words}")
    return held | settings


def _keep(run: Path, settings: dict | None) -> None:
    if settings is not None:
        with new_output(run / SETTINGS_FILE, replace=True) as aside:
            aside.write_text(json.dumps(settings, indent=1))


def _write_statistics(folder: Path, recipe: Recipe, frames: Frames) -> None:
    task, first, last = recipe.task, minute(frames.times[0]), minute(frames.times[-1])
    compute_statistics(
        frames.path, folder, (first, last), (*task.targets, *task.static), task.levels or None, task.step
    )
    _write_innovation(folder, recipe, frames)


def _write_innovation(folder: Path, recipe: Recipe, frames: Frames) -> None:
    """Where the recipe needs it and there is none; a run may be calibrated that was begun without."""
    if not recipe.needs_innovation or (folder / INNOVATION).exists():
        return
    made = linear_residual_of(frames, _scales(folder, recipe.task).target_scale)
    with new_output(folder / INNOVATION) as aside:
        write_arrays(aside, innovation_arrays(made))


def _differences(ours, theirs, name: str = "") -> Iterator[tuple[str, object, object]]:
    """(name, our value, their value) wherever two nested settings differ."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted({*ours, *theirs}):
            inner = key if name in ("", "recipe") else f"{name}.{key}"
            if inner not in _FREE:
                yield from _differences(ours.get(key), theirs.get(key), inner)
    elif ours != theirs:
        yield name, ours, theirs
