"""Trained models on disk: one interface for model files of airmass and published files."""

from collections.abc import Iterator, Mapping, Sequence
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
from airmass.diffusion.samplers.base import Sampler
from airmass.fields.channels import ChannelLayout
from airmass.fields.grid import LatLonGrid
from airmass.fields.linear_residual import Calibration, LinearResidual
from airmass.fields.normalise import Normaliser
from airmass.fields.task import Task
from airmass.fields.variables import VARIABLES
from airmass.forecasting.checkpoints.model_file import MODEL_FILE, ModelFile, read_model
from airmass.models.family import ModelFamily, families
from airmass.models.published.archive import PublishedModel
from airmass.models.settings import ModelSettings

Statistics = str | Path | None
Fill = Float[np.ndarray, " prognostic"]


class Checkpoint(Protocol):
    """A trained model.

    `grid` is None if any grid of `spacing` degrees fits, of any spacing if that is 0. `sampler` and `noise` (the noise
    in training) are None for a model without a sampler. `linear_residual` and `calibration` are None if the model has
    none.
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
    def sampler(self) -> Sampler | None: ...

    @property
    def noise(self) -> Any: ...

    @property
    def linear_residual(self) -> LinearResidual | None: ...

    @property
    def calibration(self) -> Calibration | None: ...

    @property
    def kind(self) -> str:
        """Kind of the checkpoint, such as "published GenCast"."""

    @property
    def license(self) -> str: ...

    def facts(self) -> Mapping[str, str]:
        """Other facts by topic, to be shown to the user."""

    def attributes(self, statistics: Statistics) -> Mapping[str, str | int | float]:
        """Attributes about the checkpoint for its forecasts."""

    def scales(self, statistics: Statistics) -> Normaliser:
        """Scales it was trained with. Raises InputError if `statistics` are missing, or given but not needed."""

    def fill(self, statistics: Statistics) -> Fill | None:
        """Values that replace missing ones, by prognostic channel; None if no variable may be missing."""


@dataclass(frozen=True)
class OwnCheckpoint:
    """Model file of airmass, which contains its statistics."""

    path: Path
    saved: ModelFile
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
    def sampler(self) -> Sampler | None:
        return self.family.sampler(self.saved.recipe)

    @property
    def noise(self) -> Any:
        return self.family.noise(self.saved.recipe)

    @property
    def linear_residual(self) -> LinearResidual | None:
        return self.saved.linear_residual

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
            raise InputError(f"{self.path}: contains its statistics; leave out --statistics {statistics}")
        return self.saved.normaliser

    def fill(self, statistics: Statistics) -> Fill | None:
        return self.saved.fill


@dataclass(frozen=True)
class PublishedCheckpoint:
    """Published file, which needs its statistics to run, and runs on any grid of its spacing.

    Statistics are in a folder, or in the configuration file `config`.
    """

    path: Path
    family: ModelFamily
    published: PublishedModel
    config: Path | None = None
    grid = None
    linear_residual = None
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
    def sampler(self) -> Sampler | None:
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
        if self.config is not None:
            return {"description": self.published.description, "configuration": str(self.config)}
        kinds = [MEAN, STDDEV, DIFFS_STDDEV]
        if any(VARIABLES[name].missing_over_land for name in self.task.prognostic):
            kinds.append(MINIMUM)
        needed = ", ".join(f"{kind}.nc" for kind in kinds)
        return {"description": self.published.description, "statistics needed": needed}

    def attributes(self, statistics: Statistics) -> Mapping[str, str | int | float]:
        return {
            "checkpoint": str(self.path),
            "statistics": str(self.config or statistics),
            "description": self.published.description,
            "license": self.license,
        }

    def scales(self, statistics: Statistics) -> Normaliser:
        if self.published.normaliser is not None:
            if statistics is not None:
                raise InputError(f"{self.config}: contains the statistics; leave out --statistics {statistics}")
            return self.published.normaliser
        return Normaliser.from_statistics(
            self.task, *published_statistics(self.path, statistics, self.task), str(statistics)
        )

    def fill(self, statistics: Statistics) -> Fill | None:
        if self.published.fill is not None:
            return self.published.fill
        return missing_fill(self.task, str(statistics)) if self.family.may_be_missing else None


def read_checkpoint(checkpoint: str | Path, config: str | Path | None = None) -> Checkpoint:
    """Read a checkpoint file, or the model file in a run's folder. Raises InputError if it is not a checkpoint.

    `config` is the configuration of a published checkpoint that has one. Statistics in a folder are not read.
    """
    path = local_path(checkpoint, "checkpoint")
    path = path / MODEL_FILE if path.is_dir() else path
    keys = _keys(path)
    with _named(path, config):
        family = next((f for f in families().values() if f.published and _has(keys, f.published.mark)), None)
        needs_config = family is not None and family.published is not None and family.published.configured
        if config is not None and not needs_config:
            raise InputError(f"{path}: contains its settings; leave out --config {config}")
        if "json" in keys:
            return OwnCheckpoint(path, read_model(path))
        if family is not None and family.published is not None:
            if not needs_config:
                return PublishedCheckpoint(path, family, family.published.read(path))
            if config is None:
                raise InputError(
                    f"{path}: has no settings; give its configuration, such as WeatherNext2.json, by --config"
                )
            config = local_path(config, "configuration")
            return PublishedCheckpoint(path, family, family.published.read(path, config), config)
    known = " or ".join(family.title for family in families().values() if family.published)
    found = ", ".join(keys[:5]) or "none"
    raise InputError(f"{path}: not a checkpoint of airmass nor a published {known}; keys found: {found}")


def _has(keys: Sequence[str], mark: str) -> bool:
    return any(key.startswith(mark) for key in keys)


def missing_fill(task: Task, folder: str) -> Fill:
    """Values that replace missing ones: the minimum of each channel that may be missing, NaN for others."""
    names = [name for name in task.prognostic if VARIABLES[name].missing_over_land]
    minimum = load_table(folder, MINIMUM) if names else xr.Dataset()
    require_statistics(minimum, Path(folder) / f"{MINIMUM}.nc", names)
    channels = ChannelLayout.of(task.prognostic, task.levels).channels
    return np.array([float(minimum[name]) if name in names else np.nan for name, _ in channels], np.float32)


def published_statistics(path: Path, folder: Statistics, task: Task) -> tuple[xr.Dataset, xr.Dataset, xr.Dataset]:
    """Mean, standard deviation and standard deviation of differences for a published checkpoint, from its folder.

    Statistics of forcings are needed too: the fixed scales in airmass differ from the published ones.
    """
    if folder is None:
        raise InputError(
            f"{path}: a published checkpoint has no statistics; give the folder with {MEAN}.nc by --statistics"
        )
    mean, std, residual_std = load_statistics(folder, (*task.targets, *task.static), task.levels)
    for dataset, kind in ((mean, MEAN), (std, STDDEV)):
        require_statistics(dataset, Path(folder) / f"{kind}.nc", task.forcing)
    return mean, std, residual_std


@contextmanager
def _named(*paths: str | Path | None) -> Iterator[None]:
    """Have what is said against a checkpoint begin with its path; settings in it do not know where they stand."""
    try:
        yield
    except InputError as error:
        named = any(str(error).startswith(f"{path}: ") for path in paths)
        raise error if named else InputError(f"{paths[0]}: {error}") from None


def _keys(path: Path) -> list[str]:
    if not path.exists():
        raise InputError(f"{path}: no such checkpoint")
    return list(ArrayFile(path))
