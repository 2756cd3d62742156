"""Model files of airmass as checkpoints, beside the published ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtyping import PyTree

from airmass.core.errors import InputError
from airmass.diffusion.samplers.base import Sampler
from airmass.fields.grid import LatLonGrid
from airmass.fields.linear_residual import Calibration, LinearResidual
from airmass.fields.normalise import Normaliser
from airmass.fields.task import Task
from airmass.forecasting.checkpoints.base import Fill, Statistics
from airmass.forecasting.checkpoints.model_file import ModelFile
from airmass.models.family import ModelFamily
from airmass.models.settings import ModelSettings


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
