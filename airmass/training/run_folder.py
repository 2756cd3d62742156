"""Folder of a run: lock, settings, statistics, and the trained model."""

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
from airmass.core.files import new_output, refuse_inside, write_arrays, writing
from airmass.core.locks import HELD_BY_ANOTHER, hold, holder
from airmass.core.strict_json import read_json
from airmass.core.tables import say
from airmass.data.formats.layout import minute
from airmass.data.loading.frames import Frames
from airmass.data.preparation.linear_residuals import linear_residual_of
from airmass.data.preparation.saved_statistics import CLIMATOLOGY, load_statistics
from airmass.data.preparation.statistics import compute_statistics
from airmass.fields.grid import LatLonGrid
from airmass.fields.linear_residual import LinearResidual
from airmass.fields.normalise import Normaliser
from airmass.fields.task import Task
from airmass.forecasting.checkpoints.location import MODEL_FILE
from airmass.forecasting.checkpoints.model_file import (
    ModelFile,
    read_model,
    residual_arrays,
    residual_from,
    write_model,
)
from airmass.forecasting.checkpoints.published import missing_fill
from airmass.models.family import new_network
from airmass.recipes.recipes import Recipe
from airmass.recipes.saved import in_full
from airmass.training.warm_start import restored_fill, restored_scales, start_from

SETTINGS_FILE = "settings.json"
STATISTICS_FOLDER = "statistics"
LINEAR_RESIDUAL = "innovation.npz"
START_FILE = "start.npz"
_LOCK = "lock"
# Settings that do not affect the trained parameters.
_FREE = {"cost", "expect", "safety.save_minutes", "safety.time_limit_minutes", "safety.margin_minutes", "watch"}
_FREE |= {"loader.threads", "loader.ahead", "loader.hold_gib", "airmass", "data"}


class WarmStart(NamedTuple):
    """Checkpoint to start from; None for random parameters.

    A published one needs its statistics folder, or its configuration.
    """

    checkpoint: str | Path | None = None
    statistics: Path | None = None
    config: Path | None = None


FROM_SCRATCH = WarmStart()


@contextmanager
def claimed(
    run: Path, settings: dict, recipe: Recipe, frames: Frames, console: Console, start: WarmStart, accept_changes: bool
) -> Iterator[Callable[[], None]]:
    """Lock the run's folder; create it with settings and statistics, or check that settings and data are unchanged.

    A new folder appears only when its statistics over the training dates are complete. Raises InputError if another
    process trains there, and for settings that differ, unless `accept_changes`: then they are shown, and written when
    the yielded function is called.
    """
    refuse_inside(run, frames.path)
    recipe.family.check_grid(recipe, frames.grid)
    settings = json.loads(json.dumps(settings))
    if not (run / SETTINGS_FILE).exists():
        _make(run, settings, recipe, frames, console, start)
    with _locked(run):
        accepted = _compare(run, settings, console, accept_changes)
        _write_linear_residual(run / STATISTICS_FOLDER, recipe, frames)
        yield partial(_write_settings, run, accepted)


def _make(run: Path, settings: dict, recipe: Recipe, frames: Frames, console: Console, start: WarmStart) -> None:
    if run.exists() and (not run.is_dir() or any(run.iterdir())):
        raise InputError(f"{run}: exists and is not a training run")
    first, last = minute(frames.times[0]), minute(frames.times[-1])
    all_dates = "" if recipe.training.dates else ", the whole store (use --training.dates to keep some for evaluation)"
    say(console, f"training on {first} to {last}{all_dates}")
    say(console, f"computing statistics and climatology over these dates -> {run / STATISTICS_FOLDER}")
    with new_output(run, replace=run.exists()) as aside:
        aside.mkdir()
        _write_statistics(aside / STATISTICS_FOLDER, recipe, frames)
        if start.checkpoint is not None:
            _write_start(aside, recipe, frames, start, console)
        (aside / SETTINGS_FILE).write_text(json.dumps(settings, indent=1))


@contextmanager
def _locked(run: Path) -> Iterator[None]:
    """Lock the folder against other runs. The lock is released when the process ends, in any way."""
    with writing(run):
        lock = hold(run, _LOCK)
    if lock is HELD_BY_ANOTHER:
        raise InputError(f"{run}: another process trains in this folder ({holder(run / _LOCK)}); choose another --run")
    with nullcontext() if isinstance(lock, str) else lock:
        yield


