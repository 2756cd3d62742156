"""Inputs of an evaluation, opened and checked in one pass: forecasts, truth, climatology, times."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float

from airmass.core.errors import InputError
from airmass.core.place import Place, is_url, located
from airmass.data.formats.climatology import (
    climatology_at,
    climatology_store,
    dry_fraction,
    has_seeps,
    heavy_at,
    open_climatology,
    quantiles_at,
    quantiles_held,
)
from airmass.data.formats.forecast_reader import hours
from airmass.data.formats.layout import grid_of, minute
from airmass.data.formats.store import open_store, read, require, require_times
from airmass.data.plausible import require_plausible
from airmass.evaluation.field_cache import READ_BYTES, FieldCache
from airmass.evaluation.forecasts import SystemForecasts, chosen_times, open_systems, same_grid, with_level_axis
from airmass.evaluation.history import History, years_of
from airmass.evaluation.metrics import chosen_metrics
from airmass.evaluation.periods import Grouping, periods
from airmass.evaluation.regions import LAND_MASK, needs_land_mask, region_names, region_weights, station_weights
from airmass.evaluation.request import VerificationRequest
from airmass.evaluation.station_doubts import OFFSETS, refuse_local_time
from airmass.evaluation.stations import Stations, open_stations
from airmass.fields.derived import combined, linear, parts_of, scored
from airmass.fields.grid import LatLonGrid
from airmass.fields.variables import VARIABLES, same_units

# Initial times whose forecasts are compared with observations to tell local times.
_LOCAL_TIMES = 60


@dataclass(frozen=True)
class VerificationData:
    """Aligned inputs of an evaluation: all systems have the same grid, levels, initial and lead times, and truth and
    climatology cover them. Spectra are computed at `spectra_lead_times`, maps of scores at `maps_lead_times`. Scores
    are means over the globe and over `regions`, over all dates and over those of each period that `by` makes.
    """

    systems: tuple[SystemForecasts, ...]
    init_times: np.ndarray
    lead_times: np.ndarray
    spectra_lead_times: np.ndarray
    maps_lead_times: np.ndarray
    truth: xr.Dataset
    truth_path: Place
    climatology: xr.Dataset | None
    climatology_path: Place | None
    grid: LatLonGrid
    regions: tuple[str, ...]
    weights: Float[np.ndarray, "bin node"]  # of the globe, then of the regions
    by: Grouping | None
    metrics: tuple[str, ...]
    history: History | None
    stations: Stations | None

    @property
    def bins(self) -> tuple[str | None, ...]:
        """The globe (None), then the regions."""
        return (None, *self.regions)

    @cached_property
    def periods(self) -> Mapping[str | None, Bool[np.ndarray, "init_time lead_time"]]:
        """All dates (None), then the dates of each period."""
        valid = self.init_times[:, None] + self.lead_times
        found: dict[str | None, np.ndarray] = {None: np.ones(valid.shape, bool)}
        return found | dict(periods(self.by, valid) if self.by else {})

    @cached_property
    def times(self) -> np.ndarray:
        """All times at which truth is needed, sorted."""
        valid = self.init_times[:, None] + self.lead_times
        return np.unique(np.concatenate([self.init_times, valid.ravel()]))

    @property
    def variables(self) -> tuple[str, ...]:
        names = sorted({name for system in self.systems for name in system.variables})
        return tuple(name for name in names if self.stations is None or name in self.stations.values)

    def placed(self, name: str, values: Float[np.ndarray, "*batch node"]) -> Float[np.ndarray, "*batch place"]:
        """A field at the places that are scored: the grid points, or the stations."""
        return values if self.stations is None else self.stations.at(name, values)

    @property
    def held_variables(self) -> tuple[str, ...]:
        """Variables to read from files in order to score `variables`."""
        return tuple(dict.fromkeys(part for name in self.variables for part in parts_of(name)))

    def levels(self, name: str) -> tuple[int | None, ...]:
        if not scored(name).on_levels:
            return (None,)
        return self.systems[0].levels

    def _pressures(self, name: str) -> tuple[int, ...]:
        return tuple(level for level in self.levels(name) if level is not None)

    def frame_bytes(self, name: str) -> int:
        return 4 * len(self.levels(name)) * self.grid.size

    def lead_blocks(self, name: str) -> Iterator[np.ndarray]:
        """Yield blocks of lead times small enough to read at once for all members of any system."""
        step = max(1, READ_BYTES // (self.frame_bytes(name) * max(system.members for system in self.systems)))
        for start in range(0, len(self.lead_times), step):
            yield self.lead_times[start : start + step]

    def truth_frames(self, name: str) -> FieldCache:
        if self.stations is not None:
            stations = self.stations
            return FieldCache(lambda times: stations.observed(name, times), self.times, 4 * len(stations.names))
        fields = [self._select(self.truth, part) for part in parts_of(name)]

        def read_at(times: np.ndarray) -> np.ndarray:
            parts = [read(field.sel(time=times), self.truth_path) for field in fields]
            for part, values in zip(parts_of(name), parts, strict=True):
                require_plausible(self.truth_path, part, values, self._pressures(part), times)
            return with_level_axis(name, combined(name, parts, self.systems[0].levels))

        return FieldCache(read_at, self.times, self.frame_bytes(name))

    def climatology_frames(self, name: str) -> FieldCache | None:
        """Climatology of a variable. None without a climatology, and for derived fields such as wind speed: the mean
        speed is not that of the mean wind."""
        if self.climatology is None or self.climatology_path is None or not linear(name):
            return None
        path = self.climatology_path
        datasets = {part: self._select(self.climatology, part).to_dataset() for part in parts_of(name)}

        def read_at(times: np.ndarray) -> np.ndarray:
            parts = [read(climatology_at(dataset, times)[part], path) for part, dataset in datasets.items()]
            for part, values in zip(datasets, parts, strict=True):
                require_plausible(path, part, values, self._pressures(part), times)
            return self.placed(name, with_level_axis(name, combined(name, parts, self.systems[0].levels)))

        return FieldCache(read_at, self.times, self.frame_bytes(name))

    def quantiles(self, name: str) -> tuple[float, ...]:
        """Climatological quantiles beyond which extremes are scored."""
        return () if self.climatology is None else quantiles_held(self.climatology, name)

    def quantile_frames(self, name: str) -> FieldCache | None:
        """Climatological quantiles of a variable, along the level axis; None without any."""
        quantiles, dataset, path = self.quantiles(name), self.climatology, self.climatology_path
        if not quantiles or dataset is None or path is None:
            return None

        def read_at(times: np.ndarray) -> np.ndarray:
            held = quantiles_at(dataset, path, name, times).reshape(len(times), len(quantiles), -1)
            return self.placed(name, held)

        return FieldCache(read_at, self.times, len(quantiles) * self.frame_bytes(name))

    def wetness(self, name: str) -> tuple[Float[np.ndarray, " place"] | None, FieldCache | None]:
        """Dry fraction of precipitation, and the threshold of heavy one by valid time, for SEEPS; None without them."""
        dataset, path = self.climatology, self.climatology_path
        if dataset is None or path is None or not has_seeps(dataset, name):
            return None, None

        def read_at(times: np.ndarray) -> np.ndarray:
            return self.placed(name, heavy_at(dataset, path, name, times).reshape(len(times), 1, -1))

        dry = self.placed(name, dry_fraction(dataset, path, name).reshape(-1))
        return np.asarray(dry, np.float64), FieldCache(read_at, self.times, self.frame_bytes(name))

    def _select(self, dataset: xr.Dataset, name: str) -> xr.DataArray:
        levels = list(self.systems[0].levels)
        return dataset[name].sel(level=levels) if VARIABLES[name].on_levels else dataset[name]


def open_verification(request: VerificationRequest) -> VerificationData:
    """Open and check all inputs of an evaluation. Raises InputError, with both values, where two do not fit."""
    names, chosen = region_names(request.regions), chosen_metrics(request.metrics)
    systems = open_systems(request.forecasts, request.derived, request.variables)
    first = systems[0]
    path = _climatology_path(systems, request.climatology)
    grid = grid_of(first.example, first.paths[0])
    truth_store = xr.Dataset() if request.truth is None else open_store(request.truth, dask=False)
    observed = None if request.stations is None else _observations(request, request.stations, systems, grid)
    init_times = chosen_times(systems, "init_time", request.init_times)
    lead_times = chosen_times(systems, "lead_time", request.lead_times)
    data = VerificationData(
        systems=systems,
        init_times=init_times,
        lead_times=lead_times,
        spectra_lead_times=_among(systems, lead_times, request.spectra, "spectra"),
        maps_lead_times=_among(systems, lead_times, request.maps, "maps"),
        truth=truth_store,
        truth_path=located(request.truth if request.truth is not None else str(request.stations)),
        climatology=None if path is None else _open_climatology(path),
        climatology_path=path,
        grid=grid,
        regions=names,
        weights=_weights(names, grid, truth_store, request.truth, observed),
        by=request.by,
        metrics=chosen,
        history=None if request.history is None else _history(request.history, first, init_times, lead_times),
        stations=observed,
    )
    _require_all(data)
    return data


def _observations(
    request: VerificationRequest, stations: Place, systems: Sequence[SystemForecasts], grid: LatLonGrid
) -> Stations:
    first = systems[0]
    surface = None if request.orography is None else _surface(request.orography, grid, first.paths[0])
    return open_stations(stations, grid, surface, sorted({name for system in systems for name in system.variables}))


def _require_all(data: VerificationData) -> None:
    """Raise InputError unless truth, climatology and history have what the forecasts need, on their grid."""
    first = data.systems[0]
    stores = [] if data.stations is not None else [(data.truth, data.truth_path)]
    stores += (
        [] if data.climatology is None or data.climatology_path is None else [(data.climatology, data.climatology_path)]
    )
    stores += [] if data.history is None else [(data.history.dataset, data.history.path)]
    for dataset, where in stores:
        require(dataset, where, data.held_variables, first.levels)
        same_grid(grid_of(dataset, where), where, data.grid, first.paths[0])
    if data.stations is None:
        require_times(data.truth, data.truth_path, data.times)
    else:
        _require_observations(data, data.stations)
        _require_utc(data, data.stations)


def _require_observations(data: VerificationData, observed: Stations) -> None:
    """Raise InputError unless a station has a value at one of the valid times."""
    valid = np.unique((data.init_times[:, None] + data.lead_times).ravel())
    if not np.isin(valid, observed.times).any():
        spans = [f"{minute(times[0])} to {minute(times[-1])}, {_clock(times)}" for times in (observed.times, valid)]
        apart = observed.times[-1] < valid[0] or valid[-1] < observed.times[0]
        raise InputError(
            f"{observed.path}: has no observation at a valid time of the forecasts; its times are {spans[0]}, theirs "
            f"{spans[1]}{'' if apart else '; expected UTC: are these local times?'}"
        )


def _clock(times: np.ndarray) -> str:
    """Words on the times of day: "at 02:00, 08:00, 14:00, 20:00"."""
    held = sorted({minute(time)[11:] for time in times})
    return f"at {', '.join(held)}" if len(held) <= 8 else f"at {len(held)} times of day"


def _require_utc(data: VerificationData, observed: Stations) -> None:
    """Raise InputError where 2 m temperature shows that the observations are not in UTC."""
    name = "2m_temperature"
    system = next((system for system in data.systems if name in system.variables), None)
    if system is None or name not in observed.values:
        return
    starts, leads = data.init_times[:_LOCAL_TIMES], data.lead_times[:1]
    forecast = np.concatenate([data.placed(name, system.read(name, time, leads)).mean(axis=0)[:, 0] for time in starts])
    hour = np.timedelta64(1, "h")
    by_offset = {offset: observed.observed(name, starts + leads + offset * hour)[:, 0] for offset in OFFSETS}
    refuse_local_time(by_offset, forecast, name, VARIABLES[name].units, observed.path)


def _weights(
    names: Sequence[str], grid: LatLonGrid, truth: xr.Dataset, path: str | Path | None, observed: Stations | None
) -> Float[np.ndarray, "bin node"]:
    if observed is not None:
        return station_weights(names, observed.latitude, observed.longitude)
    land = _land(truth, str(path), grid) if needs_land_mask(names) else None
    return region_weights(names, grid, land)


def _surface(path: str | Path, grid: LatLonGrid, forecast: Place) -> Float[np.ndarray, " node"]:
    """Surface geopotential of the model, on its grid."""
    store, name = open_store(path, dask=False), "geopotential_at_surface"
    require(store, path, [name])
    same_grid(grid_of(store, path), located(path), grid, forecast)
    field = store[name] if "time" not in store[name].dims else store[name].isel(time=0)
    values = read(field, path)
    require_plausible(path, name, values[None])
    return values.reshape(-1).astype(np.float64)


def _among(systems: Sequence[SystemForecasts], scored_leads: np.ndarray, texts: Sequence[str], what: str) -> np.ndarray:
    """Lead times named by `texts`. Raises InputError unless they are scored."""
    if not texts:
        return np.array([], "timedelta64[ns]")
    chosen = chosen_times(systems, "lead_time", texts)
    if not np.isin(chosen, scored_leads).all():
        asked, scored_at = ([f"{h:g}" for h in hours(x)] for x in (chosen, scored_leads))
        absent = next(hour for hour in asked if hour not in scored_at)
        raise InputError(f"{what} at {absent} h: not among the lead times that are scored, {', '.join(scored_at)} h")
    return chosen


def _history(path: str | Path, first: SystemForecasts, init_times: np.ndarray, lead_times: np.ndarray) -> History:
    place, dataset = located(path), open_store(path, dask=False)
    valid = np.unique((init_times[:, None] + lead_times).ravel())
    return History(dataset, place, years_of(dataset, place, valid), first.levels)


def _land(truth: xr.Dataset, path: str | Path, grid: LatLonGrid) -> Float[np.ndarray, " node"]:
    """Land fraction from the store of truth. Raises InputError if it has none, or values that are no fractions."""
    if LAND_MASK not in truth:
        raise InputError(f"{path}: regions land and sea need {LAND_MASK}, which the store does not hold")
    field = truth[LAND_MASK]
    if {*field.dims} != {"latitude", "longitude"}:
        raise InputError(f"{path}: {LAND_MASK} has dimensions {field.dims}, expected ('latitude', 'longitude')")
    values = read(field.transpose("latitude", "longitude"), path)
    if not np.isfinite(values).all() or values.min() < -0.01 or values.max() > 1.01:
        raise InputError(f"{path}: {LAND_MASK} is {values.min():g} to {values.max():g}, expected fractions of 0 to 1")
    return values.reshape(grid.size).astype(np.float64)


def _climatology_path(systems: Sequence[SystemForecasts], named: Place | None) -> Place | None:
    """Path of the climatology: the one given, else the one that all forecasts name."""
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
        raise InputError(
            f"{path}: its climatology is {one}, but that of {other_path} is {other}; name one with --climatology"
        )
    for text, path in said.items():
        if not is_url(text) and not Path(text).exists():
            raise InputError(f"{path}: its climatology {text} does not exist; name one with --climatology")
        return located(text)
    return None


def _open_climatology(path: Place) -> xr.Dataset:
    """Open a climatology (hour, dayofyear, [level,] latitude, longitude) by path or folder, and check its units."""
    path = climatology_store(path)
    dataset = open_climatology(path)
    for name, field in ((str(name), field) for name, field in dataset.data_vars.items()):
        units = field.attrs.get("units")
        if name in VARIABLES and units is not None and not same_units(units, VARIABLES[name].units):
            raise InputError(f"{path}: {name} has units {units!r}, expected {VARIABLES[name].units!r}")
    return dataset
