"""Opening a climatology and looking up what is usual at a time, and what is extreme there.

A climatology is a Zarr store of dims (hour, dayofyear, [level,] latitude, longitude). For the fields in `EXTREMES` it
may hold quantiles too: `<field>_quantiles` of dims (hour, quantile_day, quantile, latitude, longitude), where
quantile_day are days of year that each stand for the days nearest to them.
"""

from pathlib import Path

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from airmass.core.errors import InputError
from airmass.core.place import Place, is_url, located
from airmass.data.formats.store import fill_hint, grid_of, minute, open_unchecked, read

DAYS = 366
LOW, HIGH = (0.01, 0.02, 0.05, 0.1), (0.9, 0.95, 0.98, 0.99)
QUANTILES = LOW + HIGH

# Fields whose extremes are judged, and at which ends.
EXTREMES = {"2m_temperature": QUANTILES, "mean_sea_level_pressure": LOW, "10m_wind_speed": HIGH}


def tail(quantile: float) -> str:
    """`below_0.02` or `above_0.98`."""
    return f"{'below' if quantile < 0.5 else 'above'}_{quantile:g}"


def quantiles_name(field: str) -> str:
    return f"{field}_quantiles"


def hour_and_day(times: np.ndarray) -> tuple[Int[np.ndarray, " time"], Int[np.ndarray, " time"]]:
    """Hour 0 to 23 and day of year 1 to 366 of each time; raises InputError for a time between hours."""
    times = np.asarray(times, "datetime64[s]")
    days = times.astype("datetime64[D]")
    between = times != times.astype("datetime64[h]")
    if between.any():
        raise InputError(f"time {minute(times[between][0])} is not on the hour; a climatology is held by full hours")
    hours = (times - days).astype("timedelta64[h]").astype(np.int64)
    return hours, (days - days.astype("datetime64[Y]")).astype(np.int64) + 1


def days_apart(a: np.ndarray, b: np.ndarray) -> Int[np.ndarray, "a b"]:
    """Days between days of year, the shorter way around."""
    apart = np.abs(a[:, None] - b[None])
    return np.minimum(apart, DAYS - apart)


def climatology_store(place: Place) -> Place:
    """The store of the climatology in a folder of statistics, or the place itself where it is no such folder."""
    inside = Path(place) / "climatology.zarr"
    return inside if not is_url(place) and inside.exists() else located(place)


def open_climatology(path: str | Path) -> xr.Dataset:
    """Open a climatology lazily; raises InputError unless it has hour, dayofyear and an accepted grid."""
    dataset = open_unchecked(path)
    absent = [name for name in ("hour", "dayofyear") if name not in dataset.coords]
    if absent:
        raise InputError(f"{path}: no coordinate {', '.join(absent)}, expected a climatology by hour and dayofyear")
    for name in ("hour", "dayofyear"):
        if np.isnan(dataset[name].values.astype(np.float64)).any():
            raise InputError(f"{path}: {name} has missing values{fill_hint(dataset[name])}")
    grid_of(dataset, path)
    return dataset


def climatology_at(climatology: xr.Dataset, valid_times: np.ndarray) -> xr.Dataset:
    """Climatology at each valid time (datetime64), over a dimension `time` in the order given; lazy if it was.

    Raises InputError naming the first time whose hour or day of year the climatology does not hold.
    """
    valid_times = np.atleast_1d(np.asarray(valid_times, "datetime64[ns]"))
    hours, days = hour_and_day(valid_times)
    _require_held(climatology, "hour", hours, valid_times)
    _require_held(climatology, "dayofyear", days, valid_times)
    picked = climatology.sel(hour=xr.DataArray(hours, dims="time"), dayofyear=xr.DataArray(days, dims="time"))
    return picked.drop_vars(["hour", "dayofyear"]).assign_coords(time=valid_times)


def quantiles_held(climatology: xr.Dataset, field: str) -> tuple[float, ...]:
    """The quantiles of a field at the ends that are judged, as far as a climatology holds them; none is an answer."""
    if quantiles_name(field) not in climatology:
        return ()
    held = climatology["quantile"].values
    return tuple(q for q in EXTREMES.get(field, ()) if np.isclose(held, q).any())


def quantiles_at(
    climatology: xr.Dataset, path: str | Path, field: str, valid_times: np.ndarray
) -> Float[np.ndarray, "time quantile latitude longitude"]:
    """The quantiles `quantiles_held` of a field at each valid time. Raises InputError for an hour not held."""
    hours, days = hour_and_day(valid_times)
    _require_held(climatology, "hour", hours, valid_times)
    nearest = days_apart(days, climatology.quantile_day.values.astype(np.int64)).argmin(axis=1)
    picked = climatology[quantiles_name(field)].sel(quantile=list(quantiles_held(climatology, field)), method="nearest")
    picked = picked.sel(hour=xr.DataArray(hours, dims="time")).isel(quantile_day=xr.DataArray(nearest, dims="time"))
    return read(picked.transpose("time", "quantile", "latitude", "longitude"), path)


def _require_held(climatology: xr.Dataset, name: str, wanted: np.ndarray, valid_times: np.ndarray) -> None:
    held = climatology[name].values
    absent = ~np.isin(wanted, held)
    if absent.any():
        source = climatology.encoding.get("source", "climatology")
        raise InputError(
            f"{source}: does not cover {minute(valid_times[absent][0])} ({name} {wanted[absent][0]})"
            f"{f' and {absent.sum() - 1} more times' if absent.sum() > 1 else ''}; it holds {name} {_spans(held)}"
        )


def _spans(numbers: np.ndarray) -> str:
    """`1 to 60, 306 to 366` for what a climatology holds."""
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) != 1) + 1)
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)
