"""Training of a recipe on a store, up to the model file."""

from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from rich.console import Console

import airmass
from airmass.core.cache import keep_compiled
from airmass.core.memory import keep_freed_memory
from airmass.core.place import local_path
from airmass.core.tables import say
from airmass.data.loading.examples import Examples
from airmass.data.loading.frames import Frames
from airmass.data.loading.settings import LoaderSettings
from airmass.fields.channels import ChannelLayout
from airmass.fields.forcing import Stored
from airmass.fields.grid import LatLonGrid
from airmass.fields.normalise import Normaliser
from airmass.fields.task import Task
from airmass.fields.variables import VARIABLES
from airmass.forecasting.checkpoints.model_file import ModelFile, named_leaves
from airmass.forecasting.system import typical_values_of
from airmass.models.family import new_network
from airmass.models.model import Model
from airmass.models.objectives.base import Objective
from airmass.models.objectives.losses.base import require_grid, require_losses
from airmass.recipes.recipes import Recipe
from airmass.recipes.saved import as_settings
from airmass.recipes.settings import TrainingSettings
from airmass.training.adaptation import join, require_matches, split
from airmass.training.calibration import calibration_of
from airmass.training.checkpoint import Checkpoints
from airmass.training.interrupts import Interrupts
from airmass.training.loggers import require_installed
from airmass.training.loop import Callbacks, Loop
from airmass.training.monitor import Monitor
from airmass.training.profiler import Profiler
from airmass.training.program import place_batch, update_program
from airmass.training.rotation import require_rows
from airmass.training.run_folder import FROM_SCRATCH, WarmStart, claimed, export, initial_model
from airmass.training.sharding import (
    MEMBER,
    SPACE,
    join_processes,
    leads,
    mesh_of,
    own_nodes,
    own_share,
    replicated,
    wait_for_all,
)
from airmass.training.update import TrainingState, UpdateReport
from airmass.training.validation import Forecast, Validation
from airmass.training.watchdog import Watchdog


def train(
    recipe: Recipe,
    data: str | Path,
    run: str | Path,
    console: Console | None = None,
    *,
    start: WarmStart = FROM_SCRATCH,
    accept_changes: bool = False,
) -> Path:
    """Train `recipe` on the store `data` in the folder `run`, or resume that run; return the path of the model.

    A stopped run resumes bit for bit. `start` is a checkpoint to start from in place of random parameters. Raises
    InputError if the run was started with other settings or data, unless `accept_changes`, and KeyboardInterrupt, after
    saving, if it is stopped.
    """
    interrupts = Interrupts(recipe.safety)
    keep_freed_memory()
    keep_compiled()
    join_processes(recipe.devices)
    members, title = recipe.family.training_members(recipe.model), recipe.family.title
    mesh = mesh_of(recipe.devices, recipe.training, members)
    run, console = local_path(run, "run"), console or Console(quiet=not leads())
    require_losses(recipe.loss, len(recipe.training.updates), members, title, mesh.shape[MEMBER], mesh.shape[SPACE])
    family, dates = recipe.family, recipe.training.dates
    frames = Frames(data, recipe.task, dates, missing=family.may_be_missing, sparse=family.masks_targets)
    for number in range(len(recipe.training.updates)):
        require_grid(recipe.loss.of_stage(number), frames.grid)
    if recipe.training.rotate:
        require_rows(frames.grid, mesh.shape[SPACE])
    validation = _validation(recipe, data)
    settings = _settings(recipe, frames, mesh, start)
    require_installed(recipe.watch)
    require_matches(
        jax.eval_shape(lambda: new_network(recipe.task, recipe.model, jax.random.key(0))), recipe.adaptation
    )
    # Only the leading process of a run locks its folder.
    claim = claimed(run, settings, recipe, frames, console, start, accept_changes) if leads() else nullcontext()
    with claim as accept, interrupts:
        wait_for_all("the run's folder is there")
        return _train(
            recipe=recipe,
            frames=frames,
            run=run,
            console=console,
            mesh=mesh,
            interrupts=interrupts,
            settings=settings,
            validation=validation,
            accept=accept,
        )


def _train(
    *,
    recipe: Recipe,
    frames: Frames,
    run: Path,
    console: Console,
    mesh: Mesh,
    interrupts: Interrupts,
    settings: dict,
    validation: Validation | None,
    accept: Callable[[], None] | None,
) -> Path:
    saved = initial_model(run, recipe, frames.grid)
    frames.hold_against(typical_values_of(recipe.task, saved.normaliser))
    key = jax.random.fold_in(jax.random.key(recipe.training.seed), 2**32 - 1)
    trained, held_still = split(saved.network, recipe.adaptation, key)

    def begin() -> TrainingState:
        # Copy every leaf, because each update reuses the memory of its input state.
        state = jax.tree.map(
            lambda leaf: jnp.array(leaf, copy=True),
            TrainingState.start(recipe.optimiser, recipe.training.updates, trained),
        )
        return replicated(state, mesh)

    checkpoints = Checkpoints(run, settings | {"scales": _as_lists(saved)})
    state = begin() if checkpoints.latest is None else checkpoints.restore(checkpoints.latest, begin())
    if accept:
        accept()  # only after the saved state is known to fit the new settings
    if (done := int(state.update)) < recipe.training.total:
        attention = recipe.family.attention(recipe.model, recipe.training.precision, gradient=True)
        if attention.report:
            say(console, f"attention: {attention.report}")
        model = saved.model(frames.static(), recipe.training.precision, mesh.shape["space"], attention.attend)
        update, fixed = update_program(recipe, model, held_still, frames.grid, mesh)
        logs = run if leads() else run / f"process-{jax.process_index()}"
        members = recipe.family.training_members(recipe.model)
        batch, examples = recipe.training.batch, _examples(recipe.training, recipe.loader, frames, mesh, members)
        with (
            Monitor(logs, recipe.training.total, done, recipe.watch, console, batch) as monitor,
            Watchdog(logs, recipe.watch.stall_minutes) as watchdog,
            closing(Profiler(logs, recipe.watch.trace)) as profiler,
        ):
            validate = _validate_with(validation, recipe, saved, frames, held_still, monitor)
            describe = partial(_describe, recipe.task, saved.normaliser)
            for rollout in dict.fromkeys(recipe.training.rollout):
                if dropped := examples.dropped(rollout):
                    say(console, f"rollout {rollout}: {dropped} windows contain a missing time and are left out")
            callbacks = Callbacks(monitor, watchdog, profiler, describe, validate)
            loop = Loop(
                recipe=recipe,
                examples=examples,
                require_unchanged=frames.require_unchanged,
                place_batch=partial(place_batch, recipe.training, members, mesh),
                update=update,
                fixed=fixed,
                checkpoints=checkpoints,
                callbacks=callbacks,
                interrupts=interrupts,
                start=begin,
            )
            state = loop.run(state)
    checkpoints.close()
    network = join(state.average if recipe.optimiser.average else state.trained, held_still)
    path = _finish(run, replace(saved, network=jax.device_get(network)), frames, int(state.update), console)
    wait_for_all("the model is there")
    return path


