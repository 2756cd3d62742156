"""Training loop, resumable after any update."""

import time
from collections.abc import Callable
from contextlib import closing
from typing import NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils

from airmass.core.errors import InputError
from airmass.data.loading.examples import Examples, LoadedBatch
from airmass.models.objectives.base import Objective
from airmass.recipes.recipes import Recipe
from airmass.recipes.settings import TrainingSettings
from airmass.training.checkpoint import Checkpoints
from airmass.training.interrupts import Interrupts
from airmass.training.monitor import Monitor
from airmass.training.optimiser import schedule
from airmass.training.profiler import Profiler
from airmass.training.update import Fixed, TrainingBatch, TrainingState, Update, UpdateReport
from airmass.training.watchdog import Watchdog

# Updates between agreements of all processes on stopping and saving.
_AGREE_EVERY = 10


class Stage(NamedTuple):
    """A stage of the curriculum: its number, its first and last update (excluded), and its rollout."""

    number: int
    begin: int
    end: int
    rollout: int


class Callbacks(NamedTuple):
    """Callbacks of the loop.

    `describe` turns an objective's report into named numbers; `validate` validates the state after an update.
    """

    monitor: Monitor
    watchdog: Watchdog
    profiler: Profiler
    describe: Callable[[Objective, UpdateReport], tuple[dict[str, float], dict[str, float]]]
    validate: Callable[[TrainingState, int], None]


