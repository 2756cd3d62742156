"""Forecast from a checkpoint and an initial state, written to disk frame by frame."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

import airmass
from airmass.core.cache import keep_compiled
from airmass.core.errors import InputError
from airmass.core.files import new_output, refuse_existing, refuse_inside
from airmass.core.memory import keep_freed_memory
from airmass.data.departure import Departure, departure
from airmass.data.formats.forecast_reader import REMARKS, read_hours
from airmass.data.formats.forecast_writer import ForecastWriter, bytes_a_frame, chosen_levels
from airmass.data.formats.layout import minute
from airmass.data.initial import Initial, open_initial
from airmass.data.stored_forcing import forced_times, open_stored_forcing
from airmass.fields.channels import ChannelLayout
from airmass.fields.clock import parse_time
from airmass.fields.forcing import Stored
from airmass.forecasting.checkpoints.location import checkpoint_file, is_shipped
from airmass.forecasting.perturbed import perturbed
from airmass.forecasting.pooled import dealt, pooled
from airmass.forecasting.request import ForecastRequest
from airmass.forecasting.resume import SETTINGS, ResumableOutput, folder_of, require_room
from airmass.forecasting.system import ForecastSystem, check_grid, load_system, with_sampler
from airmass.forecasting.trajectories import Trajectories
from airmass.models.nn.attention_choice import PLAIN, VARIABLE

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class ResolvedForecast:
    """A forecast whose inputs are open and checked, and whose options all have values.

    `request` has the lead time, members, seed and levels that it left open. `numbers` are the members, None for a
    deterministic system.
    """

    request: ForecastRequest
    system: ForecastSystem
    start: Initial
    inits: np.ndarray
    steps: int
    numbers: range | None
    static: Float[np.ndarray, "node static"]
    noise: Float[np.ndarray, "..."] | None
    stored: Stored | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of initial times and of members."""
        return len(self.inits), len(self.numbers or range(1))

    def settings(self) -> dict[str, Any]:
        """Everything that determines the bits of this forecast."""
        system = self.system
        attention = {} if system.attention == PLAIN else {VARIABLE: system.attention}
        noise = {} if self.noise is None else {"initial_noise": _digest([self.noise])}
        forced = {} if self.stored is None else {"forcings": self._digest_of_forcings()}
        return {
            **attention,
            "airmass": airmass.__version__,
            "jax": f"{jax.__version__} on {jax.local_devices()[0].device_kind}",
            "checkpoint": system.fingerprint,
            "initial frames": self._initial_frames[0],
            "init_times": [minute(init) for init in self.inits],
            **self.request.record(system.ensemble),
            **noise,
            **forced,
        }

    def _digest_of_forcings(self) -> str:
        """A hash of all stored forcings, which are read here, and so checked, and again when needed."""
        assert self.stored is not None
        return _digest(map(self.stored, forced_times(self.system.task, self.inits, self.steps)))

    @property
    def farthest(self) -> Departure | None:
        """The initial state that is farthest from the climate of the system's statistics, None without statistics."""
        return max(self._initial_frames[1], key=lambda one: one.factor, default=None)

    @cached_property
    def _initial_frames(self) -> tuple[str, list[Departure]]:
        """A hash of all initial frames, and the departure of each initial time.

        All are read here, which also checks them, and read again when needed: together they may not fit in memory.
        """
        start, usual, found = self.start, self.system.typical_values or {}, []
        channels = ChannelLayout.of(start.task.prognostic, start.task.levels).channels

        def histories() -> Iterator[np.ndarray]:
            for init in self.inits:
                history = start.history(init)
                found.append(departure(history[-1], channels, usual))
                yield history

        digest = _digest(chain((start.grid.latitude, start.grid.longitude, self.static), histories()))
        return digest, [one for one in found if one is not None]

    @property
    def remarks(self) -> list[str]:
        """Sentences on initial states that the model has not learned from."""
        found = [self.start.repeated] if self.start.repeated else []
        far = self.farthest
        return [*found, *([str(far)] if far is not None and far.outside else [])]


def forecast(
    request: ForecastRequest, progress: Progress | None = None, say: Callable[[str], None] | None = None
) -> Path:
    """Run a forecast; write a Zarr store or NetCDF file to `request.out`, and return its path.

    The dims are (init_time, [number,] lead_time, [level,] latitude, longitude); only ensembles have `number`.
    `progress` gets (frames done, all frames), `say` remarks in words.

    A Zarr store is written beside its final path and renamed when complete (see `resume`). The same request resumes a
    stopped forecast, bit for bit: from the last frames on disk if they contain everything that a step reads, else from
    the initial state. With `add`, missing members are added to a finished store. Raises InputError, before anything is
    compiled or written, for inputs that do not fit together, missing or invalid initial frames, and a full disk.
    """
    _check_output(request)
    keep_freed_memory()
    keep_compiled()
    plan = resolve(request)
    if say and plan.numbers is not None and (words := dealt(plan.system, plan.numbers)):
        say(words)
    if say:
        for name in filter(is_shipped, request.checkpoints):
            say(f"note: {name} is the model in the package: {checkpoint_file(name)}")
        for remark in plan.remarks:
            say(f"note: the initial state: {remark}")
    return _run(plan, progress)


