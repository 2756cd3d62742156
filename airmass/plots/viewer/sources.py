"""Forecasts and truth to show, on one grid: which fields, times and members there are, and their values."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Float

from airmass.core.errors import InputError
from airmass.core.place import Place, located
from airmass.data.formats.forecast_reader import MEMBER, hours, members_of, open_forecast, read_members, system_of
from airmass.data.formats.layout import grid_of, minute
from airmass.data.formats.reading import reading
from airmass.data.formats.store import open_store, read
from airmass.data.plausible import require_plausible
from airmass.fields.clock import parse_time
from airmass.fields.grid import LatLonGrid
from airmass.fields.variables import COMPUTED, VARIABLES, Variable, variable_at_level
from airmass.plots.style import title_of

Members = Float[np.ndarray, "number time latitude longitude"]


@dataclass(frozen=True)
class ViewField:
    """One variable at one level."""

    variable: Variable
    level: int | None

    @property
    def key(self) -> str:
        """Name as users type it: `z500`, `2t`."""
        return self.variable.short_name + ("" if self.level is None else str(self.level))

    @property
    def title(self) -> str:
        return title_of(self.variable, self.level)


@dataclass(frozen=True)
class ForecastSource:
    """A forecast file and the initial times of it to show."""

    dataset: xr.Dataset
    path: Place
    name: str
    inits: tuple[int, ...]

    @property
    def init_times(self) -> np.ndarray:
        return self.dataset.init_time.values[list(self.inits)]

    @property
    def lead_hours(self) -> list[float]:
        return hours(self.dataset.lead_time.values)

    @property
    def members(self) -> list[int]:
        """Numbers of the members; empty for a single forecast."""
        return [int(number) for number in self.dataset[MEMBER].values] if MEMBER in self.dataset.dims else []

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of initial times, and of times of each."""
        return len(self.inits), self.dataset.sizes["lead_time"]

    @property
    def valid_times(self) -> np.ndarray:
        return np.unique(self.init_times[:, None] + self.dataset.lead_time.values)

    def frames(self, field: ViewField) -> int:
        return len(self.inits) * members_of(self.dataset) * self.shape[1]

    def read(self, fields: Sequence[ViewField], init: int, leads: slice) -> list[Members]:
        """All members of some levels of one variable, from the initial time number `init` of those shown."""
        name, index = fields[0].variable.name, self.inits[init]
        values = read_members(self.dataset, self.path, name, index, leads)
        times = self.dataset.init_time.values[index] + self.dataset.lead_time.values[leads]
        parts = [values[:, :, _level(self.dataset, field)] if field.level is not None else values for field in fields]
        for field, part in zip(fields, parts, strict=True):
            for member in part:
                _require_drawable(self.path, field, member, times, forecast=True)
        return parts

    def read_frame(self, field: ViewField, init: int, lead: int, members: int | None = None) -> Members:
        """The first `members` (all if None) of one field at one time, reading no other level where chunks allow."""
        chosen = self.dataset[field.variable.name].isel(init_time=self.inits[init], lead_time=[lead])
        chosen = chosen.isel({MEMBER: slice(members)}) if MEMBER in chosen.dims else chosen
        chosen = chosen if field.level is None else chosen.sel(level=field.level)
        with reading(self.path, field.key):
            values = np.asarray(chosen.values, np.float32)
        return values if MEMBER in chosen.dims else values[None]

    def read_node(self, field: ViewField, init: int, node: int) -> Float[np.ndarray, "time number"]:
        """All members of one field at one node of the grid, at all lead times."""
        chosen = _node(self.dataset[field.variable.name].isel(init_time=self.inits[init]), field, node)
        with reading(self.path, field.key):
            values = np.asarray(chosen.values, np.float32)
        return values.T if MEMBER in chosen.dims else values[:, None]


