"""Forcings: fields that are computed from valid time and grid, or come from a store."""

from collections.abc import Callable, Iterator
from itertools import count

import numpy as np
from jaxtyping import Float

from airmass.core.errors import InputError
from airmass.fields.clock import day_progress, year_progress
from airmass.fields.grid import LatLonGrid
from airmass.fields.solar import toa_incident_solar_radiation
from airmass.fields.task import Task

# Gives the values of a task's stored forcings, in their order, at these times; NaN where they are missing over land.
Stored = Callable[[np.ndarray], Float[np.ndarray, "time node stored"]]


def forcings(
    names: tuple[str, ...],
    times: np.ndarray,
    grid: LatLonGrid,
    rows: slice = slice(None),
    stored: Stored | None = None,
) -> Float[np.ndarray, "time node forcing"]:
    """Values of the named forcings, in the order given, at `times` (datetime64) on the nodes of these rows.

    `stored` gives those that cannot be computed, on the same nodes.
    """
    times = np.atleast_1d(times)
    out = np.empty((len(times), grid.latitude[rows].size * grid.shape[1], len(names)), np.float32)
    read = [column for column, name in enumerate(names) if name not in _COMPUTE]
    if read:
        if stored is None:
            raise InputError(f"forcing {names[read[0]]} comes from a store, but none is given")
        out[..., read] = stored(times)
    for column, name in enumerate(names):
        if column not in read:
            out[..., column] = _COMPUTE[name](times, grid, rows)
    return out


def forcing_windows(
    task: Task, grid: LatLonGrid, init: np.datetime64, stored: Stored | None = None
) -> Iterator[Float[np.ndarray, "window node forcing"]]:
    """Windows of forcings, one a step, without end: at the times of its history and at its target time.

    Each time is computed, or read, once.
    """
    step = task.step * np.timedelta64(1, "h")
    window = forcings(task.forcing, init + np.arange(1 - task.history, 1) * step, grid, stored=stored)
    for number in count(1):
        newest = forcings(task.forcing, np.array([init + number * step]), grid, stored=stored)
        window = np.concatenate([window[-task.history :], newest])
        yield window


def _year(wave: Callable) -> Callable:
    return lambda times, grid, rows: wave(2 * np.pi * year_progress(times))[:, None]


def _day(wave: Callable) -> Callable:
    def compute(times, grid, rows):
        return np.tile(wave(2 * np.pi * day_progress(times, grid.longitude)), (1, grid.latitude[rows].size))

    return compute


_COMPUTE: dict[str, Callable[[np.ndarray, LatLonGrid, slice], np.ndarray]] = {
    "toa_incident_solar_radiation": toa_incident_solar_radiation,
    "year_progress_sin": _year(np.sin),
    "year_progress_cos": _year(np.cos),
    "day_progress_sin": _day(np.sin),
    "day_progress_cos": _day(np.cos),
}

# Mean and standard deviation over whole years and the globe. They never come from data: scaled by statistics of a few
# months, the year's progress would be huge as soon as a forecast leaves these months.
FORCING_SCALES: dict[str, tuple[float, float]] = {
    "toa_incident_solar_radiation": (1.07e6, 1.44e6),
    "year_progress_sin": (0.0, 0.7071),
    "year_progress_cos": (0.0, 0.7071),
    "day_progress_sin": (0.0, 0.7071),
    "day_progress_cos": (0.0, 0.7071),
}
