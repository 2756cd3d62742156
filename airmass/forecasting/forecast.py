"""From a checkpoint and an initial state to a forecast on disk, frame by frame."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
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
from airmass.core.place import local_path
from airmass.data.formats.forecast_reader import read_hours
from airmass.data.formats.forecast_writer import ForecastWriter, bytes_a_frame, chosen_levels
from airmass.data.formats.store import minute
from airmass.data.initial import Initial, open_initial, read_noise
from airmass.fields.clock import parse_time
from airmass.forecasting.perturbed import perturbed
from airmass.forecasting.resume import SETTINGS, ResumableOutput, folder_of, require_room
from airmass.forecasting.system import System, check_grid, load_system, with_sampler
from airmass.forecasting.trajectories import Trajectories
from airmass.models.nn.attention_choice import PLAIN, VARIABLE

Progress = Callable[[int, int], None]

SUFFIXES = (".zarr", ".nc")
# Fields of a sampler's settings, and the options that change them.
_SAMPLER_OPTIONS = {
    "kind": "--sampler",
    "levels": "--noise-levels",
    "churn": "--churn",
    "memory": "--noise-memory",
    "memory_degrees": "--noise-memory-degrees",
}


def forecast(
    checkpoint: str | Path,
    initial: str | Path,
    init_times: Sequence[str],
    lead_time: str | None,
    out: str | Path,
    progress: Progress | None = None,
    *,
    statistics: str | Path | None = None,
    members: int | None = None,
    first_member: int = 0,
    add: bool = False,
    seed: int | None = None,
    initial_noise: str | Path | None = None,
    perturb: float | None = None,
    perturb_length: float = 1200.0,
    levels: Sequence[int] = (),
    precision: str = "float32",
    memory_limit: float | None = None,
    sampler: str | None = None,
    noise_levels: int | None = None,
    churn: float | None = None,
    noise_memory: float | None = None,
    noise_memory_degrees: int | None = None,
) -> Path:
    """Forecast from frames of `initial` at each of `init_times`; write a Zarr store or NetCDF file to `out`.

    The dims are (init_time, [number,] lead_time, [level,] latitude, longitude), `number` for ensembles only. Without
    init times there must be one that is meant; `lead_time` is such as `10d` or `72h`, by default the system's own.
    `statistics` are for published checkpoints; `members` (numbered from `first_member`), `seed` and `initial_noise`
    (unit variance, used by every member) for ensembles; `perturb` and `perturb_length` (km) make an ensemble of a model
    that draws nothing and a wider one of a model that draws (see `perturbed`); `levels` are those written, by default
    all. `sampler` (one of `diffusion.schedule.KINDS`), `noise_levels`, `churn`, `noise_memory` and
    `noise_memory_degrees` are in place of what a checkpoint that samples says (`diffusion.schedule.SamplerSettings`).
    `progress` gets (frames done, frames in all).

    A Zarr store grows beside its place (see `resume`), and the same call goes on with one that was stopped, to the
    same bits: from the last frames of those under way if they hold all that a step reads, else from their start. With
    `add`, a finished store gains the members that it lacks. Raises InputError, before anything is compiled or written,
    for what does not fit together, for absent or broken initial frames, and for a disk without room.
    """
    out = local_path(out, "output")
    _check_out(out, add)
    refuse_inside(out, initial)
    keep_freed_memory()
    keep_compiled()
    system = load_system(checkpoint, statistics, precision, memory_limit)
    system = system if perturb is None else perturbed(system, perturb, perturb_length)
    task = system.task
    sampling: dict[str, Any] = {"kind": sampler, "levels": noise_levels, "churn": churn}
    sampling |= {"memory": noise_memory, "memory_degrees": noise_memory_degrees}
    given: dict[str, Any] = {"--seed": seed, "--initial-noise": initial_noise, "--first-member": first_member or None}
    given |= {"--add": add or None} | {_SAMPLER_OPTIONS[name]: value for name, value in sampling.items()}
    numbers = _numbers(system, checkpoint, members, first_member, given)
    if initial_noise is not None and noise_memory:
        raise InputError(f"--initial-noise makes all draws one, so --noise-memory {noise_memory:g} means nothing")
    if changes := {name: value for name, value in sampling.items() if value is not None}:
        system = with_sampler(system, changes)
    steps = _steps(lead_time or system.lead_time, task.step)
    levels = chosen_levels(task, levels)
    start = open_initial(initial, task, system.usual)
    check_grid(system, checkpoint, start)
    inits = _inits(init_times, start)
    static = start.static()
    noise = None if initial_noise is None else read_noise(initial_noise, task, start.grid)
    own: dict[str, Any] = {"seed": seed or 0, "initial_noise": None if noise is None else _digest([noise])}
    own |= {"perturb": perturb, "perturb_length": perturb and perturb_length}
    own |= {"sampler": changes} if changes else {}
    made_with = {"lead_time": f"{steps * task.step}h", "levels": list(levels), "precision": precision}
    settings = _settings(system, start, inits, static) | made_with
    if numbers is not None:
        settings |= {"members": len(numbers), "first_member": numbers.start} | own
    shape = len(inits), len(numbers or range(1))
    output = ResumableOutput(out, settings, shape, steps, add) if out.suffix == ".zarr" else None
    left = shape[0] * shape[1] * steps - (output.done if output else 0)
    require_room(out, left * bytes_a_frame(task, start.grid, levels), f"{left} frames")
    runner = system.runner(start.grid, static, seed or 0, noise)
    attributes = _attributes(system, start, settings)

    def writer(path: Path, going_on: bool = False) -> ForecastWriter:
        return ForecastWriter(path, task, start.grid, inits, steps, attributes, numbers, levels, going_on)

    trajectories = Trajectories(runner, start, inits, steps, numbers or range(1))
    wrote = _telling(progress, shape[0] * shape[1] * steps, left)
    if output is not None:
        _grow(output, writer, trajectories, wrote)
        return out
    with new_output(out) as aside, writer(aside) as file:
        trajectories.write(file, None, wrote)
    return out


def _grow(
    output: ResumableOutput, writer: Callable[[Path, bool], ForecastWriter], trajectories: Trajectories, wrote: Callable
) -> None:
    """All that a Zarr store lacks, beside its place, then put there."""
    with output.opened():
        with writer(output.store, output.begun) as file:
            if not output.begun:
                output.begin(file.layout.variables)
            trajectories.write(file, output, wrote)
        output.finish()


def _settings(
    system: System, start: Initial, inits: np.ndarray, static: Float[np.ndarray, "node static"]
) -> dict[str, Any]:
    """What decides a forecast's bits besides its options.

    Every initial frame is read for it, and so checked, and read again when its turn comes: all at once would not fit.
    """
    frames = _digest(chain((start.grid.latitude, start.grid.longitude, static), map(start.history, inits)))
    attention = {} if system.attention == PLAIN else {VARIABLE: system.attention}
    return attention | {
        "airmass": airmass.__version__,
        "jax": f"{jax.__version__} on {jax.local_devices()[0].device_kind}",
        "checkpoint": system.fingerprint,
        "initial frames": frames,
        "init_times": [minute(init) for init in inits],
    }


def _telling(progress: Progress | None, total: int, left: int) -> Callable[[], None]:
    """Counts frames; those that a stopped run computes again, because it did not write all levels, not twice."""
    done = total - left

    def wrote() -> None:
        nonlocal done
        done = min(done + 1, total)
        if progress:
            progress(done, total)

    return wrote


def _check_out(out: Path, add: bool) -> None:
    if out.suffix not in SUFFIXES:
        raise InputError(f"{out}: expected a name that ends in {' or '.join(SUFFIXES)}")
    if add and out.suffix != ".zarr":
        raise InputError(f"{out}: members can be added to a Zarr store only")
    if not add and not folder_of(out).exists():
        refuse_existing(out)


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


def _numbers(system: System, checkpoint, members: int | None, first: int, given: Mapping[str, Any]) -> range | None:
    """The members to run; None for a system that knows one future, for which none of the options `given` may be."""
    if members is not None and members < 1:
        raise InputError(f"members is {members}, expected 1 or more")
    if first < 0:
        raise InputError(f"first member is {first}, expected 0 or more")
    if system.ensemble:
        return range(first, first + (members or 1))
    for option, value in {"--members": members if members != 1 else None, **given}.items():
        if value is not None:
            raise InputError(f"{checkpoint}: {system.title} draws nothing, so {option} {value} means nothing to it")
    return None


def _digest(arrays: Iterable[np.ndarray]) -> str:
    """16 hex digits of all values."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]


def _attributes(system: System, start: Initial, settings: Mapping[str, Any]) -> dict[str, str | int | float]:
    attributes: dict[str, str | int | float] = {
        "title": "Forecast by airmass",
        "Conventions": "CF-1.11",
        "source": f"airmass {airmass.__version__}, {system.title}",
        "airmass_system": system.name,
        "airmass_initial": str(start.path),
        "airmass_initial_fingerprint": start.fingerprint,
        SETTINGS: json.dumps(settings),
    }
    if system.ensemble:
        attributes["airmass_seed"] = settings["seed"]
    return attributes | {f"airmass_{name}": value for name, value in system.about.items()}