def _finish(run: Path, saved: ModelFile, frames: Frames, updates: int, console: Console) -> Path:
    """Calibrate the trained model if its recipe requires it, and write the model file."""
    if not leads():
        return run
    if saved.recipe.calibrated:
        say(console, "calibrating the model with forecasts from training dates")
        saved = replace(saved, calibration=calibration_of(saved, frames))
    return export(run, saved, frames, updates)


def _settings(recipe: Recipe, frames: Frames, mesh: Mesh, start: WarmStart) -> dict:
    """Settings, data and versions that must not change when a run is resumed."""
    return {
        "recipe": as_settings(recipe) | {"devices": dict(mesh.shape)},
        "data_fingerprint": frames.fingerprint,
        "start": str(start.checkpoint) if start.checkpoint else None,
        "variables": {name: VARIABLES[name].attributes for name in recipe.task.from_store},
        "airmass": airmass.__version__,
        "jax": jax.__version__,
        "data": str(frames.path),
    }


def _as_lists(saved: ModelFile) -> dict[str, list[float]]:
    return {name: leaf.tolist() for name, leaf in named_leaves(saved.normaliser).items()}


def _examples(training: TrainingSettings, loader: LoaderSettings, frames: Frames, mesh: Mesh, members: int) -> Examples:
    """Examples of this process: its part of every batch."""
    share = own_share(mesh, training.batch // training.accumulate, members)
    whole = slice(share.start * training.accumulate, share.stop * training.accumulate)
    return Examples(frames, loader, training.seed, training.batch, whole, own_nodes(mesh, frames.grid.size))


def _describe(
    task: Task, scales: Normaliser, objective: Objective, report: UpdateReport
) -> tuple[dict[str, float], dict[str, float]]:
    """Losses by variable, and the objective's report by variable, level and lead time."""
    layout, errors = ChannelLayout.of(task.targets, task.levels), np.asarray(report.errors)
    terms = np.asarray(objective.loss.weights.terms(errors)).mean(axis=0)
    by_variable = dict(zip(layout.variables, terms.round(6).tolist(), strict=True))
    reported = objective.reported(errors, np.asarray(scales.target_scale))
    by_channel = {}
    for step, row in enumerate(reported.values, 1):
        for (variable, level), value in zip(layout.channels, row, strict=True):
            channel = f"{variable}/{level}" if level else variable
            by_channel[f"{reported.name}/{channel}/{step * task.step}h"] = float(f"{value:.6g}")
    return by_variable, by_channel


def _validation(recipe: Recipe, data: str | Path) -> Validation | None:
    if not recipe.watch.validate_every:
        return None
    missing, sparse = recipe.family.may_be_missing, recipe.family.masks_targets
    return Validation(recipe.watch, recipe.task, data, recipe.training.dates, missing, sparse)


def _validate_with(
    validation: Validation | None, recipe: Recipe, saved: ModelFile, frames: Frames, held_still, monitor: Monitor
) -> Callable[[TrainingState, int], None]:
    # Not the training model, which may be distributed over devices or in another precision.
    whole = saved.model(frames.static()) if validation is not None and leads() else None

    def validate(state: TrainingState, number: int) -> None:
        if validation is None or whole is None or number % recipe.watch.validate_every:
            return
        with monitor.aside():
            network = join(state.average if recipe.optimiser.average else state.trained, held_still)
            model = replace(whole, network=jax.device_put(jax.device_get(network)))
            result = validation.run(forecast_of(recipe, model, frames.grid, validation.stored_forcing))
            monitor.validated(number, result.rmse, {"forecast": result.picture})

    return validate


def forecast_of(recipe: Recipe, model: Model, grid: LatLonGrid, stored: Stored | None = None) -> Forecast:
    """Forecast function for validation; for an ensemble, the mean of a few members."""
    family, seed = recipe.family, recipe.training.seed
    runner = family.runner(model, recipe.task, grid, sampler=family.sampler(recipe), seed=seed, stored=stored)
    numbers = range(family.validation_members)

    def mean(history, init):
        for members in runner.frames(history, init, numbers):
            first, *others = members
            yield sum(others, first) / len(numbers) if others else first

    return mean
