"""A trained model on disk, whoever wrote it: a run of ours or a published file, behind one interface."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import xarray as xr
from jaxtyping import Float, PyTree

from airmass.core.arrays import ArrayFile
from airmass.core.errors import InputError
from airmass.core.place import local_path
from airmass.data.preparation.statistics import (
    DIFFS_STDDEV,
    MEAN,
    MINIMUM,
    STDDEV,
    load_statistics,
    load_table,
    require_statistics,
)
from airmass.diffusion.noise_levels import SamplerSettings
from airmass.fields.channels import ChannelLayout
from airmass.fields.grid import LatLonGrid
from airmass.fields.linear_residual import Calibration, LinearResidual
from airmass.fields.normalise import Normaliser
from airmass.fields.task import Task
from airmass.fields.variables import VARIABLES
from airmass.forecasting.checkpoints.model_file import MODEL_FILE, SavedModel, read_model
from airmass.models.family import ModelFamily, families
from airmass.models.published.archive import PublishedModel
from airmass.models.settings import ModelSettings

Statistics = str | Path | None
Fill = Float[np.ndarray, " prognostic"]


class Checkpoint(Protocol):
    """A trained model.

    `grid` is None where any grid of `spacing` degrees will do, or of any spacing where that is 0. `sampler` and `noise`
    are how frames are drawn and what noise was learned from, None where a model draws nothing. `innovation` and
    `calibration` are there where the model has them.
    """

    @property
    def path(self) -> Path: ...

    @property
    def family(self) -> ModelFamily: ...

    @property
    def task(self) -> Task: ...

    @property
    def settings(self) -> ModelSettings: ...

    @property
    def network(self) -> PyTree: ...

    @property
    def grid(self) -> LatLonGrid | None: ...

    @property
    def spacing(self) -> float: ...

    @property
    def sampler(self) -> SamplerSettings | None: ...

    @property
    def noise(self) -> Any: ...

    @property
    def innovation(self) -> LinearResidual | None: ...

    @property
    def calibration(self) -> Calibration | None: ...

    @property
    def kind(self) -> str:
        """What it is, in words."""

    @property
    def license(self) -> str: ...

    def facts(self) -> Mapping[str, str]:
        """What else is known of it, by topic."""

    def attributes(self, statistics: Statistics) -> Mapping[str, str | int | float]:
        """What a forecast with it says of it."""

    def scales(self, statistics: Statistics) -> Normaliser:
        """The scales that it was trained under; raises InputError where `statistics` are lacking, or too many."""

    def fill(self, statistics: Statistics) -> Fill | None:
        """What replaces missing values by prognostic channel; None where a published model reads none."""


@dataclass(frozen=True)
class OwnCheckpoint:
    """A model file of airmass; it carries its own statistics."""

    path: Path
    saved: SavedModel
    spacing = 0.0
    license = ""

    @property
    def family(self) -> ModelFamily:
        return self.saved.recipe.family

    @property
    def task(self) -> Task:
        return self.saved.recipe.task

    @property
    def settings(self) -> ModelSettings:
        return self.saved.recipe.model

    @property
    def network(self) -> PyTree:
        return self.saved.network

    @property
    def grid(self) -> LatLonGrid | None:
        return self.saved.grid

    @property
    def sampler(self) -> SamplerSettings | None:
        return self.family.sampler(self.saved.recipe)

    @property
    def noise(self) -> Any:
        return self.family.noise(self.saved.recipe)

    @property
    def innovation(self) -> LinearResidual | None:
        return self.saved.innovation

    @property
    def calibration(self) -> Calibration | None:
        return self.saved.calibration

    @property
    def kind(self) -> str:
        return f"{self.family.title} trained by airmass"

    def facts(self) -> Mapping[str, str]:
        recipe = {"cost": self.saved.recipe.cost, "expected score": self.saved.recipe.expect}
        return {name: str(value) for name, value in (recipe | dict(self.saved.about)).items() if value}

    def attributes(self, statistics: Statistics) -> Mapping[str, str | int | float]:
        return {name: value for name, value in self.saved.about.items() if name != "airmass"}

    def scales(self, statistics: Statistics) -> Normaliser:
        if statistics is not None:
            raise InputError(f"{self.path}: carries its own statistics; leave out --statistics {statistics}")
        return self.saved.normaliser

    def fill(self, statistics: Statistics) -> Fill | None:
        return self.saved.fill


@dataclass(frozen=True)
class PublishedCheckpoint:
    """A file of a model's makers; it needs the folder of its statistics to run, and runs on any grid of its spacing."""

    path: Path
    family: ModelFamily
    published: PublishedModel
    grid = None
    innovation = None
    calibration = None

    @property
    def task(self) -> Task:
        return self.published.task

    @property
    def settings(self) -> ModelSettings:
        return self.published.settings

    @property
    def network(self) -> PyTree:
        return self.published.network

    @property
    def spacing(self) -> float:
        return self.published.resolution

    @property
    def sampler(self) -> SamplerSettings | None:
        return self.published.sampler

    @property
    def noise(self) -> Any:
        return self.published.training_noise

    @property
    def kind(self) -> str:
        return f"published {self.family.title}"

    @property
    def license(self) -> str:
        return self.published.license

    def facts(self) -> Mapping[str, str]:
        kinds = [MEAN, STDDEV, DIFFS_STDDEV]
        if any(VARIABLES[name].missing_over_land for name in self.task.prognostic):
            kinds.append(MINIMUM)
        needed = ", ".join(f"{kind}.nc" for kind in kinds)
        return {"description": self.published.description, "statistics needed": needed}

    def attributes(self, statistics: Statistics) -> Mapping[str, str | int | float]:
        return {
            "checkpoint": str(self.path),
            "statistics": str(statistics),
            "description": self.published.description,
            "license": self.license,
        }

    def scales(self, statistics: Statistics) -> Normaliser:
        return Normaliser.from_statistics(
            self.task, *published_statistics(self.path, statistics, self.task), str(statistics)
        )

    def fill(self, statistics: Statistics) -> Fill | None:
        return missing_fill(self.task, str(statistics)) if self.family.may_be_missing else None


