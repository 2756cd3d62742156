"""What a checkpoint is, needs and produces, and what a forecast with it takes here; only read, nothing is run."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import jax
from rich.table import Table

from airmass.core.errors import InputError
from airmass.core.tables import duration, gigabytes, table
from airmass.data.initial import open_initial
from airmass.data.preparation.statistics import DIFFS_STDDEV, MEAN, MINIMUM, STDDEV
from airmass.fields.task import Task
from airmass.fields.variables import VARIABLES
from airmass.forecasting.checkpoints.model_file import SavedModel
from airmass.forecasting.system import Checkpoint, read_checkpoint
from airmass.models.assemble import attention_here
from airmass.models.footprint import (
    MOST_TOGETHER,
    Footprint,
    Settings,
    available_memory,
    footprint,
    matmul_rate,
    on_accelerator,
)
from airmass.models.gencast.settings import GenCastSettings
from airmass.models.published import PublishedGenCast

_ASSUMED = (181, 360)


@dataclass(frozen=True)
class Inspection:
    """Words and numbers by topic; `needed` and `rate` (flops a second) are of this machine."""

    source: Path
    about: Mapping[str, str]
    task: Task
    settings: Settings
    license: str
    shape: tuple[int, int]
    needed: Footprint
    rate: float
    members: int

    @property
    def ensemble(self) -> bool:
        return isinstance(self.settings, GenCastSettings)


def inspection(checkpoint: str | Path, grid: str | None, precision: str, members: int) -> Inspection:
    """Read a checkpoint; measures the speed of matrix products. Raises InputError for what does not hold together."""
    source, held = Path(checkpoint), read_checkpoint(checkpoint)
    ensemble = isinstance(held, PublishedGenCast)
    if members < 1 or (members > 1 and not ensemble):
        raise InputError(f"{source}: members is {members}, expected {'1 or more' if ensemble else '1 for GraphCast'}")
    license = ""
    task: Task
    settings: Settings
    if isinstance(held, SavedModel):
        task, settings = held.recipe.task, held.recipe.model
    else:
        task, settings, license = held.task, held.settings, held.license
    shape, which = _shape(held, task, grid, source)
    levels = held.sampler.levels if isinstance(held, PublishedGenCast) else 20
    needed = footprint(task, settings, shape, precision, min(members, MOST_TOGETHER), levels, on_accelerator())
    about = _about(held) | {"grid": f"{shape[1]} x {shape[0]} ({which})"}
    if attention := attention_here(settings, precision).report:
        about |= {"attention": attention}
    return Inspection(source, about, task, settings, license, shape, needed, matmul_rate(precision), members)


def tables(inspected: Inspection, boxed: bool) -> Iterator[Table]:
    """To print: what it is, what it reads and writes, its settings, memory by part, and time."""
    yield table("what it is", inspected.about, boxed)
    yield table("needs and produces", _needs(inspected.task), boxed)
    yield table("settings", {name: _words(value) for name, value in asdict(inspected.settings).items()}, boxed)
    yield table("memory (an estimate)", _memory(inspected), boxed)
    yield table("time here (an estimate)", _times(inspected), boxed)


def _about(held: Checkpoint) -> dict[str, str]:
    count = sum(leaf.size for leaf in jax.tree.leaves(held.network))
    parameters = {"parameters": f"{count:,} ({4 * count / 1e6:,.1f} MB in float32)"}
    if isinstance(held, SavedModel):
        kind = {"kind": "GraphCast trained by airmass"}
        recipe = {"cost": held.recipe.cost, "expected score": held.recipe.expect}
        return kind | parameters | {name: str(value) for name, value in (recipe | dict(held.about)).items() if value}
    title = "GenCast" if isinstance(held, PublishedGenCast) else "GraphCast"
    about = {"kind": f"published {title}", "description": held.description} | parameters
    if isinstance(held, PublishedGenCast):
        about["sampler"] = ", ".join(f"{name} {_words(value)}" for name, value in asdict(held.sampler).items())
        about["training noise"] = ", ".join(f"{n} {_words(v)}" for n, v in asdict(held.training_noise).items())
    kinds = [MEAN, STDDEV, DIFFS_STDDEV]
    if any(VARIABLES[name].missing_over_land for name in held.task.prognostic):
        kinds.append(MINIMUM)
    return about | {"statistics needed": ", ".join(f"{kind}.nc" for kind in kinds)}


def _needs(task: Task) -> dict[str, str]:
    levels = ", ".join(map(str, task.levels))
    return {
        "prognostic (read and produced)": ", ".join(task.prognostic),
        "diagnostic (produced)": ", ".join(task.diagnostic) or "none",
        "static (read)": ", ".join(task.static) or "none",
        "forcings (computed)": ", ".join(task.forcing) or "none",
        "levels": f"{levels} hPa" if levels else "none",
        "step": f"{task.step} h",
        "history": f"{task.history} frames {task.step} h apart",
    }


def _memory(inspected: Inspection) -> dict[str, str]:
    available, whose = available_memory()
    return {
        **{name: gigabytes(size) for name, size in inspected.needed.parts.items()},
        "in all": gigabytes(inspected.needed.peak),
        whose: gigabytes(available),
    }


def _times(inspected: Inspection) -> dict[str, str]:
    rate, needed = inspected.rate, inspected.needed
    frame = needed.seconds_a_frame(rate)
    device = jax.local_devices()[0].device_kind
    shown = {"matrix products": f"{rate / 1e9:,.0f} Gflop/s measured now on {device}"}
    if not inspected.ensemble:
        days, what = 10, "forecast"
        shown |= {"a step": f"{duration(frame)}, {needed.flops / 1e9:,.1f} Gflop"}
    else:
        days, what = 15, f"forecast of {inspected.members} member{'s' * (inspected.members > 1)}"
        one = needed.seconds_a_frame(rate) / needed.evaluations
        shown |= {
            "an evaluation of the denoiser": f"{duration(one)}, {needed.flops / 1e9:,.1f} Gflop",
            "a frame of a member": f"{duration(frame)}, {needed.evaluations} evaluations",
        }
    steps = days * 24 // inspected.task.step
    return shown | {f"a {days} day {what}": f"{duration(frame * steps * inspected.members)}, {steps} steps"}


def _shape(held: Checkpoint, task: Task, grid: str | None, source: Path) -> tuple[tuple[int, int], str]:
    """Rows and columns, and why these."""
    own, why = None, ""
    if isinstance(held, SavedModel):
        own, why = held.grid.shape, "its own"
    elif not isinstance(held, PublishedGenCast) and held.resolution:
        own, why = (round(180 / held.resolution) + 1, round(360 / held.resolution)), f"{held.resolution:g} degrees"
    if grid is None:
        return (own, why) if own else (_ASSUMED, "1 degree, assumed: the checkpoint does not say; choose with --grid")
    if written := re.fullmatch(r"(\d+)x(\d+)", grid):
        shape = int(written[1]), int(written[2])
        if min(shape) < 2:
            raise InputError(f"grid {grid}: expected rows x columns such as 181x360")
    else:
        shape = open_initial(grid, task).grid.shape
    if isinstance(held, SavedModel) and shape != held.grid.shape:
        trained, asked = ("x".join(map(str, sizes)) for sizes in (held.grid.shape, shape))
        raise InputError(f"{source}: was trained on a grid of {trained}, but --grid {grid} is {asked}")
    return shape, "--grid"


def _words(value) -> str:
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
