"""Trained model for notebooks: frames as `xr.Dataset`, and a step that can be compiled and differentiated."""

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
from airmass.data.stored_forcing import open_stored_forcing
from airmass.fields.channels import ChannelLayout
from airmass.fields.clock import parse_time
from airmass.fields.forcing import Stored
from airmass.fields.forcing import forcings as values_at
from airmass.fields.grid import LatLonGrid
from airmass.fields.task import Task
from airmass.fields.variables import VARIABLES
from airmass.forecasting.system import check_grid, load_system
from airmass.models.runner import whole_hours
from airmass.models.state import State

_HOUR = np.timedelta64(1, "h")


def load(
    checkpoint: str | Path,
    *,
    statistics: str | Path | None = None,
    config: str | Path | None = None,
    precision: str = "float32",
) -> "ForecastModel":
    """Load a model from a run's folder, a model file of airmass, or a published `.npz`.

    "demo" is a GraphCast of the recipe `demo` (64 x 32 grid, steps of 6 h), which is in the package, unless there is a
    file or a run's folder of that name.
    A published file needs its `statistics` folder, that of WeatherNext 2 its configuration file `config` instead.
    `precision` of the network's arithmetic is "float32" or "bfloat16". Raises InputError for a path that is not a
    checkpoint, and for an inconsistent one.
    """
    return ForecastModel(checkpoint, statistics, precision, config)


class ForecastState(eqx.Module):
    """State of a running forecast: the last frames, the forcings of all steps, and the number of steps taken."""

    now: State
    forcing: Float[Array, "time node forcing"]
    number: Int[Array, ""]


class ForecastModel:
    """Trained model that makes forecasts. Create it with `airmass.load`.

    `name` is the name of its family; `task` has its input and output variables, its levels, and its step in hours.
    """

    def __init__(
        self,
        checkpoint: str | Path,
        statistics: str | Path | None = None,
        precision: str = "float32",
        config: str | Path | None = None,
    ):
        self._system = load_system(checkpoint, statistics, precision, config=config)
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
        """True for a model whose members differ."""
        return self._system.ensemble

    def forecast(
        self,
        initial: xr.Dataset | str | Path,
        steps: int,
        *,
        init_time: str | np.datetime64 | None = None,
        members: int | Sequence[int] | None = None,
        seed: int = 0,
        forcings: xr.Dataset | str | Path | None = None,
    ) -> Iterator[xr.Dataset]:
        """Yield `steps` frames, each computed when it is requested.

        `initial` is a store, a file or a dataset in the layout of `airmass.open_store` with the last frames up to the
        initial time; `init_time` (UTC) chooses one if there are several. For an ensemble, `members` is the number of
        members or a list of their numbers; each depends only on `seed`, the initial time and its number, and frames
        have a dimension `number`. Forcings that come from a store are read from `forcings`, by default from
        `initial`. Fields are in the units of `fields.variables.VARIABLES`, with coordinates
        `init_time`, `lead_time` and `valid_time`. Raises InputError for inputs that do not fit the model.
        """
        if steps < 1:
            raise InputError(f"steps is {steps}, expected 1 or more")
        if members is not None and not self.ensemble:
            raise InputError(f"{self._system.title} is deterministic: members has no effect")
        start, init = self._start(initial, init_time)
        numbers = list(range(members)) if isinstance(members, int) else list(members or [0])
        stored = self._stored(forcings if forcings is not None else initial, start)
        runner = self._system.runner(start.grid, start.static(), seed, stored=stored)
        frames = islice(runner.frames(start.history(init), init, numbers), steps)
        labelled = numbers if self.ensemble else None
        return (
            self._dataset(np.stack([np.asarray(frame) for frame in by_member]), start.grid, init, step, labelled)
            for step, by_member in enumerate(frames, 1)
        )

    def state(
        self,
        initial: xr.Dataset | str | Path,
        steps: int,
        *,
        init_time: str | np.datetime64 | None = None,
        forcings: xr.Dataset | str | Path | None = None,
    ) -> ForecastState:
        """Initial state for `step`, with the forcings of `steps` steps."""
        start, init = self._start(initial, init_time)
        self._build(start)
        times = init + np.arange(1 - self.task.history, steps + 1) * self.task.step * _HOUR
        state = State(jnp.asarray(start.history(init)), jnp.int32(whole_hours(init)))
        stored = self._stored(forcings if forcings is not None else initial, start)
        table = jnp.asarray(values_at(self.task.forcing, times, start.grid, stored=stored))
        return ForecastState(state, table, jnp.int32(0))

    def step(
        self, state: ForecastState, key: PRNGKeyArray | None = None
    ) -> tuple[ForecastState, Float[Array, "node target"]]:
        """Advance one step; return the new state and its frame in physical units, with channels in the order of
        `channels`.

        A pure function of arrays, for `jax.jit`, `jax.grad` and `jax.vmap`. `key` is the random key of a generative
        model. Beyond the steps that the state has forcings for, frames are NaN. Raises InputError for a model that
        needs many network calls per frame, and if `state` has not been called.
        """
        model = self._stepping()
        if key is None and self.ensemble:
            raise InputError(f"{self._system.title} draws its members: step needs a random key")
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
        """Grid of the states made by `state`; nodes run along latitude circles, from south to north."""
        if self._built is None:
            raise InputError("no state yet: call model.state(initial, steps) first")
        return self._built[0]

    def _stored(self, source, start: Initial) -> Stored | None:
        return open_stored_forcing(source, self.task, start.grid, self._system.typical_values)

    def _start(self, initial, init_time) -> tuple[Initial, np.datetime64]:
        start = open_initial(initial, self.task, self._system.typical_values)
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
            raise InputError(f"{self._system.title} needs many network calls per frame: use model.forecast")
        return model

    def _dataset(
        self, values: np.ndarray, grid: LatLonGrid, init: np.datetime64, step: int, numbers: list[int] | None
    ) -> xr.Dataset:
        """Dataset of one lead time, without the member axis for a deterministic model."""
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
