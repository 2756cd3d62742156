"""The fields to draw: one variable at one level and lead time, forecast and truth, on one grid."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from jaxtyping import Float

from airmass.errors import InputError
from airmass.forecast_file import hours, open_forecast, read_lead_times
from airmass.grid import LatLonGrid, latitude_weights
from airmass.plots.look import look_of
from airmass.store import grid_of, minute, open_store, read, require, require_times
from airmass.variables import Variable, variable_at_level


@dataclass(frozen=True)
class Frame:
    """One field, in the units on disk; missing values are NaN."""

    variable: Variable
    level: int | None
    init_time: np.datetime64
    lead_hours: float
    forecast: Float[np.ndarray, "latitude longitude"]
    truth: Float[np.ndarray, "latitude longitude"]

    @property
    def init_text(self) -> str:
        return _utc(self.init_time)

    @property
    def valid_text(self) -> str:
        return _utc(self.init_time + np.timedelta64(round(self.lead_hours * 3600), "s"))

    def rmse(self, grid: LatLonGrid) -> float:
        """Area-weighted root mean square difference over the nodes where both have values, in shown units."""
        squares = look_of(self.variable).shown_difference(self.forecast - self.truth) ** 2
        weights = np.broadcast_to(latitude_weights(grid.latitude)[:, None], squares.shape)
        both = np.isfinite(squares)
        return float(np.sqrt(np.average(squares[both], weights=weights[both]))) if both.any() else float("nan")


@dataclass(frozen=True)
class Pair:
    """A forecast file and the truth that covers it, on the same grid."""

    forecast: xr.Dataset
    forecast_path: Path
    truth: xr.Dataset
    truth_path: Path
    grid: LatLonGrid

    @property
    def lead_hours(self) -> list[float]:
        return hours(self.forecast.lead_time.values)

    def init_index(self, init_time: str | np.datetime64 | None) -> int:
        """Which initial time is meant; the first if none is said. Raises InputError for one that is not there."""
        held = self.forecast.init_time.values
        if init_time is None:
            return 0
        try:
            wanted = np.datetime64(init_time).astype("datetime64[ns]")
        except ValueError:
            raise InputError(f"initial time {init_time!r} is not a date such as 2020-01-01T06") from None
        if wanted not in held:
            raise InputError(
                f"{self.forecast_path}: no initial time {minute(wanted)}; it holds {len(held)} from {minute(held[0])} "
                f"to {minute(held[-1])}"
            )
        return int(np.searchsorted(held, wanted))

    def lead_indices(self, lead_hours: Iterable[float]) -> list[int]:
        held = self.lead_hours
        absent = [hour for hour in lead_hours if hour not in held]
        if absent:
            raise InputError(
                f"{self.forecast_path}: no lead time of {absent[0]:g} h; it holds {held[0]:g} to {held[-1]:g} h"
            )
        return [held.index(hour) for hour in lead_hours]

    def holds(self, field: str) -> bool:
        """Whether the forecast has this field, typed as `z500` or `2t`."""
        variable, level = variable_at_level(field)
        levels = self.forecast.level.values if "level" in self.forecast.coords else ()
        return variable.name in self.forecast.data_vars and (level is None or level in levels)

    def frames(self, field: str, init_index: int, lead_indices: Sequence[int]) -> list[Frame]:
        """One field at several lead times. Raises InputError where forecast or truth lacks it."""
        variable, level = variable_at_level(field)
        levels = [] if level is None else [level]
        for dataset, path in ((self.forecast, self.forecast_path), (self.truth, self.truth_path)):
            require(dataset, path, [variable.name], levels)
        init_time = self.forecast.init_time.values[init_index]
        valid_times = init_time + self.forecast.lead_time.values[list(lead_indices)]
        require_times(self.truth, self.truth_path, valid_times)
        expected = self.truth[variable.name].sel(time=valid_times)
        truth = read(expected if level is None else expected.sel(level=level), self.truth_path)
        block = slice(min(lead_indices), max(lead_indices) + 1)
        values = read_lead_times(self.forecast, self.forecast_path, variable.name, init_index, block)
        if level is not None:
            values = values[:, int(np.flatnonzero(self.forecast.level.values == level)[0])]
        return [
            Frame(variable, level, init_time, self.lead_hours[lead], values[lead - block.start], field)
            for lead, field in zip(lead_indices, truth, strict=True)
        ]


def open_pair(forecast: str | Path, truth: str | Path) -> Pair:
    """Open a forecast file and a truth store. Raises InputError unless they are on one grid."""
    dataset, store = open_forecast(forecast), open_store(truth)
    grid, other = grid_of(dataset, forecast), grid_of(store, truth)
    if grid != other:
        raise InputError(f"{forecast}: grid is {grid}, but {truth} is on {other}")
    return Pair(dataset, Path(forecast), store, Path(truth), grid)


def _utc(time: np.datetime64) -> str:
    return minute(time).replace("T", " ") + " UTC"