@dataclass(frozen=True)
class TruthSource:
    """A store of fields and the times of it to show."""

    dataset: xr.Dataset
    path: Place
    name: str
    times: np.ndarray

    @property
    def members(self) -> list[int]:
        return []

    @property
    def shape(self) -> tuple[int, int]:
        return 1, len(self.times)

    def frames(self, field: ViewField) -> int:
        return len(self.times)

    def read(self, fields: Sequence[ViewField], init: int, times: slice) -> list[Members]:
        """Some levels of one variable at some of the times, each as one member."""
        values = read(self.dataset[fields[0].variable.name].sel(time=self.times[times]), self.path).astype(np.float32)
        parts = [values[:, _level(self.dataset, field)] if field.level is not None else values for field in fields]
        for field, part in zip(fields, parts, strict=True):
            _require_drawable(self.path, field, part, self.times[times])
        return [part[None] for part in parts]

    def read_frame(self, field: ViewField, init: int, time: int, members: int | None = None) -> Members:
        chosen = self.dataset[field.variable.name].sel(time=self.times[[time]])
        return read(chosen if field.level is None else chosen.sel(level=field.level), self.path)[None]

    def read_node(self, field: ViewField, init: int, node: int) -> Float[np.ndarray, "time number"]:
        chosen = _node(self.dataset[field.variable.name].sel(time=self.times), field, node)
        return read(chosen, self.path)[:, None]


@dataclass(frozen=True)
class Contents:
    """Everything that a page shows; `missing` says in words what the truth lacks."""

    grid: LatLonGrid
    fields: tuple[ViewField, ...]
    forecasts: tuple[ForecastSource, ...]
    truth: TruthSource | None
    missing: tuple[str, ...] = ()

    @property
    def values(self) -> int:
        """Number of values of all fields."""
        sources = (*self.forecasts, *((self.truth,) if self.truth else ()))
        return self.grid.size * sum(source.frames(f) for source in sources for f in self.fields if holds(source, f))


def holds(source: ForecastSource | TruthSource, field: ViewField) -> bool:
    return field in fields_of(source.dataset)


def fields_of(dataset: xr.Dataset) -> list[ViewField]:
    """All fields of a dataset that change with time, in the table's order."""
    named = [
        VARIABLES[n] for n in VARIABLES if n in dataset.data_vars and not VARIABLES[n].static and n not in COMPUTED
    ]
    levels = [int(level) for level in np.atleast_1d(dataset.level.values)] if "level" in dataset.coords else []
    return [ViewField(v, level) for v in named for level in (levels if v.on_levels else [None])]


def open_contents(
    forecasts: Sequence[Place],
    truth: Place | None = None,
    fields: Sequence[str] | None = None,
    init_times: Sequence[str] | None = None,
    all_init_times: bool = False,
) -> Contents:
    """Open forecasts and truth. `fields` are named like `z500`; by default all, from the first initial time.

    Raises InputError for grids that differ, for a field that no forecast has, an initial time that one of them lacks,
    and a truth that has no time or no field of them.
    """
    opened = [_opened(path, init_times, all_init_times) for path in forecasts]
    grid = grid_of(opened[0].dataset, opened[0].path)
    for source in opened[1:]:
        _require_grid(grid, opened[0].path, source.dataset, source.path)
    _require_names(opened)
    shown = _fields(opened, fields)
    if truth is None:
        return Contents(grid, shown, tuple(opened), None)
    dataset = open_store(truth, dask=False)
    _require_grid(grid, opened[0].path, dataset, truth)
    return Contents(grid, shown, tuple(opened), *_truth(dataset, located(truth), opened, shown))


def _opened(path: Place, init_times: Sequence[str] | None, everything: bool) -> ForecastSource:
    dataset = open_forecast(path, ensemble=True)
    held = dataset.init_time.values
    if init_times is None:
        inits = tuple(range(len(held))) if everything else (0,)
        return ForecastSource(dataset, located(path), system_of(dataset, path), inits)
    wanted = np.unique([parse_time(text) for text in init_times])
    for time in wanted[~np.isin(wanted, held)]:
        span = f"{len(held)} from {minute(held[0])} to {minute(held[-1])}"
        raise InputError(f"{path}: no initial time {minute(time)}; it holds {span}")
    inits = tuple(int(index) for index in np.searchsorted(held, wanted))
    return ForecastSource(dataset, located(path), system_of(dataset, path), inits)


