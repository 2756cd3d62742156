"""The folder of a run: whose it is, its statistics, and the model that comes out of it."""

import json
from collections.abc import Iterator
from pathlib import Path

import cattrs
from rich.console import Console

import airmass
from airmass.data.loader import Frames
from airmass.data.statistics import CLIMATOLOGY, compute_statistics, load_statistics
from airmass.errors import InputError
from airmass.files import new_output
from airmass.models.graphcast import Network
from airmass.normalise import Normaliser
from airmass.recipes import Recipe
from airmass.saved import MODEL_FILE, SavedModel, write_model
from airmass.store import minute
from airmass.task import Task

SETTINGS_FILE = "settings.json"
STATISTICS_FOLDER = "statistics"
LOG_FILE = "log.jsonl"
# Fields of a recipe that change nothing in what a run computes.
_FREE = {"cost", "expect", "checkpoint_minutes"}


def claim(run: Path, recipe: Recipe, frames: Frames, console: Console) -> None:
    """Make the run's folder with settings and statistics, or see that it was begun with the same settings and data.

    The folder appears only once its statistics over the training dates are complete. Raises InputError that names the
    first setting that differs, with both values.
    """
    settings = {"recipe": cattrs.unstructure(recipe), "data_fingerprint": frames.fingerprint}
    settings = json.loads(json.dumps(settings))
    if (run / SETTINGS_FILE).exists():
        held = json.loads((run / SETTINGS_FILE).read_text())
        for name, ours, theirs in _differences(settings, {key: held.get(key) for key in settings}):
            raise InputError(f"{run}: this run was begun with {name} = {theirs}, not {ours}; name another --run")
        return
    if run.exists() and (not run.is_dir() or any(run.iterdir())):
        raise InputError(f"{run}: exists and is not a training run")
    frames.hold()
    first, last = minute(frames.times[0]), minute(frames.times[-1])
    held_back = "" if recipe.training.dates else ", all of the store (--training.dates leaves some of it to judge on)"
    console.print(f"training on {first} to {last}{held_back}")
    console.print(f"statistics and climatology over these dates -> {run / STATISTICS_FOLDER}")
    with new_output(run, replace=run.exists()) as aside:
        aside.mkdir()
        _write_statistics(aside / STATISTICS_FOLDER, recipe.task, frames)
        about = {"airmass": airmass.__version__, "data": str(frames.path)}
        (aside / SETTINGS_FILE).write_text(json.dumps(settings | about, indent=1))


def scales(run: Path, task: Task) -> Normaliser:
    """The scales of a task from the statistics in the run's folder."""
    folder = run / STATISTICS_FOLDER
    tables = load_statistics(folder, (*task.targets, *task.static), task.levels)
    return Normaliser.from_statistics(task, *tables, source=str(folder))


def export(run: Path, recipe: Recipe, frames: Frames, normaliser: Normaliser, network: Network, updates: int) -> Path:
    """Write the model file of a run and return its path."""
    about: dict[str, str | int] = {
        "airmass": airmass.__version__,
        "updates": updates,
        "data": str(frames.path),
        "data_fingerprint": frames.fingerprint,
        "climatology": str((run / STATISTICS_FOLDER / CLIMATOLOGY).resolve()),
    }
    path = run / MODEL_FILE
    write_model(path, SavedModel(recipe, frames.grid, normaliser, network, about))
    return path


def _write_statistics(folder: Path, task: Task, frames: Frames) -> None:
    first, last = minute(frames.times[0]), minute(frames.times[-1])
    compute_statistics(
        frames.path, folder, (first, last), (*task.targets, *task.static), task.levels or None, task.step
    )


def _differences(ours, theirs, name: str = "") -> Iterator[tuple[str, object, object]]:
    """(name, our value, their value) wherever two nested settings differ."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted({*ours, *theirs} - _FREE):
            inner = key if name in ("", "recipe") else f"{name}.{key}"
            yield from _differences(ours.get(key), theirs.get(key), inner)
    elif ours != theirs:
        yield name, ours, theirs
