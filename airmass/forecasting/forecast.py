"""Forecast from a checkpoint and an initial state, written to disk frame by frame."""

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
from airmass.data.initial import Initial, open_initial
from airmass.fields.clock import parse_time
from airmass.forecasting.perturbed import perturbed
from airmass.forecasting.pooled import dealt, pooled
from airmass.forecasting.resume import SETTINGS, ResumableOutput, folder_of, require_room
from airmass.forecasting.system import System, check_grid, load_system, with_sampler
from airmass.forecasting.trajectories import Trajectories
from airmass.models.nn.attention_choice import PLAIN, VARIABLE

Progress = Callable[[int, int], None]

SUFFIXES = (".zarr", ".nc")
# Field of the sampler's settings -> option that changes it.
_SAMPLER_OPTIONS = {
    "kind": "--sampler",
    "levels": "--noise-levels",
    "churn": "--churn",
    "memory": "--noise-memory",
    "memory_degrees": "--noise-memory-degrees",
}


def forecast(
    checkpoint: str | Path | Sequence[str | Path],
    initial: str | Path,
    init_times: Sequence[str],
    lead_time: str | None,
    out: str | Path,
    progress: Progress | None = None,
    *,
    statistics: str | Path | None = None,
    config: str | Path | None = None,
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
    say: Callable[[str], None] | None = None,
) -> Path:
    """Forecast from frames of `initial` at each of `init_times`; write a Zarr store or NetCDF file to `out`.

    The dims are (init_time, [number,] lead_time, [level,] latitude, longitude); only ensembles have `number`.
    Several checkpoints are one system, whose members are dealt out to them by number. `init_times` may be empty if
    `initial` has only one initial time. `lead_time` is text such as `10d` or `72h`, by default the system's own.
    Published checkpoints need `statistics` or `config`. `members` (numbered from `first_member`), `seed` and
    `initial_noise` (in place of every draw: see the family's `read_noise`) are for ensembles. `perturb`
    and `perturb_length` (km) perturb the initial states, which makes an ensemble with a deterministic model and a wider
    one with a generative model (see `perturbed`). `levels` are the levels to write, by default all. `sampler`,
    `noise_levels`, `churn`, `noise_memory` and `noise_memory_degrees` replace the checkpoint's sampler settings
    (`diffusion.noise_levels.SamplerSettings`). `progress` gets (frames done, all frames), `say` remarks.

    A Zarr store is written beside `out` and renamed when complete (see `resume`). The same call resumes a stopped
    forecast, bit for bit: from the last frames on disk if they contain everything that a step reads, else from the
    initial state. With `add`, missing members are added to a finished store. Raises InputError, before anything is
    compiled or written, for inputs that do not fit together, missing or invalid initial frames, and a full disk.
    """
    out = local_path(out, "output")
    _check_out(out, add)
    refuse_inside(out, initial)
    keep_freed_memory()
    keep_compiled()
    system, checkpoint = _loaded(checkpoint, statistics, precision, memory_limit, config)
    system = system if perturb is None else perturbed(system, perturb, perturb_length)
    task = system.task
    sampling: dict[str, Any] = {"kind": sampler, "levels": noise_levels, "churn": churn}
    sampling |= {"memory": noise_memory, "memory_degrees": noise_memory_degrees}
    given: dict[str, Any] = {"--seed": seed, "--initial-noise": initial_noise, "--first-member": first_member or None}
    given |= {"--add": add or None} | {_SAMPLER_OPTIONS[name]: value for name, value in sampling.items()}
    numbers = _numbers(system, checkpoint, members, first_member, given)
    if initial_noise is not None and noise_memory:
        raise InputError(f"--initial-noise fixes the noise, so --noise-memory {noise_memory:g} has no effect")
    if changes := {name: value for name, value in sampling.items() if value is not None}:
        system = with_sampler(system, changes)
    steps = _steps(lead_time or system.lead_time, task.step)
    levels = chosen_levels(task, levels)
    start = open_initial(initial, task, system.usual)
    check_grid(system, checkpoint, start)
    inits = _inits(init_times, start)
    static = start.static()
    noise = None
    if initial_noise is not None and numbers is not None and system.read_noise is not None:
        noise = system.read_noise(initial_noise, start.grid, numbers, steps)
    if say and numbers is not None and (words := dealt(system, numbers)):
        say(words)
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

    def writer(path: Path, resume: bool = False) -> ForecastWriter:
        return ForecastWriter(path, task, start.grid, inits, steps, attributes, numbers, levels, resume)

    trajectories = Trajectories(runner, start, inits, steps, numbers or range(1))
    wrote = _frame_counter(progress, shape[0] * shape[1] * steps, left)
    if output is not None:
        _write_zarr(output, writer, trajectories, wrote)
        return out
    with new_output(out) as aside, writer(aside) as file:
        trajectories.write(file, None, wrote)
    return out


