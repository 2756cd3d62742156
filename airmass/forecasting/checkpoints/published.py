"""Published files as checkpoints, with the statistics that they need."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import PyTree

from airmass.core.errors import InputError
from airmass.data.preparation.saved_statistics import (
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
from airmass.fields.normalise import Normaliser
from airmass.fields.task import Task
from airmass.fields.variables import VARIABLES
from airmass.forecasting.checkpoints.base import Fill, Statistics
from airmass.models.family import ModelFamily
from airmass.models.published.archive import PublishedModel
from airmass.models.settings import ModelSettings


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
