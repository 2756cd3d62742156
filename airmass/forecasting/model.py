"""A trained model in a notebook: frames as `xr.Dataset`, and a step that can be compiled and differentiated."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Float, Int, PRNGKeyArray

from airmass.core.errors import InputError
from airmass.core.types import Array
from airmass.data.initial import Initial, open_initial
from airmass.fields.channels import ChannelLayout
from airmass.fields.clock import parse_time
from airmass.fields.forcing import forcings
from airmass.fields.grid import LatLonGrid
from airmass.fields.task import Task
from airmass.fields.variables import VARIABLES
from airmass.forecasting.system import check_grid, load_system
from airmass.models.runner import whole_hours
from airmass.models.state import State

_HOUR = np.timedelta64(1, "h")


def load(
    checkpoint: str | Path, *, statistics: str | Path | None = None, precision: str = "float32"
) -> "ForecastModel":
    """The model of a run's folder, a model file of airmass, or a published `.npz` with the folder of its statistics.

    `precision` is that of the network's arithmetic, "float32" or "bfloat16". Raises InputError for what is no
    checkpoint or does not hold together.
    """
    return ForecastModel(checkpoint, statistics, precision)


class ForecastState(eqx.Module):
    """A state on its way: the last frames, the forcings of all steps to come, and the number of steps taken."""

    now: State
    forcing: Float[Array, "time node forcing"]
    number: Int[Array, ""]


class ForecastModel:
    """A trained model that forecasts. Make one with `airmass.load`.

    `name` is that of its family; `task` says which variables and levels it reads and writes, and its step in hours.
    """

    def __init__(self, checkpoint: str | Path, statistics: str | Path | None = None, precision: str = "float32"):
        self._system = load_system(checkpoint, statistics, precision)
        self._checkpoint = checkpoint
        self._built: tuple[LatLonGrid, np.ndarray, Any] | None = None

    def __repr__(self) -> str:
        return f"<{self._system.title} from {self._checkpoint}: {self.task.step} h a step>"

    @property
    def name(self) -> str:
        return self._system.name

    @property
    def task(self) -> Task:
        return self._system.task

    @property
    def ensemble(self) -> bool:
        """True where members differ."""
        return self._system.ensemble

    def forecast(
        self,
        initial: xr.Dataset | str | Path,
        steps: int,
        *,
        init_time: str | np.datetime64 | None = None,
        members: int | Sequence[int] | None = None,
        seed: int = 0,
    ) -> Iterator[xr.Dataset]:
        """Frames one after another, `steps` of them, computed as they are asked for.

        `initial` is a store, a file or a dataset in the layout of `airmass.open_store` that holds the last frames
        before the start; `init_time` chooses among several (UTC). Of an ensemble, `members` is how many, or their
        numbers, and each follows from `seed`, the initial time and its number; frames then have a dimension `number`.
        Fields are in the units of the table of variables, with coordinates `init_time`, `lead_time` and `valid_time`.
        Raises InputError for what does not fit the model.
        """
        if steps < 1:
            raise InputError(f"steps is {steps}, expected 1 or more")
        if members is not None and not self.ensemble:
            raise InputError(f"{self._system.title} is deterministic: members has no effect")
        start, init = self._start(initial, init_time)
        numbers = list(range(members)) if isinstance(members, int) else list(members or [0])
        runner = self._system.runner(start.grid, start.static(), seed)
        frames = islice(runner.frames(start.history(init), init, numbers), steps)
        labelled = numbers if self.ensemble else None
        return (
            self._dataset(np.stack([np.asarray(frame) for frame in of_members]), start.grid, init, step, labelled)
            for step, of_members in enumerate(frames, 1)
        )

    def state(
        self, initial: xr.Dataset | str | Path, steps: int, *, init_time: str | np.datetime64 | None = None
    ) -> ForecastState:
        """What `step` starts from, with the forcings of `steps` steps."""
        start, init = self._start(initial, init_time)
        self._build(start)
        times = init + np.arange(1 - self.task.history, steps + 1) * self.task.step * _HOUR
        state = State(jnp.asarray(start.history(init)), jnp.int32(whole_hours(init)))
        table = jnp.asarray(forcings(self.task.forcing, times, start.grid))
        return ForecastState(state, table, jnp.int32(0))

    def step(
        self, state: ForecastState, key: PRNGKeyArray | None = None
    ) -> tuple[ForecastState, Float[Array, "node target"]]:
        """The state one step later and its frame, in physical units, of channels in the order of `channels`.

        A pure function of arrays: `jax.jit`, `jax.grad` and `jax.vmap` go through it. `key` is for models that draw.
        After as many steps as the state has forcings for, frames are NaN. Raises InputError for a model whose frames
        take many network calls, and before `state` was called.
        """
        model = self._stepping()
        window = jax.lax.dynamic_slice_in_dim(state.forcing, state.number, self.task.history + 1)
        after, frame = model.step(state.now, window, key=key)
        held = state.number + self.task.history < len(state.forcing)
        frame, history = (jnp.where(held, values, jnp.nan) for values in (frame, after.history))
        now = State(history, after.valid_time)
        return ForecastState(now, state.forcing, state.number + 1), frame

    @property
    def channels(self) -> tuple[tuple[str, int | None], ...]:
        """Variable and level in hPa of each channel of a frame from `step`."""
        return ChannelLayout.of(self.task.targets, self.task.levels).channels

    @property
    def inputs(self) -> tuple[tuple[str, int | None], ...]:
        """Variable and level of each channel of a state's history."""
        return ChannelLayout.of(self.task.prognostic, self.task.levels).channels

    def grid(self) -> LatLonGrid:
        """The grid of the states that `state` made; nodes run along latitude circles from south to north."""
        if self._built is None:
            raise InputError("no state yet: call model.state(initial, steps) first")
        return self._built[0]

    def _start(self, initial, init_time) -> tuple[Initial, np.datetime64]:
        start = open_initial(initial, self.task, self._system.usual)
        check_grid(self._system, self._checkpoint, start)
        if init_time is None:
            return start, start.default_init()
        chosen = parse_time(init_time) if isinstance(init_time, str) else np.datetime64(init_time, "ns")
        return start, chosen

    def _build(self, start: Initial) -> None:
        static = start.static()
        if self._built is not None and self._built[0] == start.grid and np.array_equal(self._built[1], static):
            return
        assert self._system.build is not None
        self._built = start.grid, static, self._system.build(start.grid, static)

    def _stepping(self):
        self.grid()
        assert self._built is not None
        model = self._built[2]
        if not hasattr(model, "step"):
            raise InputError(f"{self._system.title} draws a frame in many network calls: use model.forecast")
        return model

    def _dataset(
        self, values: np.ndarray, grid: LatLonGrid, init: np.datetime64, step: int, numbers: list[int] | None
    ) -> xr.Dataset:
        """One lead time as labelled fields; the axis of members goes where there are none."""
        layout = ChannelLayout.of(self.task.targets, self.task.levels)
        lead = np.timedelta64(step * self.task.step, "h").astype("timedelta64[ns]")
        coords = {
            "latitude": ("latitude", grid.latitude, {"units": "degrees_north"}),
            "longitude": ("longitude", grid.longitude, {"units": "degrees_east"}),
            "init_time": init,
            "lead_time": lead,
            "valid_time": init + lead,
        }
        if any(level is not None for _, level in layout.channels):
            coords["level"] = ("level", list(self.task.levels), {"units": "hPa"})
        if numbers is not None:
            coords["number"] = ("number", numbers)
        fields = {}
        for name, field in layout.unpack(values, grid).items():
            dims = ("number", *(("level",) if layout.levels(name) else ()), "latitude", "longitude")
            labelled = (dims, field) if numbers is not None else (dims[1:], field[0])
            fields[name] = (*labelled, VARIABLES[name].attributes)
        return xr.Dataset(fields, coords, {"airmass_system": self.name})
