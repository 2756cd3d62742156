"""Initial conditions of a forecast, from a store or from one of DeepMind's example files.

An example file has dims (batch, time, [level,] lat, lon); its `time` is a duration and `datetime` (batch, time) the
valid time. Short and long names of coordinates are read in both layouts.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from jaxtyping import Float

from airmass.core.errors import InputError, one_line
from airmass.data.formats.layout import grid_of, minute
from airmass.data.formats.opening import open_unchecked
from airmass.data.formats.store import checked, fingerprint, read, require, require_finite, require_times
from airmass.data.formats.valid_time import with_valid_time
from airmass.data.plausible import Usual, require_plausible
from airmass.data.sea_mask import MASK, gap_problem
from airmass.fields.channels import ChannelLayout
from airmass.fields.grid import LatLonGrid
from airmass.fields.task import Task
from airmass.fields.variables import VARIABLES

# Attribute of a state whose frames are all the same one, in words, and of a forecast from it.
REPEATED = "airmass_repeated_frame"
_HOUR = np.timedelta64(1, "h")
_LONGEST = 400  # characters of an attribute
_SPELLINGS = {"lat": "latitude", "lon": "longitude"}


@dataclass(frozen=True, eq=False)
class Initial:
    """Initial conditions for forecasts of `task`.

    `inits` are the times for which all frames of the history are available, rising; `first` is the initial time of an
    example file. Values are read, and checked for NaN, on access.
    """

    path: str | Path
    task: Task
    grid: LatLonGrid
    fingerprint: str
    inits: np.ndarray
    first: np.datetime64 | None
    _dataset: xr.Dataset
    _usual: Usual | None = None

    @property
    def repeated(self) -> str:
        """Words on a state whose frames are all the same one; empty for others."""
        return one_line(self._dataset.attrs.get(REPEATED, ""))[:_LONGEST]

    def default_init(self) -> np.datetime64:
        """The only possible initial time; in an example file the earliest, since its later frames are the truth.

        Raises InputError if several are possible.
        """
        if self.first is not None:
            self._times(self.first)
            return self.first
        if len(self.inits) > 1:
            raise InputError(
                f"{self.path}: {len(self.inits)} initial times are possible, {minute(self.inits[0])} to "
                f"{minute(self.inits[-1])}; choose with --init-time"
            )
        return self.inits[0]

    def history(self, init: np.datetime64) -> Float[np.ndarray, "time node prognostic"]:
        """The frames that end at `init`, oldest first, float32, in physical units; NaN over land in fields of the sea.

        Raises InputError for an absent time, unreadable values, and NaN in other places.
        """
        times = self._times(init)
        dataset = self._dataset.isel(time=np.searchsorted(self._dataset.time.values, times))
        layout = ChannelLayout.of(self.task.prognostic, self.task.levels)
        frames = np.empty((len(times), self.grid.size, len(layout)), np.float32)
        for name in layout.variables:
            field = dataset[name]
            if levels := layout.levels(name):
                field = field.sel(level=list(levels))
            values = read(field, self.path).reshape(len(times), -1, self.grid.size)
            self._refuse_missing(name, times, values)
            require_plausible(self.path, name, values, layout.levels(name), times, self._usual)
            frames[..., layout.columns(name)] = values.swapaxes(1, 2)
        return frames

    def require(self, times: np.ndarray) -> None:
        """Raise InputError, with the first that is absent, unless there is a frame at each of these times."""
        require_times(self._dataset, self.path, times)

    def static(self) -> Float[np.ndarray, "node static"]:
        """The static fields, checked for NaN and for implausible values."""
        if not self.task.static:
            return np.empty((self.grid.size, 0), np.float32)
        require_finite(self._dataset, self.path, self.task.static)
        for name in self.task.static:
            require_plausible(self.path, name, read(self._dataset[name], self.path)[None])
        return ChannelLayout.of(self.task.static, self.task.levels).pack(self._dataset)

    def _times(self, init: np.datetime64) -> np.ndarray:
        times = init - np.arange(self.task.history)[::-1] * self.task.step * _HOUR
        self.require(times)
        return times

    def _refuse_missing(self, name: str, times: np.ndarray, values: Float[np.ndarray, "time level node"]) -> None:
        bad = ~np.isfinite(values)
        if not VARIABLES[name].missing_over_land:
            if bad.any():
                when = minute(times[np.argmax(bad.any(axis=(1, 2)))])
                raise InputError(
                    f"{self.path}: {name} has {bad.sum()} NaN or infinite values, first at {when}; expected none"
                )
            return
        if np.isinf(values).any():
            raise InputError(f"{self.path}: {name} has {np.isinf(values).sum()} infinite values; expected none")
        mask = read(self._dataset[MASK], self.path).reshape(-1)
        for time, missing in zip(times, bad[:, 0], strict=True):
            if problem := gap_problem(mask, missing):
                raise InputError(f"{self.path}: {name} at {minute(time)} {problem}")


def open_initial(
    source: str | Path | xr.Dataset, task: Task, usual: Usual | None = None, named: str = "the dataset"
) -> Initial:
    """Open the initial conditions of forecasts of `task`: a file or dataset with prognostic and static variables.

    When values are read, they are checked against the table's ranges and against `usual`, means and spreads by channel.
    A dataset is called `named` in messages. Raises InputError, with found and expected, for wrong variables, levels,
    units, order of coordinates, or step between frames.
    """
    path = named if isinstance(source, xr.Dataset) else source
    dataset = source if isinstance(source, xr.Dataset) else open_unchecked(source, dask=False)
    dataset = with_our_names(dataset, path)
    names = [*task.prognostic, *task.static]
    if any(VARIABLES[name].missing_over_land for name in names) and MASK not in names:
        names.append(MASK)
    require(dataset, path, names, task.levels)
    example = "time" in dataset.dims and dataset.time.dtype.kind == "m"
    dataset = checked(with_valid_time(dataset, path)[0][names], path)
    inits = _inits(dataset, task, path)
    first = dataset.time.values[0] + (task.history - 1) * task.step * _HOUR if example else None
    return Initial(path, task, grid_of(dataset, path), fingerprint(dataset, path), inits, first, dataset, usual)


def read_noise(path: str | Path, task: Task, grid: LatLonGrid) -> Float[np.ndarray, "node target"]:
    """Noise of unit variance for every target, of dims (batch, time, [level,] lat, lon) with one batch and one time.

    Raises InputError for another grid, an absent variable or level, and values that are not finite.
    """
    dataset = with_our_names(open_unchecked(path, dask=False), path)
    require(dataset, path, task.targets, task.levels)
    if dataset.sizes.get("time") != 1:
        raise InputError(f"{path}: time has length {dataset.sizes.get('time', 0)}, expected 1")
    # Noise has no date and no units.
    dataset = dataset[list(task.targets)].assign_coords(time=np.zeros(1, "datetime64[ns]")).drop_attrs()
    if (held := grid_of(checked(dataset, path), path)) != grid:
        raise InputError(f"{path}: the noise is on the grid {held}, expected the forecast's grid {grid}")
    layout = ChannelLayout.of(task.targets, task.levels)
    for name in layout.variables:
        if bad := int((~np.isfinite(read(dataset[name], path))).sum()):
            raise InputError(f"{path}: {name} has {bad} NaN or infinite values; expected none")
    return layout.pack(dataset)[0]


def with_our_names(dataset: xr.Dataset, path: str | Path) -> xr.Dataset:
    """The dataset without its batch dimension, and with latitude and longitude as names."""
    dataset = dataset.rename({short: name for short, name in _SPELLINGS.items() if _holds(dataset, short)})
    if "batch" not in dataset.dims:
        return dataset
    if dataset.sizes["batch"] != 1:
        raise InputError(f"{path}: batch has length {dataset.sizes['batch']}, expected 1")
    return dataset.isel(batch=0, drop=True)


def _holds(dataset: xr.Dataset, name: str) -> bool:
    return name in dataset.dims or name in dataset.variables


def _inits(dataset: xr.Dataset, task: Task, path: str | Path) -> np.ndarray:
    if "time" not in dataset.dims or not dataset.sizes["time"]:
        raise InputError(f"{path}: no times")
    times = dataset.time.values.astype("datetime64[ns]")
    whole = np.ones(len(times), bool)
    for k in range(1, task.history):
        whole &= np.isin(times - k * task.step * _HOUR, times)
    if not whole.any():
        steps = np.unique(np.diff(times)) / _HOUR
        found = f"time advances by {' or '.join(f'{x:g}' for x in steps[:3])} h" if len(steps) else "one time only"
        raise InputError(f"{path}: {found}; expected {task.history} frames {task.step} h apart")
    return times[whole]