def _loaded(
    checkpoints: str | Path | Sequence[str | Path],
    statistics: str | Path | None,
    precision: str,
    memory_limit: float | None,
    config: str | Path | None,
) -> tuple[System, str]:
    """The system of one checkpoint or of several, and the checkpoints' names in messages."""
    paths = [checkpoints] if isinstance(checkpoints, str | Path) else list(checkpoints)
    if not paths:
        raise InputError("no checkpoint, expected one or more")
    if len({Path(path) for path in paths}) < len(paths):
        raise InputError(f"checkpoints {', '.join(map(str, paths))}: each may be given once")
    count = len(paths)
    systems = {Path(path): load_system(path, statistics, precision, memory_limit, config, count) for path in paths}
    name = str(paths[0]) if count == 1 else f"{paths[0]} and {count - 1} more"
    return next(iter(systems.values())) if count == 1 else pooled(systems), name


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


def _settings(
    system: System, start: Initial, inits: np.ndarray, static: Float[np.ndarray, "node static"]
) -> dict[str, Any]:
    """Everything besides the options that determines a forecast's bits.

    All initial frames are read here, which also checks them, and read again when needed: together they may not fit in
    memory.
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


def _frame_counter(progress: Progress | None, total: int, left: int) -> Callable[[], None]:
    """Make a function that counts written frames. Frames that a resumed run computes again are not counted twice."""
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
        raise InputError(f"{out}: members can be added only to a Zarr store")
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
    """Members to run; None for a deterministic system. Raises InputError if one is given an option for ensembles."""
    if members is not None and members < 1:
        raise InputError(f"members is {members}, expected 1 or more")
    if first < 0:
        raise InputError(f"first member is {first}, expected 0 or more")
    if system.most_members is not None:
        numbers = range(first, first + (members or system.most_members))
        if numbers.stop > system.most_members:
            raise InputError(
                f"{checkpoint}: {system.title} are deterministic and make {system.most_members} different members, "
                f"but --members asks for number {numbers.stop - 1}, counted from 0; more need --perturb"
            )
        drawing = {name: value for name, value in given.items() if name not in ("--first-member", "--add")}
        _refuse_without_effect(system, checkpoint, drawing)
        return numbers
    if system.ensemble:
        return range(first, first + (members or len(system.models)))
    _refuse_without_effect(system, checkpoint, {"--members": members if members != 1 else None, **given})
    return None


def _refuse_without_effect(system: System, checkpoint, given: Mapping[str, Any]) -> None:
    """Raise InputError for an option of random members, which a deterministic system has not."""
    for option, value in given.items():
        if value is not None:
            raise InputError(f"{checkpoint}: {system.title} is deterministic: {option} {value} has no effect")


def _digest(arrays: Iterable[np.ndarray]) -> str:
    """Hash of all values, 16 hex digits."""
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
    if len(system.models) > 1:
        attributes["airmass_models"] = ", ".join(system.models)
    if system.ensemble:
        attributes["airmass_seed"] = settings["seed"]
    return attributes | {f"airmass_{name}": value for name, value in system.about.items()}