class Loop:
    """Loop over updates, from a state to the end of the curriculum, with saves."""

    def __init__(
        self,
        *,
        recipe: Recipe,
        examples: Examples,
        require_unchanged: Callable[[], None],
        place_batch: Callable[[LoadedBatch], TrainingBatch],
        update: Update,
        fixed: tuple[Fixed, ...],
        checkpoints: Checkpoints,
        callbacks: Callbacks,
        interrupts: Interrupts,
        start: Callable[[], TrainingState],
    ):
        self._recipe, self._examples, self._update, self._fixed = recipe, examples, update, fixed
        self._require_unchanged, self._place_batch = require_unchanged, place_batch
        self._checkpoints, self._callbacks, self._interrupts, self._start = checkpoints, callbacks, interrupts, start
        self._rates = schedule(recipe.optimiser, recipe.training.updates)
        self._saved_at, self._rollbacks = time.monotonic(), (0, 0)

    def run(self, state: TrainingState) -> TrainingState:
        """Train to the end. Raises KeyboardInterrupt, after saving, if stopped, and InputError if training fails."""
        total = self._recipe.training.total
        while (done := int(state.update)) < total:
            state = self._stage(state, stage(self._recipe.training, done))
        return state

    def _stage(self, state: TrainingState, stage: Stage) -> TrainingState:
        """Run the updates of one stage. Returns early, to be called again, after a rollback."""
        begin, end, fixed = stage.begin, stage.end, self._fixed[stage.number]
        done, offset = int(state.update), int(state.offset)
        safety, watchdog = self._recipe.safety, self._callbacks.watchdog
        batches = self._examples.batches(done + offset, end + offset, stage.rollout)
        with closing(batches):
            for number in range(done + 1, end + 1):
                watchdog.beat(f"reading data for update {number}")
                with self._callbacks.monitor.waiting():
                    batch = self._place_batch(next(batches))
                watchdog.beat(f"making update {number}")
                self._callbacks.profiler.before(number)
                state, report = self._update(state, batch, fixed)
                self._callbacks.profiler.after(number, state)
                self._report(number, stage, state, report)
                if number == end:  # a longer rollout has larger losses
                    state = _new_window(state, 0.0)
                elif (number - begin) % safety.window == 0:
                    state, rolled_back = self._check_for_spike(state, number)
                    if rolled_back:
                        return state
                self._callbacks.validate(state, number)  # before saving: a run killed in between validates again
                self._save_if_due(state, number)
            return state

    def _report(self, number: int, stage: Stage, state: TrainingState, report: UpdateReport) -> None:
        if number % self._recipe.watch.every and number < self._recipe.training.total:
            return
        if (failed := int(state.failed)) >= self._recipe.safety.most_skipped:
            raise InputError(
                f"the gradients of the last {failed} updates up to {number} were not finite; the loss is "
                f"{float(report.loss):g}: lower the rate, or check the data"
            )
        terms, extra = self._callbacks.describe(self._fixed[stage.number].objective, report)
        extra |= {"gradient_norm": float(report.norm), "skipped": int(state.skipped), "passed_over": int(state.offset)}
        self._callbacks.monitor.report(
            number, float(report.loss), float(self._rates(number - 1)), stage.rollout, terms, extra
        )  # fmt: skip

    def _check_for_spike(self, state: TrainingState, number: int) -> tuple[TrainingState, bool]:
        """Compare the mean loss of the window with the baseline; roll back if it has jumped."""
        safety = self._recipe.safety
        mean, baseline = float(state.recent) / safety.window, float(state.usual)
        if baseline and mean > safety.spike * baseline:
            return self._roll_back(number, mean, baseline), True
        return _new_window(state, mean if not baseline else 0.9 * baseline + 0.1 * mean), False

    def _roll_back(self, number: int, mean: float, baseline: float) -> TrainingState:
        """State of the last milestone, with all examples since then skipped."""
        target = self._checkpoints.milestone_before(number) or 0
        came_from, count = self._rollbacks
        count = count + 1 if came_from == target else 1
        self._rollbacks = target, count
        spike = f"the mean loss before update {number} is {mean:.4g}, the baseline {baseline:.4g}"
        if count > self._recipe.safety.most_rollbacks:
            raise InputError(f"{spike}, even after returning to update {target} {count - 1} times: lower the rate")
        self._callbacks.monitor.went_back(number, target, spike)
        start = self._start()
        state = self._checkpoints.restore(target, start) if target else start
        self._checkpoints.forget_after(target)
        return _like(state, offset=int(state.offset) + (number - target) * count)

    def _save_if_due(self, state: TrainingState, number: int) -> None:
        """Save at milestones, at intervals, at the end and on a request to stop; then stop if requested."""
        total, safety = self._recipe.training.total, self._recipe.safety
        milestone = number % safety.save_updates == 0
        late = time.monotonic() - self._saved_at > 60 * safety.save_minutes
        asked, late = self._agreed(number, self._interrupts.asked, late)
        if milestone or late or asked or number == total:
            self._callbacks.watchdog.beat(f"saving after update {number}")
            self._require_unchanged()
            self._checkpoints.save(number, state, milestone)
            self._saved_at = time.monotonic()
        if asked and number < total:
            self._checkpoints.close()
            raise KeyboardInterrupt(f"stopped after update {number}; run the same command to resume")

    def _agreed(self, number: int, *requests: bool) -> tuple[bool, ...]:
        """True for each request that any process has, so that all act alike; checked every few updates."""
        if jax.process_count() == 1:
            return requests
        if number % _AGREE_EVERY and number < self._recipe.training.total:
            return (False,) * len(requests)
        return tuple(bool(any_of) for any_of in multihost_utils.process_allgather(np.array(requests)).any(axis=0))


def stage(training: TrainingSettings, update: int) -> Stage:
    """The stage of the curriculum that `update` is in."""
    ends = np.cumsum(training.updates)
    number = int(np.searchsorted(ends, update, side="right"))
    return Stage(number, int(ends[number] - training.updates[number]), int(ends[number]), training.rollout[number])


def _new_window(state: TrainingState, baseline: float) -> TrainingState:
    """State at the start of a window of the spike check."""
    return _like(state, recent=0, usual=baseline)


def _like(state: TrainingState, **values: float) -> TrainingState:
    """State with some numbers replaced; types and placement are kept."""
    old = {name: getattr(state, name) for name in values}
    return state._replace(
        **{name: jax.device_put(old[name].dtype.type(values[name]), leaf.sharding) for name, leaf in old.items()}
    )
