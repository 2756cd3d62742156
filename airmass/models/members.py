"""Ensembles of models that make a member's frame in one network call from a short vector of noise."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from airmass.core.types import Array
from airmass.fields.forcing import Stored, forcing_windows
from airmass.fields.grid import LatLonGrid
from airmass.fields.task import Task
from airmass.models.model import Model
from airmass.models.runner import NOTHING_WRITTEN, History, Written, member_key, whole_hours
from airmass.models.state import State

Noise = Float[Array, " noise"]


class MemberModel(Model, Protocol):
    """A model whose members differ in noise alone; what `prepare` gives is shared by members of one state."""

    @property
    def noise_channels(self) -> int:
        """Size of a member's noise of a step."""
        ...

    @property
    def noise_scale(self) -> float:
        """Standard deviation of the noise of forecasts."""
        ...

    def prepare(self, state: State, forcing: Float[Array, "window node forcing"]) -> Any: ...

    def predict(self, inputs: Any, noise: Noise) -> Float[Array, "node target"]:
        """The network's output in the scaled space in which losses compare."""
        ...

    def target(self, inputs: Any, physical: Float[Array, "node target"]) -> Float[Array, "node target"]:
        """The output of `predict` that `restore` turns into the frame `physical`."""
        ...

    def restore(self, inputs: Any, output: Float[Array, "node target"]) -> Float[Array, "node target"]:
        """The physical frame of an output."""
        ...

    def filled(self, history: Float[Array, "*lead prognostic"]) -> Float[Array, "*lead prognostic"]:
        """Prognostic fields without missing values."""
        ...


class MembersRunner:
    """Runner of members one by one, dealt out to devices in turn.

    A member's noise of a step follows from seed, initial time, the member's number and the step's alone. With `noise`,
    which has a row for every number and step asked for, these values replace every draw.
    """

    def __init__(
        self,
        model: MemberModel,
        task: Task,
        grid: LatLonGrid,
        seed: int,
        noise: Float[np.ndarray, "member step noise"] | None = None,
        stored: Stored | None = None,
    ):
        self._task, self._grid, self._seed, self._noise, self._stored = task, grid, seed, noise, stored
        ready, devices = _ready(model), jax.local_devices()
        self._models = [jax.device_put(ready, device) for device in devices] if len(devices) > 1 else [ready]

    @property
    def group_size(self) -> int:
        """Number of members whose states are in memory at once: one on each device."""
        return len(self._models)

    def frames(
        self, history: History, init: np.datetime64, members: Sequence[int], made: Written = NOTHING_WRITTEN
    ) -> Iterator[Iterator[Float[Array, "node target"]]]:
        """For each lead time after those `made`, without end, the frame of each of `members` in their order."""
        return self.trajectories(made.histories([history] * len(members)), init, members, made.count)

    def trajectories(
        self, histories: Sequence[History], init: np.datetime64, members: Sequence[int], count: int
    ) -> Iterator[Iterator[Float[Array, "node target"]]]:
        """The same after the first `count` lead times, each member from a history of its own."""
        hours = np.array(whole_hours(init) + count * self._task.step, np.int32)
        states = [State(last, hours) for last in histories]
        windows = islice(forcing_windows(self._task, self._grid, init, self._stored), count, None)
        for step, window in enumerate(windows, count):
            yield self._advance(states, window, [self._noise_of(init, member, step) for member in members])

    def _advance(self, states: list[State], window, noise: list[Noise]) -> Iterator[Float[Array, "node target"]]:
        """The next frame of every member, in order, moving `states` on; all devices work before a frame is awaited."""
        for first in range(0, len(states), self.group_size):
            started = []
            for place, member in enumerate(range(first, min(first + self.group_size, len(states)))):
                states[member], frame = _step(self._models[place], states[member], window, noise[member])
                started.append(frame)
            yield from started

    def _noise_of(self, init: np.datetime64, member: int, step: int) -> Noise:
        if self._noise is not None:
            return jnp.asarray(self._noise[member, step])
        return draw(self._models[0], jax.random.fold_in(member_key(self._seed, init, member), step))


# Compiled once for all models of a kind and size, as `_step` below.
_ready = jax.jit(lambda model: model.ready(inference=True))


def step(
    model: MemberModel, state: State, window: Float[Array, "window node forcing"], noise: Noise
) -> tuple[State, Float[Array, "node target"]]:
    """One step ahead of one member: the next state and its physical frame."""
    inputs = model.prepare(state, window)
    frame = model.restore(inputs, model.predict(inputs, noise))
    return model.advance(state, frame), frame


def draw(model: MemberModel, key: PRNGKeyArray) -> Noise:
    """A member's noise of one step of a forecast."""
    return model.noise_scale * jax.random.normal(key, (model.noise_channels,))


_step = jax.jit(step)
