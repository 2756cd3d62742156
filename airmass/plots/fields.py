"""Fields to plot: one variable at one level and lead time, forecast and truth, on one grid."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from jaxtyping import Float

from airmass.core.errors import InputError
from airmass.core.place import Place, located
from airmass.data.formats.forecast_reader import hours, members_of, open_forecast, read_members
from airmass.data.formats.layout import grid_of, minute
from airmass.data.formats.store import open_store, read, require, require_times
from airmass.data.plausible import require_plausible
from airmass.fields.clock import parse_time
from airmass.fields.grid import LatLonGrid, latitude_weights
from airmass.fields.variables import Variable, variable_at_level
from airmass.plots.style import style_of


@dataclass(frozen=True)
class Frame:
    """One field, in the units on disk; missing values are NaN. For an ensemble, `forecast` is its mean."""

    variable: Variable
    level: int | None
    init_time: np.datetime64
    lead_hours: float
    forecast: Float[np.ndarray, "latitude longitude"]
    truth: Float[np.ndarray, "latitude longitude"]
    members: Float[np.ndarray, "member latitude longitude"] | None = None

    @property
    def forecast_text(self) -> str:
        return "Forecast" if self.members is None else f"Mean of {len(self.members)} members"

    @property
    def lead_text(self) -> str:
        return f"{self.lead_hours:g} h" + (f" (day {self.lead_hours / 24:g})" if self.lead_hours >= 24 else "")

    @property
    def init_text(self) -> str:
        return _utc(self.init_time)

    @property
    def valid_text(self) -> str:
        return _utc(self.init_time + np.timedelta64(round(self.lead_hours * 3600), "s"))

    def rmse(self, grid: LatLonGrid) -> float:
        """Area-weighted root mean square difference over the nodes where both have values, in shown units."""
        squares = style_of(self.variable).shown_difference(self.forecast - self.truth) ** 2
        weights = np.broadcast_to(latitude_weights(grid.latitude)[:, None], squares.shape)
        both = np.isfinite(squares)
        return float(np.sqrt(np.average(squares[both], weights=weights[both]))) if both.any() else float("nan")


@dataclass(frozen=True)
class PlotData:
    """Forecast file and truth store to plot, on the same grid."""

    forecast: xr.Dataset
    forecast_path: Place
    truth: xr.Dataset
    truth_path: Place
    grid: LatLonGrid

    @property
    def lead_hours(self) -> list[float]:
        return hours(self.forecast.lead_time.values)

    @property
    def members(self) -> int:
        return members_of(self.forecast)

    def init_index(self, init_time: str | np.datetime64 | None) -> int:
        """Index of an initial time, the first if None. Raises InputError if the forecast does not have it."""
        held = self.forecast.init_time.values
        if init_time is None:
            return 0
        wanted = parse_time(init_time) if isinstance(init_time, str) else init_time.astype("datetime64[ns]")
        if wanted not in held:
            raise InputError(
                f"{self.forecast_path}: no initial time {minute(wanted)}; it holds {len(held)} from {minute(held[0])} "
                f"to {minute(held[-1])}"
            )
        return int(np.searchsorted(held, wanted))

    def init_text(self, init_index: int) -> str:
        return _utc(self.forecast.init_time.values[init_index])

    def lead_indices(self, lead_hours: Iterable[float]) -> list[int]:
        held = self.lead_hours
        absent = [hour for hour in lead_hours if hour not in held]
        if absent:
            raise InputError(
                f"{self.forecast_path}: no lead time of {absent[0]:g} h; it holds {held[0]:g} to {held[-1]:g} h"
            )
        return [held.index(hour) for hour in lead_hours]

    def holds(self, field: str) -> bool:
        """True if the forecast has this field, named like `z500` or `2t`."""
        variable, level = variable_at_level(field)
        levels = self.forecast.level.values if "level" in self.forecast.coords else ()
        return variable.name in self.forecast.data_vars and (level is None or level in levels)

    def frames(
        self, field: str, init_index: int, lead_indices: Sequence[int], members: int | None = None
    ) -> list[Frame]:
        """One field at several lead times, with the first `members` members, all if None.

        Raises InputError if forecast or truth does not have it.
        """
        variable, level = self.find(field)
        init_time = self.forecast.init_time.values[init_index]
        truth = self.truth_at(field, init_time + self.forecast.lead_time.values[list(lead_indices)])
        frames = []
        for lead, expected, values in zip(
            lead_indices, truth, self.members_at(field, init_index, lead_indices), strict=True
        ):
            values = values[:members]
            kept = values if len(values) > 1 else None
            frames.append(Frame(variable, level, init_time, self.lead_hours[lead], values.mean(0), expected, kept))
        return frames

    def members_at(
        self, field: str, init_index: int, lead_indices: Sequence[int]
    ) -> Iterator[Float[np.ndarray, "member latitude longitude"]]:
        """Yield one field of all members, one lead time at a time to save memory."""
        variable, level = self.find(field)
        for lead in lead_indices:
            block = slice(lead, lead + 1)
            values = read_members(self.forecast, self.forecast_path, variable.name, init_index, block)[:, 0]
            if level is not None:
                values = values[:, int(np.flatnonzero(self.forecast.level.values == level)[0])]
            time = self.forecast.init_time.values[init_index] + self.forecast.lead_time.values[lead]
            self._require_drawable(variable, level, values, time)
            yield values

    def truth_at(self, field: str, times: np.ndarray) -> Float[np.ndarray, "time latitude longitude"]:
        """One field of the truth. Raises InputError if the field or a time is missing."""
        variable, level = self.find(field)
        require_times(self.truth, self.truth_path, times)
        expected = self.truth[variable.name].sel(time=times)
        values = read(expected if level is None else expected.sel(level=level), self.truth_path)
        _require_plausible(self.truth_path, variable, level, values, times)
        return values

    def _require_drawable(
        self, variable: Variable, level: int | None, members: np.ndarray, time: np.datetime64
    ) -> None:
        """Raise InputError for infinite or implausible values. Missing values are left blank in plots."""
        if infinite := int(np.isinf(members).sum()):
            raise InputError(f"{self.forecast_path}: {variable.name} has {infinite} infinite values at {minute(time)}")
        times = np.full(len(members), time)
        _require_plausible(self.forecast_path, variable, level, members, times, forecast=True)

    def find(self, field: str) -> tuple[Variable, int | None]:
        """Variable and level of a field, named like `z500` or `2t`. Raises InputError if forecast or truth lacks it."""
        variable, level = variable_at_level(field)
        for dataset, path in ((self.forecast, self.forecast_path), (self.truth, self.truth_path)):
            require(dataset, path, [variable.name], [] if level is None else [level])
        return variable, level


def open_plot_data(forecast: str | Path, truth: str | Path) -> PlotData:
    """Open a forecast file and a truth store. Raises InputError unless they are on one grid."""
    dataset, store = open_forecast(forecast, ensemble=True), open_store(truth)
    grid, other = grid_of(dataset, forecast), grid_of(store, truth)
    if grid != other:
        raise InputError(f"{forecast}: grid is {grid}, but {truth} is on {other}")
    return PlotData(dataset, located(forecast), store, located(truth), grid)


def _require_plausible(
    path: Place, variable: Variable, level: int | None, values: np.ndarray, times: np.ndarray, forecast: bool = False
) -> None:
    fields, levels = (values, ()) if level is None else (values[:, None], (level,))
    require_plausible(path, variable.name, fields, levels, times, forecast=forecast)


def _utc(time: np.datetime64) -> str:
    return minute(time).replace("T", " ") + " UTC"
