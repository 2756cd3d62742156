"""Interface of trained models on disk."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float, PyTree

from airmass.diffusion.samplers.base import Sampler
from airmass.fields.grid import LatLonGrid
from airmass.fields.linear_residual import Calibration, LinearResidual
from airmass.fields.normalise import Normaliser
from airmass.fields.task import Task
from airmass.models.family import ModelFamily
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
