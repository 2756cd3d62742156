"""The training loop: examples in, parameters out, resumable at any update."""

import time
from collections.abc import Callable
from contextlib import closing
from typing import NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils

from airmass.core.errors import InputError
from airmass.data.loading.examples import Examples
from airmass.recipes.recipes import Recipe
from airmass.training.checkpoint import Checkpoints
from airmass.training.interrupts import Interrupts
from airmass.training.monitor import Monitor
from airmass.training.optimiser import schedule
from airmass.training.profiler import Profiler
from airmass.training.update import Fixed, Report, TrainingState, Update
from airmass.training.watchdog import Watchdog

# Processes agree on stopping and saving this often.
_AGREE_EVERY = 10


class Callbacks(NamedTuple):
    """Who looks on: `describe` names what a report holds, `validate` judges the state after an update."""

    monitor: Monitor
    watchdog: Watchdog
    trace: Profiler
    describe: Callable[[Report], tuple[dict[str, float], dict[str, float]]]
    validate: Callable[[TrainingState, int], None]


class Loop:
    """Runs updates from a state to the end of the curriculum, saving on the way."""

    def __init__(
        self,
        recipe: Recipe,
        examples: Examples,
        require_unchanged: Callable[[], None],
        place: Callable,
        update: Update,
        fixed: Fixed,
        checkpoints: Checkpoints,
        callbacks: Callbacks,
        stop: Interrupts,
        start: Callable[[], TrainingState],
    ):
        self._recipe, self._examples, self._place, self._update, self._fixed = recipe, examples, place, update, fixed
        self._require_unchanged = require_unchanged
        self._checkpoints, self._callbacks, self._stop, self._start = checkpoints, callbacks, stop, start
        self._rates = schedule(recipe.optimiser, recipe.training.updates)
        self._saved_at, self._rollbacks = time.monotonic(), (0, 0)

    def run(self, state: TrainingState) -> TrainingState:
        """Raises KeyboardInterrupt after saving when it is stopped, and InputError when training fails."""
        total = self._recipe.training.total
        while (done := int(state.update)) < total:
            begin, end, rollout = stage(self._recipe, done)
            state = self._stage(state, begin, end, rollout)
        return state

    def _stage(self, state: TrainingState, begin: int, end: int, rollout: int) -> TrainingState:
        """Updates with one length of rollout; ends early, to be called again, after going back."""
        done, offset = int(state.update), int(state.offset)
        safety, watchdog = self._recipe.safety, self._callbacks.watchdog
        batches = self._examples.batches(done + offset, end + offset, rollout)
        with closing(batches):
            for number in range(done + 1, end + 1):
                watchdog.beat(f"reading data for update {number}")
                with self._callbacks.monitor.waiting():
                    batch = self._place(next(batches))
                watchdog.beat(f"making update {number}")
                self._callbacks.trace.before(number)
                state, report = self._update(state, batch, self._fixed)
                self._callbacks.trace.after(number, state)
                self._report(number, rollout, state, report)
                if number == end:  # a longer rollout has larger losses
                    state = _watched_from_here(state, 0.0)
                elif (number - begin) % safety.window == 0:
                    state, gone_back = self._check_for_spike(state, number)
                    if gone_back:
                        return state
                self._callbacks.validate(state, number)  # before saving: a run that dies in between validates again
                self._save_if_due(state, number)
            return state

    def _report(self, number: int, rollout: int, state: TrainingState, report: Report) -> None:
        if number % self._recipe.watch.every and number < self._recipe.training.total:
            return
        if (failed := int(state.failed)) >= self._recipe.safety.most_skipped:
            raise InputError(
                f"the gradients of the last {failed} updates up to {number} were not finite; the loss is "
                f"{float(report.loss):g}: lower the rate, or look at the data"
            )
        terms, extra = self._callbacks.describe(report)
        extra |= {"gradient_norm": float(report.norm), "skipped": int(state.skipped), "passed_over": int(state.offset)}
        self._callbacks.monitor.report(
            number, float(report.loss), float(self._rates(number - 1)), rollout, terms, extra
        )  # fmt: skip

    def _check_for_spike(self, state: TrainingState, number: int) -> tuple[TrainingState, bool]:
        """Compare the mean loss since the last look with the usual one; go back where it has jumped."""
        safety = self._recipe.safety
        mean, usual = float(state.recent) / safety.window, float(state.usual)
        if usual and mean > safety.spike * usual:
            return self._go_back(number, mean, usual), True
        return _watched_from_here(state, mean if not usual else 0.9 * usual + 0.1 * mean), False

    def _go_back(self, number: int, mean: float, usual: float) -> TrainingState:
        """The state at the last milestone, with all examples since passed over."""
        target = self._checkpoints.milestone_before(number) or 0
        came_from, count = self._rollbacks
        count = count + 1 if came_from == target else 1
        self._rollbacks = target, count
        what = f"the mean loss up to update {number} is {mean:.4g}, usually {usual:.4g}"
        if count > self._recipe.safety.most_rollbacks:
            raise InputError(f"{what}, also after going back to update {target} {count - 1} times: lower the rate")
        self._callbacks.monitor.went_back(number, target, what)
        start = self._start()
        state = self._checkpoints.restore(target, start) if target else start
        self._checkpoints.forget_after(target)
        return _like(state, offset=int(state.offset) + (number - target) * count)

    def _save_if_due(self, state: TrainingState, number: int) -> None:
        """Save at milestones, at the end, when it is time and when asked to stop, and then stop."""
        total, safety = self._recipe.training.total, self._recipe.safety
        milestone = number % safety.save_updates == 0
        late = time.monotonic() - self._saved_at > 60 * safety.save_minutes
        asked, late = self._agreed(number, self._stop.asked, late)
        if milestone or late or asked or number == total:
            self._callbacks.watchdog.beat(f"saving after update {number}")
            self._require_unchanged()
            self._checkpoints.save(number, state, milestone)
            self._saved_at = time.monotonic()
        if asked and number < total:
            self._checkpoints.close()
            raise KeyboardInterrupt(f"stopped after update {number}; the same command goes on from there")

    def _agreed(self, number: int, *wishes: bool) -> tuple[bool, ...]:
        """What any process wishes, so that all do the same; they ask each other now and then."""
        if jax.process_count() == 1:
            return wishes
        if number % _AGREE_EVERY and number < self._recipe.training.total:
            return (False,) * len(wishes)
        return tuple(bool(wish) for wish in multihost_utils.process_allgather(np.array(wishes)).any(axis=0))


def stage(recipe: Recipe, update: int) -> tuple[int, int, int]:
    """First and last update (excluded) of the stage of the curriculum that `update` is in, and its rollout."""
    ends = np.cumsum(recipe.training.updates)
    place = int(np.searchsorted(ends, update, side="right"))
    return int(ends[place] - recipe.training.updates[place]), int(ends[place]), recipe.training.rollout[place]


def _watched_from_here(state: TrainingState, usual: float) -> TrainingState:
    return _like(state, recent=0, usual=usual)


def _like(state: TrainingState, **values: float) -> TrainingState:
    """The state with some numbers replaced, of the same type and in the same place."""
    old = {name: getattr(state, name) for name in values}
    return state._replace(
        **{name: jax.device_put(old[name].dtype.type(values[name]), leaf.sharding) for name, leaf in old.items()}
    )
