"""Runner of deterministic models, which have a `step` and the same frames for every member."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice, tee
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from airmass.core.types import Array
from airmass.fields.forcing import Stored, forcing_windows
from airmass.fields.grid import LatLonGrid
from airmass.fields.task import Task
from airmass.models.model import Model
from airmass.models.rollout import iterate_frames
from airmass.models.runner import NOTHING_WRITTEN, History, Written, whole_hours
from airmass.models.state import State


class Stepping(Model, Protocol):
    """A model with a deterministic step from a state to the next frame."""

    def step(
        self, state: State, forcing: Float[Array, "window node forcing"], *, key: PRNGKeyArray | None = None
    ) -> tuple[State, Float[Array, "node target"]]: ...


class DeterministicRunner:
    """Runner of a deterministic model, of which everything that does not depend on the state is computed once."""

    group_size = 1

    def __init__(self, model: Stepping, task: Task, grid: LatLonGrid, stored: Stored | None = None):
        self._model = _ready(model)
        self._task, self._grid, self._stored = task, grid, stored

    def frames(
        self, history: History, init: np.datetime64, members: Sequence[int] = (0,), made: Written = NOTHING_WRITTEN
    ) -> Iterator[Iterator[Float[Array, "node target"]]]:
        """For each lead time, the frames of `members`, which are all the same."""
        for frames in self.trajectories(made.histories([history])[:1], init, members[:1], made.count):
            frame = next(frames)
            yield (frame for _ in members)

    def trajectories(
        self, histories: Sequence[History], init: np.datetime64, members: Sequence[int], count: int
    ) -> Iterator[Iterator[Float[Array, "node target"]]]:
        """For each lead time after the first `count`, without end, the next frame of each of `histories`.

        The model is deterministic, so `members` has no effect.
        """
        hours = jnp.int32(whole_hours(init) + count * self._task.step)
        forced = islice(forcing_windows(self._task, self._grid, init, self._stored), count, None)
        windows = tee(forced, len(histories))
        states = [State(jnp.asarray(history), hours) for history in histories]
        step = partial(compiled_step, self._model)
        runs = [iterate_frames(step, state, own, key=None) for state, own in zip(states, windows, strict=True)]
        while True:
            yield (next(run) for run in runs)


# Compiled once for all models of a kind and size: validation builds one from the newest parameters at intervals.
_ready = jax.jit(lambda model: model.ready(inference=True))


@jax.jit
def compiled_step(
    model: Stepping, state: State, window: Float[Array, "window node forcing"], *, key: PRNGKeyArray | None
) -> tuple[State, Float[Array, "node target"]]:
    """One forecast step; graphs, scales and static fields are arguments, so that it compiles once for all dates."""
    return model.step(state, window, key=key)
