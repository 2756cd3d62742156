"""Forecasting systems: one interface for runs of airmass and published checkpoints."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from airmass.core.errors import InputError
from airmass.data.initial import Initial
from airmass.data.plausible import Usual, usual
from airmass.diffusion.samplers import changed
from airmass.diffusion.samplers.base import Sampler
from airmass.fields.channels import ChannelLayout
from airmass.fields.forcing import Stored
from airmass.fields.grid import LatLonGrid
from airmass.fields.normalise import Normaliser
from airmass.fields.task import Task
from airmass.forecasting.checkpoints.base import Statistics
from airmass.forecasting.checkpoints.read import read_checkpoint
from airmass.models.footprint import fitting
from airmass.models.model import Model, Trained
from airmass.models.nn.attention_choice import PLAIN
from airmass.models.runner import MakeRunner, Runner

# Makes the model for a grid and its static fields.
BuildModel = Callable[[LatLonGrid, Float[np.ndarray, "node static"]], Model]
# Reads noise for a grid, members by number and steps.
ReadNoise = Callable[[str | Path, LatLonGrid, range, int], np.ndarray]


@dataclass(frozen=True)
class ForecastSystem:
    """A forecasting system.

    `grid` is None if any global grid of `spacing` degrees fits, of any spacing if that is 0. `about` becomes attributes
    of the forecast. An `ensemble` has members; other systems are deterministic. `lead_time` is the default lead time.
    `residual_std` is the standard deviation of the change of prognostic channels over one step, None if initial states
    are perturbed already. `sampler` is None for models without one. `attention` names the implementation of attention
    on this machine. `typical_values` has the means and standard deviations that initial states are checked against.
    `fingerprint` identifies checkpoint and statistics. `build` makes the bare model, None if a system is more than its
    model. `read_noise` reads a file of noise for a grid, a range of members and a number of steps. Without random noise
    at most `most_members` differ; None for any number. `models` are the checkpoints of a system of several.
    """

    name: str
    title: str
    task: Task
    grid: LatLonGrid | None
    spacing: float
    about: Mapping[str, str | int | float]
    ensemble: bool
    lead_time: str
    runner: MakeRunner
    residual_std: Float[np.ndarray, " prognostic"] | None = None
    sampler: Sampler | None = None
    attention: str = PLAIN
    typical_values: Usual | None = None
    fingerprint: str = ""
    build: BuildModel | None = None
    read_noise: ReadNoise | None = None
    most_members: int | None = None
    models: tuple[str, ...] = ("",)


def load_system(
    checkpoint: str | Path,
    statistics: Statistics = None,
    precision: str = "float32",
    memory_limit: float | None = None,
    config: str | Path | None = None,
    models: int = 1,
    noise_scale: float | None = None,
) -> ForecastSystem:
    """Read a run's folder, a model file of airmass or a published `.npz`.

    A published file needs its `statistics` folder, or its `config`, which contains them. `models` is the number of
    models of this size that will be in memory. `noise_scale` replaces that of a model with noise in its norms.
    `precision` of the network's arithmetic is "float32" or "bfloat16"; `memory_limit` is in GB. Raises InputError for a
    file that is none of these or is inconsistent, and for statistics that lack a variable or level of the task.
    """
    if memory_limit is not None and not memory_limit > 0:
        raise InputError(f"memory limit is {memory_limit:g} GB, expected above 0")
    held = read_checkpoint(checkpoint, config)
    family, task, settings = held.family, held.task, held.settings
    if noise_scale is not None:
        settings = family.with_noise_scale(held.path, settings, noise_scale)
    scales, fill = held.scales(statistics), held.fill(statistics)
    attention = family.attention(settings, precision)
    about = {**held.attributes(statistics), **({"attention": attention.report} if attention.report else {})}

    def build(grid: LatLonGrid, static: Float[np.ndarray, "node static"]) -> Model:
        trained = Trained(task, settings, held.network, grid, scales, fill, held.linear_residual, held.calibration)
        return family.build(trained, static, precision, attend=attention.attend)

    def runner(
        grid: LatLonGrid,
        static,
        seed: int = 0,
        noise=None,
        *,
        sampler: Sampler | None = held.sampler,
        stored: Stored | None = None,
    ) -> Runner:
        together = fitting(held.path, task, settings, grid.shape, precision, memory_limit, models)
        model = build(grid, static)
        given = {"sampler": sampler, "seed": seed, "noise": noise, "together": together, "stored": stored}
        return family.runner(model, task, grid, **given)

    def read_noise(path: str | Path, grid: LatLonGrid, members: range, steps: int) -> np.ndarray:
        return family.read_noise(path, task, settings, grid, members, steps)

    return ForecastSystem(
        family.name,
        family.title,
        task,
        held.grid,
        held.spacing,
        about,
        family.ensemble,
        family.lead_time,
        runner,
        np.asarray(scales.prognostic(scales.target_scale)),
        held.sampler,
        attention.name,
        typical_values_of(task, scales),
        _fingerprint(held.path, statistics, config),
        build,
        read_noise,
    )


def check_grid(system: ForecastSystem, checkpoint: str | Path, start: Initial) -> None:
    """Raise InputError unless the initial frames are on the system's grid."""
    grid = start.grid
    if system.grid is not None and grid != system.grid:
        raise InputError(f"{checkpoint}: was trained on the grid {system.grid}, but {start.path} holds {grid}")
    spacing = 360 / len(grid.longitude), grid.latitude[1] - grid.latitude[0]
    if system.spacing and not np.allclose(spacing, system.spacing, rtol=1e-3):
        raise InputError(
            f"{checkpoint}: was trained at {system.spacing:g} degrees, but {start.path} holds {grid}, which is "
            f"{spacing[1]:g} x {spacing[0]:g} degrees"
        )


def _fingerprint(path: Path, statistics: str | Path | None, config: str | Path | None) -> str:
    """Hash of all files that a system was read from, 16 hex digits."""
    digest = hashlib.sha256()
    tables = sorted(Path(statistics).glob("*_by_level.nc")) if statistics else ()
    for file in (path, *tables, *([Path(config)] if config else ())):
        with file.open("rb") as held:
            digest.update(hashlib.file_digest(held, "sha256").digest())
    return digest.hexdigest()[:16]


def typical_values_of(task: Task, normaliser: Normaliser) -> Usual:
    """Means and standard deviations that a model's input fields are checked against."""
    channels = ChannelLayout.of(task.prognostic, task.levels).channels
    forced = [(name, None) for name in task.forcing]
    return {
        **usual(channels, normaliser.history_mean, normaliser.history_std),
        **usual(forced, normaliser.forcing_mean, normaliser.forcing_std),
    }


def with_sampler(system: ForecastSystem, changes: Mapping[str, Any]) -> ForecastSystem:
    """Change settings of a system's sampler. Raises InputError if it has none, and for invalid values."""
    if system.sampler is None:
        raise InputError(f"{system.title} has no sampler: its {', '.join(changes)} cannot be set")
    chosen = changed(system.sampler, changes)
    about = dict(system.about) | {f"sampler_{name}": value for name, value in changes.items()}
    runner: Any = system.runner  # that of a diffusion model also takes `sampler`
    return replace(system, sampler=chosen, about=about, runner=partial(runner, sampler=chosen))