def read_checkpoint(checkpoint: str | Path) -> Checkpoint:
    """What a file, or the model file in a run's folder, holds; raises InputError for what is no checkpoint.

    Statistics, which a published one needs to run, are not read.
    """
    path = local_path(checkpoint, "checkpoint")
    path = path / MODEL_FILE if path.is_dir() else path
    keys = _keys(path)
    with _named(path):
        if "json" in keys:
            return OwnCheckpoint(path, read_model(path))
        for family in families().values():
            if family.published and any(key.startswith(family.published.mark) for key in keys):
                return PublishedCheckpoint(path, family, family.published.read(path))
    known = " or ".join(family.title for family in families().values() if family.published)
    found = ", ".join(keys[:5]) or "none"
    raise InputError(f"{path}: not a checkpoint of airmass nor a published {known}; keys found: {found}")


def missing_fill(task: Task, folder: str) -> Fill:
    """What replaces missing values: the least value of each channel that may be missing, NaN for all others."""
    names = [name for name in task.prognostic if VARIABLES[name].missing_over_land]
    minimum = load_table(folder, MINIMUM) if names else xr.Dataset()
    require_statistics(minimum, Path(folder) / f"{MINIMUM}.nc", names)
    channels = ChannelLayout.of(task.prognostic, task.levels).channels
    return np.array([float(minimum[name]) if name in names else np.nan for name, _ in channels], np.float32)


def published_statistics(path: Path, folder: Statistics, task: Task) -> tuple[xr.Dataset, xr.Dataset, xr.Dataset]:
    """Mean, standard deviation and standard deviation of changes for a published checkpoint, which holds none itself.

    Those of forcings are needed too: the fixed scales that runs of ours fall back on are not the published ones.
    """
    if folder is None:
        raise InputError(
            f"{path}: a published checkpoint holds no statistics; name the folder with {MEAN}.nc with --statistics"
        )
    mean, std, residual_std = load_statistics(folder, (*task.targets, *task.static), task.levels)
    for dataset, kind in ((mean, MEAN), (std, STDDEV)):
        require_statistics(dataset, Path(folder) / f"{kind}.nc", task.forcing)
    return mean, std, residual_std


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Have what is said against a checkpoint begin with its path; settings in it do not know where they stand."""
    try:
        yield
    except InputError as error:
        raise error if str(error).startswith(f"{path}: ") else InputError(f"{path}: {error}") from None


def _keys(path: Path) -> list[str]:
    if not path.exists():
        raise InputError(f"{path}: no such checkpoint")
    return list(ArrayFile(path))