def initial_model(run: Path, recipe: Recipe, grid: LatLonGrid) -> ModelFile:
    """Model before the first update: from the checkpoint that the run starts from, or with random parameters.

    Its scales are from that checkpoint, or from the statistics in the run's folder.
    """
    if (run / START_FILE).exists():
        return read_model(run / START_FILE)
    network = new_network(recipe.task, recipe.model, jax.random.key(recipe.training.seed))
    folder = run / STATISTICS_FOLDER
    fill = missing_fill(recipe.task, str(folder))
    return ModelFile(
        recipe, grid, _scales(folder, recipe.task), network, {}, fill, _linear_residual(folder, recipe, grid)
    )


def export(run: Path, saved: ModelFile, frames: Frames, updates: int) -> Path:
    """Write the model file of a run and return its path."""
    attributes: dict[str, str | int] = {
        "airmass": airmass.__version__,
        "updates": updates,
        "data": str(frames.path),
        "data_fingerprint": frames.fingerprint,
        "training_from": minute(frames.times[0]),
        "training_to": minute(frames.times[-1]),
        "climatology": str((run / STATISTICS_FOLDER / CLIMATOLOGY).resolve()),
    }
    path = run / MODEL_FILE
    write_model(path, replace(saved, about=attributes))
    return path


def _scales(folder: Path, task: Task) -> Normaliser:
    tables = load_statistics(folder, (*task.from_store, *task.static), task.levels)
    return Normaliser.from_statistics(task, *tables, source=str(folder))


def _linear_residual(folder: Path, recipe: Recipe, grid: LatLonGrid) -> LinearResidual | None:
    if not recipe.needs_linear_residual:
        return None
    return residual_from(ArrayFile(folder / LINEAR_RESIDUAL), recipe, grid, folder / LINEAR_RESIDUAL)


def _write_start(aside: Path, recipe: Recipe, frames: Frames, start: WarmStart, console: Console) -> None:
    """Write the checkpoint to start from, adapted to the recipe, so that the run does not need the original."""
    assert start.checkpoint is not None
    own = initial_model(aside, recipe, frames.grid)
    network, report = start_from(own.network, recipe.task, recipe.model, start.checkpoint, start.config)
    scales = restored_scales(own.normaliser, recipe.task, start.checkpoint, start.statistics, start.config)
    fill = restored_fill(own.fill, recipe.task, start.checkpoint, start.statistics, start.config)
    say(console, f"starting from {report}")
    write_model(aside / START_FILE, replace(own, network=network, normaliser=scales, fill=fill))


def _compare(run: Path, settings: dict, console: Console, accept_changes: bool) -> dict | None:
    """Settings to write in place of the run's; None if they are equal."""
    old = read_json(run / SETTINGS_FILE, dict[str, Any], infinity=True)
    recipe = old.get("recipe")
    if not isinstance(recipe, dict) or not isinstance(recipe.get("model"), dict):
        raise InputError(f"{run / SETTINGS_FILE}: has no recipe of a training run")
    old["recipe"] = in_full(recipe, run / SETTINGS_FILE)
    different = list(_differences(settings, {key: old.get(key) for key in settings}))
    if not different:
        return None
    words = "; ".join(f"{name} = {theirs}, not {ours}" for name, ours, theirs in different)
    if not accept_changes:
        raise InputError(
            f"{run}: this run was started with {words}; choose another --run, or resume it with --accept-changes"
        )
    say(console, f"resuming a run that was started with {words}")
    return old | settings


def _write_settings(run: Path, settings: dict | None) -> None:
    if settings is not None:
        with new_output(run / SETTINGS_FILE, replace=True) as aside:
            aside.write_text(json.dumps(settings, indent=1))


def _write_statistics(folder: Path, recipe: Recipe, frames: Frames) -> None:
    task, first, last = recipe.task, minute(frames.times[0]), minute(frames.times[-1])
    compute_statistics(
        frames.path, folder, (first, last), (*task.from_store, *task.static), task.levels or None, task.step
    )
    _write_linear_residual(folder, recipe, frames)


def _write_linear_residual(folder: Path, recipe: Recipe, frames: Frames) -> None:
    """Write statistics of residuals if the recipe needs them and the run does not have them yet."""
    if not recipe.needs_linear_residual or (folder / LINEAR_RESIDUAL).exists():
        return
    made = linear_residual_of(frames, _scales(folder, recipe.task).target_scale)
    with new_output(folder / LINEAR_RESIDUAL) as aside:
        write_arrays(aside, residual_arrays(made))


def _differences(ours, theirs, name: str = "") -> Iterator[tuple[str, object, object]]:
    """Yield (name, our value, their value) for each difference between two nested settings."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted({*ours, *theirs}):
            inner = key if name in ("", "recipe") else f"{name}.{key}"
            if inner not in _FREE:
                yield from _differences(ours.get(key), theirs.get(key), inner)
    elif ours != theirs:
        yield name, ours, theirs
