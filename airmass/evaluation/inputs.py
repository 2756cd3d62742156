"""What is judged against what: forecast files by system, the truth and the climatology, checked to fit exactly."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import xarray as xr
from jaxtyping import Float

from airmass.core.errors import InputError
from airmass.core.place import Place, is_url, located
from airmass.data.formats.climatology import (
    climatology_at,
    climatology_store,
    open_climatology,
    quantiles_at,
    quantiles_held,
)
from airmass.data.formats.store import grid_of, open_store, read, require, require_times
from airmass.data.plausible import require_plausible
from airmass.evaluation.forecasts import System, chosen_times, open_systems, same_grid, with_level_axis
from airmass.fields.derived import combined, parts_of, scored
from airmass.fields.grid import LatLonGrid, latitude_weights
from airmass.fields.variables import VARIABLES, same_units

# Read at once from one variable of one store.
_READ_BYTES = 256 << 20


@dataclass(frozen=True)
class Judged:
    """Systems on the same levels and grid, and initial and lead times that all of them hold; truth and climatology
    that cover them.
    """

    systems: tuple[System, ...]
    init_times: np.ndarray
    lead_times: np.ndarray
    truth: xr.Dataset
    truth_path: Place
    climatology: xr.Dataset | None
    climatology_path: Place | None
    grid: LatLonGrid

    @cached_property
    def times(self) -> np.ndarray:
        """Every time at which truth is needed, rising."""
        valid = self.init_times[:, None] + self.lead_times
        return np.unique(np.concatenate([self.init_times, valid.ravel()]))

    @cached_property
    def weights(self) -> Float[np.ndarray, " node"]:
        return np.repeat(latitude_weights(self.grid.latitude), len(self.grid.longitude))

    @property
    def variables(self) -> tuple[str, ...]:
        return tuple(sorted({name for system in self.systems for name in system.variables}))

    @property
    def held_variables(self) -> tuple[str, ...]:
        """What must be read for `variables`."""
        return tuple(dict.fromkeys(part for name in self.variables for part in parts_of(name)))

    def levels(self, name: str) -> tuple[int | None, ...]:
        if not scored(name).on_levels:
            return (None,)
        return tuple(int(level) for level in self.systems[0].example.level.values)

    def _pressures(self, name: str) -> tuple[int, ...]:
        return tuple(level for level in self.levels(name) if level is not None)

    def frame_bytes(self, name: str) -> int:
        return 4 * len(self.levels(name)) * self.grid.size

    def lead_blocks(self, name: str) -> Iterator[np.ndarray]:
        """Lead times, a few that are small enough to read at once for all members of any system."""
        step = max(1, _READ_BYTES // (self.frame_bytes(name) * max(system.members for system in self.systems)))
        for start in range(0, len(self.lead_times), step):
            yield self.lead_times[start : start + step]

    def truth_frames(self, name: str) -> "Frames":
        fields = [self._select(self.truth, part) for part in parts_of(name)]

        def read_at(times: np.ndarray) -> np.ndarray:
            parts = [read(field.sel(time=times), self.truth_path) for field in fields]
            for part, values in zip(parts_of(name), parts, strict=True):
                require_plausible(self.truth_path, part, values, self._pressures(part), times)
            return with_level_axis(name, combined(name, parts))

        return Frames(read_at, self.times, self.frame_bytes(name))

    def climatology_frames(self, name: str) -> "Frames | None":
        """None without a climatology, and for the wind speed, whose mean is not that of the mean wind."""
        if self.climatology is None or self.climatology_path is None or parts_of(name) != (name,):
            return None
        path, dataset = self.climatology_path, self._select(self.climatology, name).to_dataset()

        def read_at(times: np.ndarray) -> np.ndarray:
            values = read(climatology_at(dataset, times)[name], path)
            require_plausible(path, name, values, self._pressures(name), times)
            return with_level_axis(name, values)

        return Frames(read_at, self.times, self.frame_bytes(name))

    def quantiles(self, name: str) -> tuple[float, ...]:
        """The climatological quantiles whose extremes are judged."""
        return () if self.climatology is None else quantiles_held(self.climatology, name)

    def quantile_frames(self, name: str) -> "Frames | None":
        """Quantiles in the place of levels."""
        quantiles, dataset, path = self.quantiles(name), self.climatology, self.climatology_path
        if not quantiles or dataset is None or path is None:
            return None

        def read_at(times: np.ndarray) -> np.ndarray:
            return quantiles_at(dataset, path, name, times).reshape(len(times), len(quantiles), -1)

        return Frames(read_at, self.times, len(quantiles) * self.frame_bytes(name))

    def _select(self, dataset: xr.Dataset, name: str) -> xr.DataArray:
        return dataset[name].sel(level=list(self.levels(name))) if VARIABLES[name].on_levels else dataset[name]


class Frames:
    """Fields of one variable by valid time, each read once, ahead in blocks, and dropped when it is past.

    `read` maps times to (time, level, node); `times` are all that will be asked for, in about rising order.
    """

    def __init__(self, read: Callable[[np.ndarray], np.ndarray], times: np.ndarray, frame_bytes: int):
        self._read, self._times = read, times
        self._ahead = max(1, _READ_BYTES // frame_bytes)
        self._held: dict[np.datetime64, np.ndarray] = {}

    def at(self, times: Sequence[np.datetime64] | np.ndarray) -> Float[np.ndarray, "time level node"]:
        while absent := [time for time in times if time not in self._held]:
            start = np.searchsorted(self._times, absent[0])
            ahead = np.array([t for t in self._times[start : start + self._ahead] if t not in self._held])
            self._held.update(zip(ahead, self._read(ahead), strict=True))
        return np.stack([self._held[time] for time in times])

    def forget_before(self, time: np.datetime64) -> None:
        for past in [held for held in self._held if held < time]:
            del self._held[past]


def open_judged(
    forecasts: Sequence[str | Path],
    truth: str | Path,
    climatology: str | Path | None,
    lead_times: Sequence[str] | None = None,
    init_times: Sequence[str] | None = None,
) -> Judged:
    """Open everything and check that it fits. Raises InputError showing both sides of what does not.

    `lead_times`, such as 24h or 5d, and `init_times`, such as 2001-01-05T00, choose what every system must hold;
    `["common"]` what all of them do hold. By default all systems must hold the same.
    """
    systems = open_systems(forecasts)
    first = systems[0]
    init_values, lead_values = (
        chosen_times(systems, "init_time", init_times),
        chosen_times(systems, "lead_time", lead_times),
    )
    grid = grid_of(first.example, first.paths[0])
    truth_store = open_store(truth)
    path = _climatology_path(systems, climatology)
    normal = None if path is None else _open_climatology(path)
    judged = Judged(systems, init_values, lead_values, truth_store, located(truth), normal, path, grid)
    levels = first.example.level.values.tolist() if "level" in first.example.coords else ()
    for dataset, where in ((truth_store, truth), (normal, path)):
        if dataset is not None and where is not None:
            require(dataset, where, judged.held_variables, levels)
            same_grid(grid_of(dataset, where), where, grid, first.paths[0])
    require_times(truth_store, truth, judged.times)
    return judged


def _climatology_path(systems: Sequence[System], named: Place | None) -> Place | None:
    """The climatology to use: the one named, else the one all forecasts agree on."""
    if named is not None:
        return located(named)
    said = {
        str(dataset.attrs["airmass_climatology"]): path
        for system in systems
        for path, dataset, _ in system.sources.values()
        if dataset.attrs.get("airmass_climatology")
    }
    if len(said) > 1:
        (one, path), (other, other_path), *_ = said.items()
        raise InputError(f"{path}: its climatology is {one}, but that of {other_path} is {other}; name one")
    for text, path in said.items():
        if not is_url(text) and not Path(text).exists():
            raise InputError(f"{path}: its climatology {text} does not exist; name one with --climatology")
        return located(text)
    return None


def _open_climatology(path: Place) -> xr.Dataset:
    """Open a climatology of dims (hour, dayofyear, [level,] latitude, longitude), by its path or its folder's."""
    path = climatology_store(path)
    dataset = open_climatology(path)
    for name, field in ((str(name), field) for name, field in dataset.data_vars.items()):
        units = field.attrs.get("units")
        if name in VARIABLES and units is not None and not same_units(units, VARIABLES[name].units):
            raise InputError(f"{path}: {name} has units {units!r}, expected {VARIABLES[name].units!r}")
    return dataset