def resolve(request: ForecastRequest) -> ResolvedForecast:
    """Open and check the inputs of a forecast, and give a value to each option that was left open."""
    system = _system(request)
    task = system.task
    steps = _steps(request.lead_time or system.lead_time, task.step)
    levels = chosen_levels(task, request.levels)
    start = open_initial(request.initial, task, system.typical_values)
    check_grid(system, request.checkpoint_name, start)
    inits = _inits(request.init_time, start)
    numbers = request.numbers(len(system.models)) if system.ensemble else None
    noise = None
    if request.initial_noise is not None and numbers is not None and system.read_noise is not None:
        noise = system.read_noise(request.initial_noise, start.grid, numbers, steps)
    stored = open_stored_forcing(request.forcings or request.initial, task, start.grid, system.typical_values)
    if request.forcings is not None and stored is None:
        raise InputError(f"--forcings {request.forcings}: {system.title} reads none from a store")
    if stored is not None:
        stored.require(forced_times(task, inits, steps))
    lead_time, members = f"{steps * task.step}h", len(numbers or range(1))
    request = replace(request, lead_time=lead_time, members=members, seed=request.seed or 0, levels=tuple(levels))
    return ResolvedForecast(request, system, start, inits, steps, numbers, start.static(), noise, stored)


def _system(request: ForecastRequest) -> ForecastSystem:
    """The system of a request's checkpoints, perturbed and with another sampler where the request says so."""
    paths = request.checkpoints
    given = request.statistics, request.precision, request.memory_limit, request.config, len(paths), request.noise_scale
    systems = {path: load_system(path, *given) for path in paths}
    system = systems[paths[0]] if len(paths) == 1 else pooled(systems)
    if request.perturb is not None:
        system = perturbed(system, request.perturb, request.perturb_length)
    if system.most_members is not None:
        request.require_members(system.most_members, f"{request.checkpoint_name}: {system.title}")
    elif not system.ensemble:
        request.refuse_ensemble_options(f"{request.checkpoint_name}: {system.title}")
    changes = request.sampler_changes
    return with_sampler(system, changes) if changes else system


def _run(plan: ResolvedForecast, progress: Progress | None) -> Path:
    """Compute and write the frames that are not on disk yet."""
    request, system, grid = plan.request, plan.system, plan.start.grid
    out, settings, (rows, members) = request.output, plan.settings(), plan.shape
    output = ResumableOutput(out, settings, plan.shape, plan.steps, request.add) if request.resumable else None
    total = rows * members * plan.steps
    left = total - (output.done if output else 0)
    require_room(out, left * bytes_a_frame(system.task, grid, request.levels), f"{left} frames")
    runner = system.runner(grid, plan.static, request.seed or 0, plan.noise, stored=plan.stored)
    attributes = _attributes(plan, settings)

    def writer(path: Path, resume: bool = False) -> ForecastWriter:
        return ForecastWriter(
            path, system.task, grid, plan.inits, plan.steps, attributes, plan.numbers, request.levels, resume
        )

    trajectories = Trajectories(runner, plan.start, plan.inits, plan.steps, plan.numbers or range(1))
    if progress:
        progress(total - left, total)
    wrote = _frame_counter(progress, total, left)
    if output is not None:
        _write_zarr(output, writer, trajectories, wrote)
        return out
    with new_output(out) as aside, writer(aside) as file:
        trajectories.write(file, None, wrote)
    return out


def _write_zarr(
    output: ResumableOutput, writer: Callable[[Path, bool], ForecastWriter], trajectories: Trajectories, wrote: Callable
) -> None:
    """Write the missing frames of a Zarr store beside its final path, then rename it."""
    with output.opened():
        with writer(output.store, output.begun) as file:
            if not output.begun:
                output.begin(file.layout.variables)
            trajectories.write(file, output, wrote)
        output.finish()


def _frame_counter(progress: Progress | None, total: int, left: int) -> Callable[[], None]:
    """Make a function that counts written frames. Frames that a resumed run computes again are not counted twice."""
    done = total - left

    def wrote() -> None:
        nonlocal done
        done = min(done + 1, total)
        if progress:
            progress(done, total)

    return wrote


def _check_output(request: ForecastRequest) -> None:
    if not request.add and not folder_of(request.output).exists():
        refuse_existing(request.output)
    refuse_inside(request.output, request.initial, *([request.forcings] if request.forcings else []))


def _inits(texts: Sequence[str], start: Initial) -> np.ndarray:
    inits = np.array([parse_time(text) for text in texts] or [start.default_init()])
    if len(set(inits)) < len(inits):
        raise InputError(f"init times {', '.join(texts)}: each may be given once")
    if np.any(odd := inits != inits.astype("datetime64[h]")):
        raise InputError(f"init time {minute(inits[odd][0])}: expected a whole hour")
    return inits


def _steps(lead_time: str, step: int) -> int:
    hours = read_hours(lead_time)
    if hours < step or hours % step:
        raise InputError(f"lead time {lead_time}: expected a multiple of the model's step of {step} h")
    return hours // step


def _digest(arrays: Iterable[np.ndarray]) -> str:
    """Hash of all values, 16 hex digits."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]


def _attributes(plan: ResolvedForecast, settings: Mapping[str, Any]) -> dict[str, str | int | float]:
    system, start, far = plan.system, plan.start, plan.farthest
    attributes: dict[str, str | int | float] = {
        "title": "Forecast by airmass",
        "Conventions": "CF-1.11",
        "source": f"airmass {airmass.__version__}, {system.title}",
        "airmass_system": system.name,
        "airmass_initial": str(start.path),
        "airmass_initial_fingerprint": start.fingerprint,
        SETTINGS: json.dumps(settings),
    }
    if far is not None:
        attributes |= {"airmass_departure": str(far), "airmass_departure_spreads": far.spreads}
    if plan.remarks:
        attributes[REMARKS] = "; ".join(plan.remarks)
    if len(system.models) > 1:
        attributes["airmass_models"] = ", ".join(system.models)
    if system.ensemble:
        attributes["airmass_seed"] = settings["seed"]
    return attributes | {f"airmass_{name}": value for name, value in system.about.items()}
