"""What is judged against what: forecast files by system, the truth and the climatology, checked to fit exactly."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import xarray as xr
from jaxtyping import Float

from airmass.data.climatology import climatology_at, open_climatology
from airmass.errors import InputError
from airmass.forecast_file import open_forecast, read_lead_times, system_of
from airmass.grid import LatLonGrid, latitude_weights
from airmass.scores import BASELINES
from airmass.store import grid_of, minute, open_store, read, require, require_times
from airmass.variables import VARIABLES, same_units

# Read at once from one variable of one store.
_READ_BYTES = 256 << 20


@dataclass(frozen=True)
class System:
    """The forecasts of one system: which file holds each initial time, and where in it."""

    name: str
    sources: dict[np.datetime64, tuple[Path, xr.Dataset, int]]

    @property
    def paths(self) -> list[Path]:
        return list(dict.fromkeys(path for path, _, _ in self.sources.values()))

    @cached_property
    def example(self) -> xr.Dataset:
        return next(dataset for _, dataset, _ in self.sources.values())

    @property
    def init_times(self) -> np.ndarray:
        return np.array(sorted(self.sources))

    @property
    def variables(self) -> tuple[str, ...]:
        return tuple(sorted(map(str, self.example.data_vars)))

    def path(self, init_time: np.datetime64) -> Path:
        return self.sources[init_time][0]

    def read(self, name: str, init_time: np.datetime64, leads: slice) -> Float[np.ndarray, "lead_time level node"]:
        path, dataset, index = self.sources[init_time]
        return _with_level_axis(name, read_lead_times(dataset, path, name, index, leads))


@dataclass(frozen=True)
class Judged:
    """Systems with the same initial times, lead times, levels and grid; truth and climatology that cover them."""

    systems: tuple[System, ...]
    truth: xr.Dataset
    truth_path: Path
    climatology: xr.Dataset | None
    climatology_path: Path | None
    grid: LatLonGrid

    @property
    def init_times(self) -> np.ndarray:
        return self.systems[0].init_times

    @property
    def lead_times(self) -> np.ndarray:
        return self.systems[0].example.lead_time.values

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

    def levels(self, name: str) -> tuple[int | None, ...]:
        if not VARIABLES[name].on_levels:
            return (None,)
        return tuple(int(level) for level in self.systems[0].example.level.values)

    def frame_bytes(self, name: str) -> int:
        return 4 * len(self.levels(name)) * self.grid.size

    def lead_blocks(self, name: str) -> Iterator[slice]:
        """Slices of lead times that are small enough to read at once."""
        step = max(1, _READ_BYTES // self.frame_bytes(name))
        for start in range(0, len(self.lead_times), step):
            yield slice(start, min(start + step, len(self.lead_times)))

    def truth_frames(self, name: str) -> "Frames":
        field, frame_bytes = self._select(self.truth, name), self.frame_bytes(name)
        return Frames(lambda times: _values(field.sel(time=times), self.truth_path), self.times, frame_bytes)

    def climatology_frames(self, name: str) -> "Frames | None":
        if self.climatology is None or self.climatology_path is None:
            return None
        path, dataset = self.climatology_path, self._select(self.climatology, name).to_dataset()
        frame_bytes = self.frame_bytes(name)
        return Frames(lambda times: _values(climatology_at(dataset, times)[name], path), self.times, frame_bytes)

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


def open_judged(forecasts: Sequence[str | Path], truth: str | Path, climatology: str | Path | None) -> Judged:
    """Open everything and check that it fits. Raises InputError showing both sides of what does not."""
    systems = _open_systems(forecasts)
    first = systems[0]
    grid = grid_of(first.example, first.paths[0])
    truth_store = open_store(truth)
    path = _climatology_path(systems, climatology)
    normal = None if path is None else _open_climatology(path)
    judged = Judged(systems, truth_store, Path(truth), normal, path, grid)
    levels = first.example.level.values.tolist() if "level" in first.example.coords else ()
    for dataset, where in ((truth_store, truth), (normal, path)):
        if dataset is not None and where is not None:
            require(dataset, where, judged.variables, levels)
            _same_grid(grid_of(dataset, where), where, grid, first.paths[0])
    require_times(truth_store, truth, judged.times)
    return judged


def _open_systems(paths: Sequence[str | Path]) -> tuple[System, ...]:
    if not paths:
        raise InputError("no forecast files named, expected one or more")
    found: dict[str, System] = {}
    for path in map(Path, paths):
        dataset = open_forecast(path)
        system = found.setdefault(name := system_of(dataset, path), System(name, {}))
        if name in BASELINES:
            raise InputError(f"{path}: its system is {name!r}, a name kept for the baseline judged beside every model")
        for index, init_time in enumerate(dataset.init_time.values):
            if init_time in system.sources:
                raise InputError(
                    f"{path}: initial time {minute(init_time)} of {name} is also in {system.sources[init_time][0]}"
                )
            system.sources[init_time] = (path, dataset, index)
    systems = tuple(found[name] for name in sorted(found))
    for system in systems:
        for path, dataset, _ in system.sources.values():
            _same_axes(systems[0], dataset, path)
            _same_variables(system, dataset, path)
    _same_dates(systems)
    return systems


def _same_axes(first: System, dataset: xr.Dataset, path: Path) -> None:
    _same_grid(grid_of(dataset, path), path, grid_of(first.example, first.paths[0]), first.paths[0])
    for axis in ("lead_time", "level"):
        found, expected = (d[axis].values if axis in d.coords else np.array([]) for d in (dataset, first.example))
        if not np.array_equal(found, expected):
            raise InputError(f"{path}: {axis} is {_span(found)}, but in {first.paths[0]} it is {_span(expected)}")


def _same_variables(system: System, dataset: xr.Dataset, path: Path) -> None:
    found = tuple(sorted(map(str, dataset.data_vars)))
    if found != system.variables:
        raise InputError(f"{path}: holds {', '.join(found)}, but {system.paths[0]} holds {', '.join(system.variables)}")


def _same_dates(systems: Sequence[System]) -> None:
    first = systems[0]
    for other in systems[1:]:
        different = np.setxor1d(first.init_times, other.init_times)
        if different.size:
            raise InputError(
                f"{other.paths[0]}: {other.name} starts from {_span(other.init_times)}, but {first.name} in "
                f"{first.paths[0]} from {_span(first.init_times)}; first in one only: {minute(different[0])}"
            )


def _same_grid(found: LatLonGrid, path: str | Path | None, expected: LatLonGrid, where: Path) -> None:
    if found != expected:
        raise InputError(f"{path}: grid is {found}, but {where} is on {expected}")


def _span(values: np.ndarray) -> str:
    if not len(values):
        return "absent"
    if values.dtype.kind == "m":
        values = values / np.timedelta64(1, "h")
        return f"{values[0]:g} to {values[-1]:g} h ({len(values)})"
    if values.dtype.kind == "M":
        return f"{minute(values[0])} to {minute(values[-1])} ({len(values)})"
    return str(values.tolist())


def _climatology_path(systems: Sequence[System], named: str | Path | None) -> Path | None:
    """The climatology to use: the one named, else the one all forecasts agree on."""
    if named is not None:
        return Path(named)
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
        if not Path(text).exists():
            raise InputError(f"{path}: its climatology {text} does not exist; name one with --climatology")
        return Path(text)
    return None


def _open_climatology(path: Path) -> xr.Dataset:
    """Open a climatology of dims (hour, dayofyear, [level,] latitude, longitude), by its path or its folder's."""
    inside = path / "climatology.zarr"
    path = inside if inside.exists() else path
    dataset = open_climatology(path)
    for name, field in ((str(name), field) for name, field in dataset.data_vars.items()):
        units = field.attrs.get("units")
        if name in VARIABLES and units is not None and not same_units(units, VARIABLES[name].units):
            raise InputError(f"{path}: {name} has units {units!r}, expected {VARIABLES[name].units!r}")
    return dataset


def _values(field: xr.DataArray, path: str | Path) -> Float[np.ndarray, "time level node"]:
    return _with_level_axis(str(field.name), read(field, path))


def _with_level_axis(name: str, values: np.ndarray) -> Float[np.ndarray, "time level node"]:
    """Float32, with an axis of levels, of length one where there are none."""
    values = np.asarray(values, np.float32)
    return values.reshape(len(values), values.shape[1] if VARIABLES[name].on_levels else 1, -1)
