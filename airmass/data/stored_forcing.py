"""Forcings of a forecast that come from a store: sea surface temperature, sea ice, gases, or a user's own fields."""

from pathlib import Path

import numpy as np
import xarray as xr
from jaxtyping import Float

from airmass.core.errors import InputError
from airmass.data.initial import Initial, open_initial
from airmass.data.plausible import Usual
from airmass.fields.channels import ChannelLayout
from airmass.fields.grid import LatLonGrid
from airmass.fields.task import Task


class StoredForcing:
    """The stored forcings of a task, read at single times and checked as initial frames are."""

    def __init__(self, opened: Initial, task: Task):
        layout = ChannelLayout.of(task.stored_forcing, ())
        self._opened, self._columns = opened, [layout.index((name, None)) for name in task.stored_forcing]

    def require(self, times: np.ndarray) -> None:
        """Raise InputError, with the first that is missing, unless all these times are there."""
        self._opened.require(times)

    def __call__(self, times: np.ndarray) -> Float[np.ndarray, "time node stored"]:
        """Values in the order of the task; raises InputError for an absent time, and for missing or wrong values."""
        return np.stack([self._opened.history(time)[0] for time in np.atleast_1d(times)])[..., self._columns]


def open_stored_forcing(
    source: str | Path | xr.Dataset, task: Task, grid: LatLonGrid, usual: Usual | None = None
) -> StoredForcing | None:
    """Open the stored forcings of `task` on `grid`; None for a task without any.

    Raises InputError for an absent variable, wrong units, and another grid.
    """
    if not task.stored_forcing:
        return None
    opened = open_initial(source, task.of_stored_forcing, usual)
    if opened.grid != grid:
        first = task.stored_forcing[0]
        raise InputError(f"{opened.path}: {first} is on {opened.grid}, expected the grid of the initial state, {grid}")
    return StoredForcing(opened, task)


def forced_times(task: Task, inits: np.ndarray, steps: int) -> np.ndarray:
    """All times at which forecasts of `steps` steps read forcings, rising."""
    leads = np.arange(1 - task.history, steps + 1) * np.timedelta64(task.step, "h")
    return np.unique(np.atleast_1d(inits)[:, None] + leads)
