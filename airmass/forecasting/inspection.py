"""Inspection of a checkpoint: kind, inputs, outputs, settings, and estimated memory and time of a forecast here."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import jax
from rich.table import Table

from airmass.core.errors import InputError
from airmass.core.tables import duration, gigabytes, table
from airmass.data.formats.forecast_reader import read_hours
from airmass.data.initial import open_initial
from airmass.fields.task import Task
from airmass.fields.variables import COMPUTED
from airmass.forecasting.checkpoints.base import Checkpoint
from airmass.forecasting.checkpoints.read import read_checkpoint
from airmass.models.family import ModelFamily
from airmass.models.footprint import Footprint, available_memory, footprint, matmul_rate, on_accelerator
from airmass.models.settings import ModelSettings

_ASSUMED = (181, 360)


@dataclass(frozen=True)
class Inspection:
    """Facts about a checkpoint; `needed` (memory, arithmetic) and `rate` (flop/s) are for this machine."""

    source: Path
    about: Mapping[str, str]
    family: ModelFamily
    task: Task
    settings: ModelSettings
    license: str
    shape: tuple[int, int]
    needed: Footprint
    rate: float
    members: int


def inspection(
    checkpoint: str | Path, grid: str | None, precision: str, members: int, config: str | Path | None = None
) -> Inspection:
    """Read a checkpoint and measure the speed of matrix products. Raises InputError for an inconsistent checkpoint."""
    held = read_checkpoint(checkpoint, config)
    source = held.path
    family, task, settings = held.family, held.task, held.settings
    if members < 1 or (members > 1 and not family.ensemble):
        expected = "1 or more" if family.ensemble else f"1 for {family.title}"
        raise InputError(f"{source}: members is {members}, expected {expected}")
    shape, which = _shape(held, grid, source)
    evaluations = held.sampler.evaluations if held.sampler else 1
    together = min(members, family.most_together)
    needed = footprint(task, settings, shape, precision, together, evaluations, on_accelerator())
    about = _about(held) | {"grid": f"{shape[1]} x {shape[0]} ({which})"}
    if attention := family.attention(settings, precision).report:
        about |= {"attention": attention}
    rate = matmul_rate(precision)
    return Inspection(source, about, family, task, settings, held.license, shape, needed, rate, members)


def tables(inspected: Inspection, boxed: bool) -> Iterator[Table]:
    """Yield tables to print: checkpoint, inputs and outputs, settings, memory by part, time."""
    yield table("checkpoint", inspected.about, boxed)
    yield table("inputs and outputs", _needs(inspected.task), boxed)
    yield table("settings", {name: _words(value) for name, value in asdict(inspected.settings).items()}, boxed)
    yield table("memory (estimate)", _memory(inspected), boxed)
    yield table("time on this machine (estimate)", _times(inspected), boxed)


def _about(held: Checkpoint) -> dict[str, str]:
    count = sum(leaf.size for leaf in jax.tree.leaves(held.network))
    about = {"kind": held.kind, "parameters": f"{count:,} ({4 * count / 1e6:,.1f} MB in float32)"} | dict(held.facts())
    for name, settings in {"sampler": held.sampler, "training noise": held.noise}.items():
        if settings is not None:
            about[name] = ", ".join(f"{field} {_words(value)}" for field, value in asdict(settings).items())
    return about


def _needs(task: Task) -> dict[str, str]:
    levels = ", ".join(map(str, task.levels))
    return {
        "prognostic (input and output)": ", ".join(task.prognostic),
        "diagnostic (output)": ", ".join(task.diagnostic) or "none",
        "static (input)": ", ".join(task.static) or "none",
        "forcings (input, computed)": ", ".join(name for name in task.forcing if name in COMPUTED) or "none",
        **({"forcings (input, from a store)": ", ".join(task.stored_forcing)} if task.stored_forcing else {}),
        "levels": f"{levels} hPa" if levels else "none",
        "step": f"{task.step} h",
        "history": f"{task.history} frames {task.step} h apart",
    }


def _memory(inspected: Inspection) -> dict[str, str]:
    available, whose = available_memory()
    return {
        **{name: gigabytes(size) for name, size in inspected.needed.parts.items()},
        "total": gigabytes(inspected.needed.peak),
        whose: gigabytes(available),
    }


def _times(inspected: Inspection) -> dict[str, str]:
    rate, needed = inspected.rate, inspected.needed
    frame = needed.seconds_a_frame(rate)
    device = jax.local_devices()[0].device_kind
    shown = {"matrix products": f"{rate / 1e9:,.0f} Gflop/s measured on {device}"}
    days, many = read_hours(inspected.family.lead_time) // 24, ""
    if needed.evaluations == 1:
        shown |= {"a step": f"{duration(frame)}, {needed.flops / 1e9:,.1f} Gflop"}
    else:
        one = needed.seconds_a_frame(rate) / needed.evaluations
        shown |= {
            "an evaluation of the denoiser": f"{duration(one)}, {needed.flops / 1e9:,.1f} Gflop",
            "a frame of a member": f"{duration(frame)}, {needed.evaluations} evaluations",
        }
    if inspected.family.ensemble:
        many = f" of {inspected.members} member{'s' * (inspected.members > 1)}"
    steps = days * 24 // inspected.task.step
    return shown | {f"a {days} day forecast{many}": f"{duration(frame * steps * inspected.members)}, {steps} steps"}


def _shape(held: Checkpoint, grid: str | None, source: Path) -> tuple[tuple[int, int], str]:
    """Rows and columns of the grid, and where they come from."""
    own, why = None, ""
    if held.grid is not None:
        own, why = held.grid.shape, "the checkpoint's"
    elif held.spacing:
        own, why = (round(180 / held.spacing) + 1, round(360 / held.spacing)), f"{held.spacing:g} degrees"
    if grid is None:
        return (own, why) if own else (_ASSUMED, "1 degree, assumed: the checkpoint has no grid; set it with --grid")
    if written := re.fullmatch(r"(\d+)x(\d+)", grid):
        shape = int(written[1]), int(written[2])
        if min(shape) < 2:
            raise InputError(f"grid {grid}: expected rows x columns such as 181x360")
    else:
        shape = open_initial(grid, held.task).grid.shape
    if held.grid is not None and shape != held.grid.shape:
        trained, asked = ("x".join(map(str, sizes)) for sizes in (held.grid.shape, shape))
        raise InputError(f"{source}: was trained on a grid of {trained}, but --grid {grid} is {asked}")
    return shape, "--grid"


def _words(value) -> str:
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
