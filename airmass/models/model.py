"""The interface of a model on a grid, and the trained parameters that it is built from."""

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
    """An Equinox module whose leaves are arrays; training changes `network` alone.

    `space` is the axis of devices that share a grid, None where one device has the whole grid.
    """

    network: Any
    normaliser: Normaliser
    static: Float[Array, "node static"]

    @property
    def space(self) -> str | None: ...

    def ready(self, inference: bool = False) -> Any:
        """The model with everything computed that does not depend on the state.

        With `inference`, no gradients will be taken.
        """

    def specs(self) -> Any:
        """Partition specs of each array, or tree of arrays, on a mesh of devices."""

    def advance(self, state: State, frame: Float[Array, "node target"]) -> State:
        """The state one step later, with `frame` as its newest frame."""


@dataclass(frozen=True)
class Trained:
    """Trained parameters with the values fixed in training, on the grid of the model to build.

    `fill` replaces missing values, one number a prognostic channel, NaN where none may be missing; None for models
    that do not accept missing values. `linear_residual` (the linear residual's statistics) and `calibration` are None
    for models without them.
    """

    task: Task
    settings: ModelSettings
    network: PyTree
    grid: LatLonGrid
    normaliser: Normaliser
    fill: Float[np.ndarray, " prognostic"] | None
    linear_residual: LinearResidual | None = None
    calibration: Calibration | None = None
