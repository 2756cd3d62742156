"""Probabilistic climatology: the fields of other years on the same day and hour, as an ensemble forecast.

Source: Rasp et al. 2024, WeatherBench 2, doi:10.1029/2023MS004019, section on baselines.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Float

from airmass.core.errors import InputError
from airmass.core.place import Place
from airmass.data.formats.layout import minute
from airmass.data.formats.store import read
from airmass.data.plausible import require_plausible
from airmass.fields.derived import combined, parts_of
from airmass.fields.variables import VARIABLES

LABEL = "probabilistic_climatology"


@dataclass(frozen=True)
class History:
    """A store of other years; each of `years` gives one member."""

    dataset: xr.Dataset
    path: Place
    years: tuple[int, ...]
    levels: tuple[int, ...]

    def read(self, name: str, times: np.ndarray) -> list[np.ndarray]:
        """Members (time, [level,] latitude, longitude) at these valid times. Raises InputError for missing values."""
        members = []
        for year in self.years:
            then = same_day(times, year)
            parts = [self._part(part, then) for part in parts_of(name)]
            members.append(combined(name, parts, self.levels))
        return members

    def _part(self, part: str, times: np.ndarray) -> Float[np.ndarray, "..."]:
        on_levels = VARIABLES[part].on_levels
        field = self.dataset[part].sel(level=list(self.levels)) if on_levels else self.dataset[part]
        values = read(field.sel(time=times), self.path)
        require_plausible(self.path, part, values, self.levels if on_levels else (), times)
        if not VARIABLES[part].missing_over_land and not np.isfinite(values).all():
            raise InputError(f"{self.path}: {part} has NaN or infinite values from {minute(times[0])}; expected none")
        return values


def same_day(times: np.ndarray, year: int) -> np.ndarray:
    """The same day and hour of another year; 29 February becomes 28 February where there is none."""
    days = times.astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    into = (months - months.astype("datetime64[Y]")).astype(np.int64)
    there = np.datetime64(f"{year:04}", "Y").astype("datetime64[M]") + into
    last = ((there + 1).astype("datetime64[D]") - there.astype("datetime64[D]")).astype(np.int64) - 1
    day = np.minimum((days - months.astype("datetime64[D]")).astype(np.int64), last)
    return (there.astype("datetime64[D]") + day).astype("datetime64[ns]") + (times - days)


def years_of(dataset: xr.Dataset, path: Place, valid_times: np.ndarray) -> tuple[int, ...]:
    """Years, other than those of the valid times, that have their days and hours. Raises InputError below two."""
    held = dataset.time.values.astype("datetime64[ns]")
    own = {int(year) for year in valid_times.astype("datetime64[Y]").astype(np.int64) + 1970}
    known: Sequence[int] = sorted({int(year) for year in held.astype("datetime64[Y]").astype(np.int64) + 1970} - own)
    years = tuple(year for year in known if np.isin(same_day(valid_times, year), held).all())
    if len(years) < 2:
        span = f"{minute(held[0])} to {minute(held[-1])}" if held.size else "no times"
        raise InputError(
            f"{path}: has the days and hours of the forecasts in {len(years)} other years, expected two or more; it "
            f"holds {span}"
        )
    return years
