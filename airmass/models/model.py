"""A model on a grid, and what one is built of; the same for every family."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float, PyTree

from airmass.core.types import Array
from airmass.fields.grid import LatLonGrid
from airmass.fields.linear_residual import Calibration, LinearResidual
from airmass.fields.normalise import Normaliser
from airmass.fields.task import Task
from airmass.models.settings import ModelSettings
from airmass.models.state import State


class Model(Protocol):
    """A module of Equinox, every leaf an array, of which training changes `network` alone.

    `space` is the axis of devices that share a grid, None where one device has all of it.
    """

    network: Any
    normaliser: Normaliser

    @property
    def space(self) -> str | None: ...

    def ready(self, inference: bool = False) -> Any:
        """The same model with all that no weather enters computed; `inference` says that nothing is differentiated."""

    def specs(self) -> Any:
        """Where each array, or tree of arrays, lies on a mesh of devices."""

    def advance(self, state: State, frame: Float[Array, "node target"]) -> State:
        """The state a step later, with `frame` as its newest."""


@dataclass(frozen=True)
class Trained:
    """Parameters and all that was fixed with them, on the grid that a model is built on.

    `fill` replaces missing values, one number a prognostic channel, NaN where none may be missing; None for models
    that read none. `innovation` and
    `calibration` are there where a family needs and has them.
    """

    task: Task
    settings: ModelSettings
    network: PyTree
    grid: LatLonGrid
    normaliser: Normaliser
    fill: Float[np.ndarray, " prognostic"] | None
    innovation: LinearResidual | None = None
    calibration: Calibration | None = None
