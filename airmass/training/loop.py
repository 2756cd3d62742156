"""The training loop: examples in, parameters out, resumable at any update."""

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float, Int, PyTree
from rich.console import Console

from airmass.arrays import Array
from airmass.data.loader import Frames
from airmass.errors import InputError
from airmass.forcing import forcings
from airmass.layout import Layout
from airmass.losses.squared_error import SquaredError
from airmass.memory import keep_freed_memory
from airmass.models.graphcast import GraphCast, Network
from airmass.recipes import Recipe
from airmass.saved import SavedModel, new_network
from airmass.training.checkpoint import Checkpoints
from airmass.training.monitor import Monitor
from airmass.training.objective import Example, batch_loss
from airmass.training.optimiser import average_decay, optimiser, schedule
from airmass.training.run_folder import LOG_FILE, claim, export, scales

_REPORT_EVERY = 50


class TrainingState(NamedTuple):
    """Everything that an update changes. Examples and random keys follow from `update` and the seed."""

    network: Network
    average: Network
    optimiser: PyTree
    update: Int[Array, ""]


def train(recipe: Recipe, data: str | Path, run: str | Path, console: Console | None = None) -> Path:
    """Train `recipe` on the store `data` in the folder `run`, or go on with it; returns the path of the model.

    The same command continues a stopped run to the bit. Raises InputError when the run was begun with other settings or
    data, and KeyboardInterrupt after saving when it is stopped.
    """
    keep_freed_memory()
    run, console = Path(run), console or Console()
    frames = Frames(data, recipe.task, recipe.training.dates)
    claim(run, recipe, frames, console)
    normaliser = scales(run, recipe.task)
    checkpoints = Checkpoints(run / "checkpoints")
    state = start_state(recipe)
    if checkpoints.latest is not None:
        state = checkpoints.restore(checkpoints.latest, state)
    if int(state.update) < recipe.training.total:
        frames.hold()
        saved = SavedModel(recipe, frames.grid, normaliser, state.network, {})
        model = saved.model(frames.static())
        state = _run(recipe, frames, model, state, checkpoints, run, console)
    checkpoints.close()
    network = state.average if recipe.optimiser.average else state.network
    return export(run, recipe, frames, normaliser, network, int(state.update))


def make_update(
    recipe: Recipe, model: GraphCast, loss: SquaredError
) -> Callable[[TrainingState, Example], tuple[TrainingState, Float[Array, ""], Float[Array, "step variable"]]]:
    """One compiled optimiser step. Compiled once for each shape of example, so once for each length of rollout."""
    transform = optimiser(recipe.optimiser, recipe.training.updates[0])
    history, recompute = recipe.task.history, recipe.training.recompute

    @jax.jit
    def update(state: TrainingState, batch: Example, model: GraphCast, loss: SquaredError):
        key = jax.random.fold_in(jax.random.key(recipe.training.seed), state.update)

        def objective(network):
            candidate = eqx.tree_at(lambda m: m.network, model, network)
            return batch_loss(candidate, loss, batch, history, key=key, recompute=recompute)

        (value, terms), gradient = jax.value_and_grad(objective, has_aux=True)(state.network)
        change, optimiser_state = transform.update(gradient, state.optimiser, state.network)
        network = optax.apply_updates(state.network, change)
        decay = average_decay(recipe.optimiser, state.update)
        average = jax.tree.map(lambda a, b: decay * a + (1 - decay) * b, state.average, network)
        return TrainingState(network, average, optimiser_state, state.update + 1), value, terms

    return lambda state, batch: update(state, batch, model, loss)


def examples(recipe: Recipe, frames: Frames, update: int, rollout: int) -> Example:
    """The batch of an update: windows drawn with replacement by the seed and the update's number alone."""
    history = recipe.task.history
    starts = frames.starts(history + rollout)
    if not len(starts):
        raise InputError(f"{frames.path}: no {history + rollout} frames {recipe.task.step} h apart to train on")
    rng = np.random.default_rng((recipe.training.seed, update))
    drawn = [_example(recipe, frames, start, rollout) for start in rng.choice(starts, recipe.training.batch)]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *drawn)


def _example(recipe: Recipe, frames: Frames, start: int, rollout: int) -> Example:
    history, task = recipe.task.history, recipe.task
    times = frames.times[start] + np.arange(history + rollout) * np.timedelta64(task.step, "h")
    return Example(
        frames.window(start, history + rollout),
        forcings(task.forcing, times, frames.grid),
        times[history - 1].astype("datetime64[h]").astype(np.int32),
    )


def start_state(recipe: Recipe) -> TrainingState:
    """Random parameters and an empty optimiser, from the seed alone."""
    network = new_network(recipe, jax.random.key(recipe.training.seed))
    transform = optimiser(recipe.optimiser, recipe.training.updates[0])
    return TrainingState(network, network, transform.init(network), jnp.int32(0))


def _run(recipe, frames, model, state, checkpoints, run, console) -> TrainingState:
    loss = SquaredError(recipe.loss, Layout.of(recipe.task.targets, recipe.task.levels), frames.grid)
    update_once = make_update(recipe, model, jax.tree.map(jnp.asarray, loss))
    rates = schedule(recipe.optimiser, recipe.training.updates[0])
    done, total, saved_at = int(state.update), recipe.training.total, time.monotonic()
    variables = frames.layout.variables
    with _Stop() as stop, Monitor(run / LOG_FILE, total, done, console) as monitor:
        for number in range(done, total):
            rollout = _rollout_at(recipe, number)
            state, value, terms = update_once(state, examples(recipe, frames, number, rollout))
            if (number + 1) % _REPORT_EVERY == 0 or number + 1 == total:
                if not np.isfinite(value):
                    raise InputError(f"{run}: the loss is {float(value)} after update {number + 1}: lower the rate")
                by_variable = dict(zip(variables, np.asarray(terms).mean(0).round(6).tolist(), strict=True))
                monitor.report(number + 1, float(value), float(rates(number)), rollout, by_variable)
            late = time.monotonic() - saved_at > 60 * recipe.training.checkpoint_minutes
            if stop.asked or late or number + 1 == total:
                checkpoints.save(number + 1, state)
                saved_at = time.monotonic()
            if stop.asked and number + 1 < total:
                checkpoints.close()
                raise KeyboardInterrupt(f"stopped after update {number + 1}; the same command goes on from there")
    return state


def _rollout_at(recipe: Recipe, update: int) -> int:
    ends = np.cumsum(recipe.training.updates)
    return recipe.training.rollout[int(np.searchsorted(ends, update, side="right"))]


class _Stop:
    """Turns the first Ctrl-C or SIGTERM into a wish to stop after the current update; a second one is not caught."""

    asked = False

    def __enter__(self) -> "_Stop":
        self._held = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        for number in self._held:
            signal.signal(number, self._ask)
        return self

    def __exit__(self, *exception) -> None:
        for number, handler in self._held.items():
            signal.signal(number, handler)

    def _ask(self, number, frame) -> None:
        self.asked = True
        signal.signal(number, self._held[number])
