"""From a checkpoint and an initial state to a forecast on disk, frame by frame."""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np

import airmass
from airmass.compile_cache import keep_compiled
from airmass.data.initial import Initial, open_initial, read_noise
from airmass.errors import InputError
from airmass.files import new_output, refuse_existing
from airmass.forecast_writer import ForecastWriter, chosen_levels
from airmass.memory import keep_freed_memory
from airmass.store import minute
from airmass.system import System, load_system

_Item = TypeVar("_Item")
SUFFIXES = (".zarr", ".nc")


def forecast(
    checkpoint: str | Path,
    initial: str | Path,
    init_times: Sequence[str],
    lead_time: str | None,
    out: str | Path,
    progress: Callable[[int, int], None] | None = None,
    *,
    statistics: str | Path | None = None,
    members: int | None = None,
    seed: int | None = None,
    initial_noise: str | Path | None = None,
    levels: Sequence[int] = (),
    precision: str = "float32",
    memory_limit: float | None = None,
) -> Path:
    """Forecast from frames of `initial` at each of `init_times`; write a Zarr store or NetCDF file to `out`.

    The dims are (init_time, [number,] lead_time, [level,] latitude, longitude), `number` for ensembles only. Without
    init times there must be one that is meant; `lead_time` is such as `10d` or `72h`, by default the system's own.
    `statistics` are for published checkpoints; `members`, `seed` and `initial_noise` (unit variance, used by every
    member) for ensembles; `levels` are those written, by default all. `progress` gets (frames done, frames in all).
    Raises InputError, before anything is compiled or written, for what does not fit together, and for absent or broken
    initial frames.
    """
    refuse_existing(out)
    if Path(out).suffix not in SUFFIXES:
        raise InputError(f"{out}: expected a name that ends in {' or '.join(SUFFIXES)}")
    keep_freed_memory()
    keep_compiled()
    system = load_system(checkpoint, statistics, precision, memory_limit)
    task = system.task
    count = _members(system, checkpoint, members, seed, initial_noise)
    steps = _steps(lead_time or system.lead_time, task.step)
    levels = chosen_levels(task, levels)
    start = open_initial(initial, task)
    _check_grid(system, checkpoint, start)
    inits = np.array([read_time(text) for text in init_times] or [start.default_init()])
    if len(set(inits)) < len(inits):
        raise InputError(f"init times {', '.join(init_times)}: each may be given once")
    if np.any(odd := inits != inits.astype("datetime64[h]")):
        raise InputError(f"init time {minute(inits[odd][0])}: expected a whole hour")
    static = start.static()
    for init in inits:
        start.history(init)  # read again when its turn comes: all at once would not fit, and a NaN is refused now
    noise = None if initial_noise is None else read_noise(initial_noise, task, start.grid)
    runner = system.runner(start.grid, static, seed or 0, noise)
    attributes = _attributes(system, start) | ({"airmass_seed": seed or 0} if system.ensemble else {})
    frames_in_all = len(inits) * steps * (count or 1)
    done = 0
    with (
        new_output(out) as aside,
        ForecastWriter(aside, task, start.grid, inits, steps, attributes, count, levels) as writer,
    ):
        for row, init in enumerate(inits):
            lead_times = islice(runner.frames(start.history(init), init, range(count or 1)), steps)
            numbered = ((step, n, frame) for step, frames in enumerate(lead_times) for n, frame in enumerate(frames))
            for step, number, frame in _one_ahead(numbered):
                writer.write(row, step, np.asarray(frame), number)
                done += 1
                if progress:
                    progress(done, frames_in_all)
    return Path(out)


def _one_ahead(items: Iterator[_Item]) -> Iterator[_Item]:
    """The same items, each given out once the next is asked for, which JAX computes while this one is written."""
    held = next(items)
    for item in items:
        yield held
        held = item
    yield held


def read_time(text: str) -> np.datetime64:
    """A UTC time such as 2001-01-05, 2001-01-05T06 or 2001-01-05T06:00Z."""
    try:
        return np.datetime64(text.removesuffix("Z"), "ns")
    except ValueError:
        raise InputError(f"time {text!r}: expected one such as 2001-01-05T06") from None


def read_hours(text: str) -> int:
    """Hours in a duration such as `10d`, `72h` or `5d12h`."""
    match = re.fullmatch(r"(?:(\d+)d)?(?:(\d+)h)?", text.strip())
    if not match or not text.strip():
        raise InputError(f"lead time {text!r}: expected one such as 10d, 72h or 5d12h")
    return 24 * int(match[1] or 0) + int(match[2] or 0)


def _steps(lead_time: str, step: int) -> int:
    hours = read_hours(lead_time)
    if hours < step or hours % step:
        raise InputError(f"lead time {lead_time}: expected a multiple of the model's step of {step} h")
    return hours // step


def _members(system: System, checkpoint, members: int | None, seed: int | None, noise) -> int | None:
    """How many members to run; None for a system that knows one future."""
    if members is not None and members < 1:
        raise InputError(f"members is {members}, expected 1 or more")
    if system.ensemble:
        return members or 1
    asked = {"--members": members if members != 1 else None, "--seed": seed, "--initial-noise": noise}
    for option, value in asked.items():
        if value is not None:
            raise InputError(f"{checkpoint}: {system.title} draws nothing, so {option} {value} means nothing to it")
    return None


def _check_grid(system: System, checkpoint: str | Path, start: Initial) -> None:
    grid = start.grid
    if system.grid is not None and grid != system.grid:
        raise InputError(f"{checkpoint}: was trained on the grid {system.grid}, but {start.path} holds {grid}")
    spacing = 360 / len(grid.longitude), grid.latitude[1] - grid.latitude[0]
    if system.spacing and not np.allclose(spacing, system.spacing, rtol=1e-3):
        raise InputError(
            f"{checkpoint}: was trained at {system.spacing:g} degrees, but {start.path} holds {grid}, which is "
            f"{spacing[1]:g} x {spacing[0]:g} degrees"
        )


def _attributes(system: System, start: Initial) -> dict[str, str | int]:
    attributes: dict[str, str | int] = {
        "title": "Forecast by airmass",
        "Conventions": "CF-1.11",
        "source": f"airmass {airmass.__version__}, {system.title}",
        "airmass_system": system.name,
        "airmass_initial": str(start.path),
        "airmass_initial_fingerprint": start.fingerprint,
    }
    return attributes | {f"airmass_{name}": value for name, value in system.about.items()}