def _require_names(sources: Sequence[ForecastSource]) -> None:
    names = [source.name for source in sources]
    for source in sources:
        if names.count(source.name) > 1:
            raise InputError(
                f"{source.path}: is of the system {source.name!r} as another forecast is, expected names that differ "
                "(attribute 'airmass_system')"
            )


def _require_grid(grid: LatLonGrid, path: Place, dataset: xr.Dataset, other: Place) -> None:
    if grid != (found := grid_of(dataset, other)):
        raise InputError(f"{other}: grid is {found}, but {path} is on {grid}")


def _fields(sources: Sequence[ForecastSource], wanted: Sequence[str] | None) -> tuple[ViewField, ...]:
    held = list(dict.fromkeys(field for source in sources for field in fields_of(source.dataset)))
    if wanted is None:
        if not held:
            raise InputError(f"{sources[0].path}: holds no field that changes with time, expected some to show")
        return tuple(held)
    asked = list(dict.fromkeys(ViewField(*variable_at_level(text)) for text in wanted))
    for field in asked:
        if field not in held:
            raise InputError(
                f"{sources[0].path}: no field {field.key} ({field.title}); the forecast holds "
                + ", ".join(other.key for other in held)
            )
    return tuple(asked)


def _truth(
    dataset: xr.Dataset, path: Place, forecasts: Sequence[ForecastSource], fields: Sequence[ViewField]
) -> tuple[TruthSource, tuple[str, ...]]:
    """The truth at the valid times that it holds, and what it lacks."""
    wanted = np.unique(np.concatenate([source.valid_times for source in forecasts]))
    held = dataset.time.values if "time" in dataset.dims else np.array([], "datetime64[ns]")
    times = wanted[np.isin(wanted, held)]
    lacking = [field.key for field in fields if field not in fields_of(dataset)]
    if not times.size or len(lacking) == len(fields):
        span = f"{minute(held[0])} to {minute(held[-1])}" if held.size else "no times"
        what = f"none of the valid times {minute(wanted[0])} to {minute(wanted[-1])}; it holds {span}"
        raise InputError(f"{path}: has {what if not times.size else 'none of the fields ' + ', '.join(lacking)}")
    missing = [f"The truth has no {', '.join(lacking)}."] if lacking else []
    if len(times) < len(wanted):
        missing.append(f"The truth lacks {len(wanted) - len(times)} of {len(wanted)} valid times.")
    name = path.name if hasattr(path, "name") else str(path).rstrip("/").rpartition("/")[2]
    return TruthSource(dataset, path, name, times), tuple(missing)


def _node(field: xr.DataArray, shown: ViewField, node: int) -> xr.DataArray:
    row, column = divmod(node, field.sizes["longitude"])
    chosen = field.isel(latitude=row, longitude=column)
    return chosen if shown.level is None else chosen.sel(level=shown.level)


def _level(dataset: xr.Dataset, field: ViewField) -> int:
    return int(np.flatnonzero(np.atleast_1d(dataset.level.values) == field.level)[0])


def _require_drawable(
    path: Place, field: ViewField, values: np.ndarray, times: np.ndarray, forecast: bool = False
) -> None:
    """Raise InputError for infinite or implausible values. Missing values are left blank."""
    if infinite := int(np.isinf(values).sum()):
        raise InputError(f"{path}: {field.variable.name} has {infinite} infinite values at {minute(times[0])}")
    frames, levels = (values, ()) if field.level is None else (values[:, None], (field.level,))
    require_plausible(path, field.variable.name, frames, levels, times, forecast=forecast)
