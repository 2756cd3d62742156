"""Inputs of an evaluation, opened and checked in one pass: forecasts, truth, climatology, times."""

from collections.abc import Iterator, Sequence
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
from airmass.data.formats.forecast_reader import hours
from airmass.data.formats.store import grid_of, open_store, read, require, require_times
from airmass.data.plausible import require_plausible
from airmass.evaluation.forecasts import System, chosen_times, open_systems, same_grid, with_level_axis
from airmass.evaluation.frames import READ_BYTES, Frames
from airmass.fields.derived import combined, parts_of, scored
from airmass.fields.grid import LatLonGrid, latitude_weights
from airmass.fields.variables import VARIABLES, same_units


@dataclass(frozen=True)
class VerificationData:
    """Aligned inputs of an evaluation: all systems have the same grid, levels, initial and lead times, and truth and
    climatology cover them. Spectra are computed at `spectra_lead_times`.
    """

    systems: tuple[System, ...]
    init_times: np.ndarray
    lead_times: np.ndarray
    spectra_lead_times: np.ndarray
    truth: xr.Dataset
    truth_path: Place
    climatology: xr.Dataset | None
    climatology_path: Place | None
    grid: LatLonGrid

    @cached_property
    def times(self) -> np.ndarray:
        """All times at which truth is needed, sorted."""
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
        """Variables to read from files in order to score `variables`."""
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
        """Yield blocks of lead times small enough to read at once for all members of any system."""
        step = max(1, READ_BYTES // (self.frame_bytes(name) * max(system.members for system in self.systems)))
        for start in range(0, len(self.lead_times), step):
            yield self.lead_times[start : start + step]

    def truth_frames(self, name: str) -> Frames:
        fields = [self._select(self.truth, part) for part in parts_of(name)]

        def read_at(times: np.ndarray) -> np.ndarray:
            parts = [read(field.sel(time=times), self.truth_path) for field in fields]
            for part, values in zip(parts_of(name), parts, strict=True):
                require_plausible(self.truth_path, part, values, self._pressures(part), times)
            return with_level_axis(name, combined(name, parts))

        return Frames(read_at, self.times, self.frame_bytes(name))

    def climatology_frames(self, name: str) -> Frames | None:
        """Climatology of a variable. None without a climatology, and for wind speed: the mean speed is not that of the
        mean wind."""
        if self.climatology is None or self.climatology_path is None or parts_of(name) != (name,):
            return None
        path, dataset = self.climatology_path, self._select(self.climatology, name).to_dataset()

        def read_at(times: np.ndarray) -> np.ndarray:
            values = read(climatology_at(dataset, times)[name], path)
            require_plausible(path, name, values, self._pressures(name), times)
            return with_level_axis(name, values)

        return Frames(read_at, self.times, self.frame_bytes(name))

    def quantiles(self, name: str) -> tuple[float, ...]:
        """Climatological quantiles beyond which extremes are scored."""
        return () if self.climatology is None else quantiles_held(self.climatology, name)

    def quantile_frames(self, name: str) -> Frames | None:
        """Climatological quantiles of a variable, along the level axis; None without any."""
        quantiles, dataset, path = self.quantiles(name), self.climatology, self.climatology_path
        if not quantiles or dataset is None or path is None:
            return None

        def read_at(times: np.ndarray) -> np.ndarray:
            return quantiles_at(dataset, path, name, times).reshape(len(times), len(quantiles), -1)

        return Frames(read_at, self.times, len(quantiles) * self.frame_bytes(name))

    def _select(self, dataset: xr.Dataset, name: str) -> xr.DataArray:
        return dataset[name].sel(level=list(self.levels(name))) if VARIABLES[name].on_levels else dataset[name]


def open_verification(
    forecasts: Sequence[str | Path],
    truth: str | Path,
    climatology: str | Path | None = None,
    lead_times: Sequence[str] | None = None,
    init_times: Sequence[str] | None = None,
    spectra: Sequence[str] = (),
) -> VerificationData:
    """Open and check all inputs of an evaluation. Raises InputError, with both values, where two do not fit.

    `lead_times` (such as 24h or 5d) and `init_times` (such as 2001-01-05T00) choose the times, which every system must
    have; `["common"]` takes those that all share. By default all systems must have the same times. `spectra` are lead
    times too.
    """
    systems = open_systems(forecasts)
    first = systems[0]
    path = _climatology_path(systems, climatology)
    data = VerificationData(
        systems,
        chosen_times(systems, "init_time", init_times),
        chosen_times(systems, "lead_time", lead_times),
        chosen_times(systems, "lead_time", spectra) if spectra else np.array([], "timedelta64[ns]"),
        open_store(truth, dask=False),
        located(truth),
        None if path is None else _open_climatology(path),
        path,
        grid_of(first.example, first.paths[0]),
    )
    if spectra and not np.isin(data.spectra_lead_times, data.lead_times).all():
        asked, scored_at = ([f"{h:g}" for h in hours(x)] for x in (data.spectra_lead_times, data.lead_times))
        absent = next(hour for hour in asked if hour not in scored_at)
        raise InputError(f"spectra at {absent} h: not among the lead times that are scored, {', '.join(scored_at)} h")
    levels = first.example.level.values.tolist() if "level" in first.example.coords else ()
    for dataset, where in ((data.truth, data.truth_path), (data.climatology, path)):
        if dataset is not None and where is not None:
            require(dataset, where, data.held_variables, levels)
            same_grid(grid_of(dataset, where), where, data.grid, first.paths[0])
    require_times(data.truth, truth, data.times)
    return data


def _climatology_path(systems: Sequence[System], named: Place | None) -> Place | None:
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
        raise InputError(f"{path}: its climatology is {one}, but that of {other_path} is {other}; name one")
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
