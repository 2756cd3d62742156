"""Station observations as truth: a table of values, and fields interpolated to the stations.

Fields are interpolated bilinearly in latitude and longitude. 2 m temperature is then corrected for the difference
between the heights of the model's surface and of the station, by 6.5 K/km (the standard atmosphere's lapse rate).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from airmass.core.errors import InputError
from airmass.core.reading import open_regular
from airmass.data.formats.layout import minute
from airmass.evaluation.station_doubts import refuse_feet, refuse_swapped
from airmass.fields.derived import DERIVED
from airmass.fields.grid import LatLonGrid
from airmass.fields.variables import VARIABLES, Variable

LAPSE_RATE = 6.5e-3  # K m-1
_GRAVITY = 9.80665
_COLUMNS = ("station", "time", "latitude", "longitude", "height")
_CORRECTED = ("2m_temperature",)
# A value this many robust standard deviations off its station's median is a gross error; with fewer values of the
# station none is judged. Precipitation and wind have heavy tails.
_GROSS, _LEAST_VALUES = 8.0, 20
_HEAVY = ("total_precipitation_6hr", "total_precipitation_12hr", "10m_wind_speed")
# Year, month and day first: other orders can be read in two ways. Offsets are read to be refused unless they are 0.
_TIME = (
    r"(?P<time>(?:\d{4}-\d\d-\d\d|\d{8})(?:[T ]\d\d(?::?\d\d(?::?\d\d(?:\.\d+)?)?)?)?)"
    r"\s*(?P<zone>Z|[A-Z]{3,4}|[A-Z][a-z]+/\w+|[+-]\d\d(?::?\d\d)?)?"
)
_UTC = ("Z", "UTC", "GMT", "+00:00", "+0000", "-00:00", "+00")
# Share of values out of range above which the whole column is in other units.
_OTHER_UNITS = 0.01
_MOST_BYTES = 4 << 30


@dataclass(frozen=True)
class Stations:
    """Observations by variable, (time, station), NaN where there is none, and how to bring fields to the stations."""

    path: str
    names: tuple[str, ...]
    latitude: Float[np.ndarray, " station"]
    longitude: Float[np.ndarray, " station"]
    height: Float[np.ndarray, " station"]
    times: np.ndarray
    values: dict[str, Float[np.ndarray, "time station"]]
    nodes: Int[np.ndarray, "4 station"]
    shares: Float[np.ndarray, "4 station"]
    correction: Float[np.ndarray, " station"] | None  # K
    notes: tuple[str, ...]

    def at(self, name: str, values: Float[np.ndarray, "*batch node"]) -> Float[np.ndarray, "*batch station"]:
        """A field at the stations."""
        corners = zip(self.nodes, self.shares.astype(np.float32), strict=True)
        found = sum(values[..., nodes] * shares for nodes, shares in corners)
        if name in _CORRECTED and self.correction is not None:
            found = found + self.correction.astype(np.float32)
        return np.asarray(found, np.float32)

    def observed(self, name: str, times: np.ndarray) -> Float[np.ndarray, "time 1 station"]:
        """Observations at these times; NaN at times that the table lacks."""
        rows = np.searchsorted(self.times, times).clip(0, len(self.times) - 1)
        held = self.values[name][rows]
        return np.where((self.times[rows] == times)[:, None], held, np.nan).astype(np.float32)[:, None]


def open_stations(
    path: str | Path, grid: LatLonGrid, surface: Float[np.ndarray, " node"] | None, variables: Sequence[str]
) -> Stations:
    """Read a table of observations (CSV or Parquet) of any of `variables`, for fields on `grid`.

    Columns are station, time (UTC), latitude, longitude, height (m), and values by the name or short name of their
    variable, in the units of the table of variables. `surface` is the model's surface geopotential. Raises InputError
    for missing columns, positions that change or lie off the globe, repeated values, times with another offset than
    UTC's, heights that look like feet and values in other units. Local times without an offset show only beside
    forecasts (`refuse_local_time`).
    """
    table = _read(path)
    _require_columns(table, path)
    table = table.assign(station=table.station.astype(str), time=_times(table.time, path))
    for name, least, most in (("latitude", -90, 90), ("longitude", -180, 360), ("height", -500, 9000)):
        _check_numbers(table, name, least, most, path)
    if (twice := table.duplicated(["station", "time"])).any():
        row = table[twice].iloc[0]
        raise InputError(f"{path}: station {row.station} has two rows at {minute(row.time.to_datetime64())}")
    places = table.groupby("station")[["latitude", "longitude", "height"]].agg(["min", "max"])
    for name in ("latitude", "longitude", "height"):
        moved = places[name]["max"] - places[name]["min"] > 1e-6
        if moved.any():
            raise InputError(f"{path}: station {places.index[moved][0]} has more than one {name}")
    names = tuple(places.index)
    latitude, longitude, height = (places[name]["min"].to_numpy(float) for name in ("latitude", "longitude", "height"))
    times = np.unique(table.time.to_numpy("datetime64[ns]"))
    rows = np.searchsorted(times, table.time.to_numpy("datetime64[ns]"))
    at = rows, np.searchsorted(np.array(names, str), table.station.to_numpy(str))
    values, notes = {}, []
    for column, variable in _known(table, variables):
        held = np.full((len(times), len(names)), np.nan)
        held[at] = _numbers(table, column, path)
        values[variable.name], said = _without_errors(held, variable, path)
        notes += said
    if not values:
        raise InputError(f"{path}: has no values of {', '.join(variables)}; its columns are {', '.join(table.columns)}")
    nodes, shares = bilinear(grid, latitude, longitude)
    correction = None
    if surface is not None:
        model = (surface[nodes] * shares).sum(axis=0) / _GRAVITY
        refuse_feet(height, model, path)
        if np.abs(longitude).max() <= 90:
            there, parts = bilinear(grid, longitude, latitude)
            refuse_swapped(height, model, (surface[there] * parts).sum(axis=0) / _GRAVITY, path)
        correction = LAPSE_RATE * (model - height)
    elif any(name in _CORRECTED for name in values):
        notes.append(f"{path}: no --orography, so 2 m temperature is not corrected for the height of the stations")
    return Stations(
        str(path), names, latitude, longitude, height, times, values, nodes, shares, correction, tuple(notes)
    )


def bilinear(
    grid: LatLonGrid, latitude: np.ndarray, longitude: np.ndarray
) -> tuple[Int[np.ndarray, "4 station"], Float[np.ndarray, "4 station"]]:
    """The four nodes around each place and their shares, which add up to 1; beyond the outermost rows the nearest."""
    rows, columns = grid.shape
    row = np.interp(latitude, grid.latitude, np.arange(rows))
    column = (longitude % 360) / (360 / columns)
    south, west = np.minimum(np.floor(row).astype(int), rows - 2), np.floor(column).astype(int)
    up, right = row - south, column - west
    corners = [(i, j) for i in (0, 1) for j in (0, 1)]
    nodes = np.stack([(south + i) * columns + (west + j) % columns for i, j in corners])
    return nodes, np.stack([(up if i else 1 - up) * (right if j else 1 - right) for i, j in corners])


def _read(path: str | Path) -> pd.DataFrame:
    kind = Path(path).suffix
    if kind not in (".csv", ".parquet"):
        raise InputError(f"{path}: expected a table of stations ending in .csv or .parquet")
    with open_regular(path, _MOST_BYTES) as file:
        try:
            held = pd.read_parquet(file) if kind == ".parquet" else pd.read_csv(file, dtype={"station": str})
        except Exception as error:  # of any type: from the parsers
            raise InputError(f"{path}: cannot be read: {' '.join(str(error).split())}") from None
    if held.empty:
        raise InputError(f"{path}: has no rows")
    return held


def _require_columns(table: pd.DataFrame, path: str | Path) -> None:
    if absent := [name for name in _COLUMNS if name not in table.columns]:
        held = ", ".join(map(str, table.columns))
        raise InputError(f"{path}: missing column {', '.join(absent)}; the table has {held}")


def _times(times: pd.Series, path: str | Path) -> pd.Series:
    if pd.api.types.is_numeric_dtype(times):
        raise InputError(f"{path}: time is {times.iloc[0]}, expected times such as 2001-01-05T06:00, in UTC")
    if times.dtype == object or str(times.dtype).startswith("str"):
        times = _without_zone(times.astype(str), path)
    try:
        found = pd.to_datetime(times, utc=True, errors="raise", format="ISO8601")
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(f"{path}: time: {' '.join(str(error).split())}") from None
    if found.isna().any():
        raise InputError(f"{path}: time is missing in row {int(np.argmax(found.isna()))}")
    return found.dt.tz_localize(None)


def _without_zone(times: pd.Series, path: str | Path) -> pd.Series:
    """Times without the mark of UTC. Raises InputError for other forms and time zones."""
    parts = times.str.extract(f"^{_TIME}$")
    if (odd := parts["time"].isna()).any():
        raise InputError(f"{path}: time is {times[odd].iloc[0]!r}, expected one such as 2001-01-05T06:00, in UTC")
    if (local := parts["zone"].notna() & ~parts["zone"].isin(_UTC)).any():
        raise InputError(f"{path}: time is {times[local].iloc[0]!r}, expected times in UTC")
    return parts["time"]


def _numbers(table: pd.DataFrame, name: str, path: str | Path) -> np.ndarray:
    try:
        return pd.to_numeric(table[name], errors="raise").to_numpy(float)
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: {name}: {' '.join(str(error).split())}") from None


def _check_numbers(table: pd.DataFrame, name: str, least: float, most: float, path: str | Path) -> None:
    values = _numbers(table, name, path)
    bad = ~((values >= least) & (values <= most))
    if bad.any():
        hint = ": are latitude and longitude swapped?" if name == "latitude" and abs(values[bad][0]) <= 360 else ""
        station = table.station.iloc[int(np.argmax(bad))]
        raise InputError(f"{path}: {name} of {station} is {values[bad][0]:g}, expected {least} to {most}{hint}")


def _known(table: pd.DataFrame, variables: Sequence[str]) -> Iterator[tuple[str, Variable]]:
    for name in variables:
        variable = DERIVED[name].variable if name in DERIVED else VARIABLES[name]
        for column in (variable.name, variable.short_name, *variable.aliases):
            if column in table.columns and not variable.on_levels:
                yield column, variable
                break


def _without_errors(held: np.ndarray, variable: Variable, path: str | Path) -> tuple[np.ndarray, list[str]]:
    """Observations without gross errors, and what was left out."""
    low, high = variable.valid_range
    held = np.where(np.isfinite(held), held, np.nan)
    count = np.isfinite(held).sum()
    out = (held < low) | (held > high)
    if count and out.sum() > _OTHER_UNITS * count:
        raise InputError(
            f"{path}: {variable.name} has {held[out][0]:g} and {int(out.sum()) - 1} more values outside of {low:g} to "
            f"{high:g} {variable.units}: are these other units?"
        )
    if variable.name not in _HEAVY:
        enough = np.isfinite(held).sum(axis=0) >= _LEAST_VALUES
        with np.errstate(all="ignore"):
            middle = _nanmedian(held)
            spread = 1.4826 * _nanmedian(np.abs(held - middle))
            out |= enough & (spread > 0) & (np.abs(held - middle) > _GROSS * spread)
    if not out.any():
        return held, []
    said = f"{path}: {variable.name}: {int(out.sum())} of {int(count)} values are gross errors and left out"
    return np.where(out, np.nan, held), [said]


def _nanmedian(values: np.ndarray) -> np.ndarray:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of stations without any value
        return np.nanmedian(values, axis=0)
