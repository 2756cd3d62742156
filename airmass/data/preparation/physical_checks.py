"""Physical tests of a store: orders and balances that every atmosphere keeps, on a few frames spread over its times.

They find what ranges cannot: levels in another order, hemispheres exchanged, dates half a year off, sums over another
window.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import xarray as xr

from airmass.core.errors import InputError
from airmass.data.formats.layout import HORIZONTAL, axis_problem, minute
from airmass.data.formats.store import read
from airmass.fields.variables import VARIABLES

Found = tuple[str, str]

_MOST_FRAMES = 12
_DRY_AIR = 287.06
# Mean thickness of a layer against that of its mean temperature: humidity and coarse layers explain 5 %.
_IMBALANCE = 0.2
# K between 30 and 70 degrees; on Earth the north is 14 K colder in January and 12 K warmer in July.
_SEASON = 8.0
# Mean precipitation, m an hour: 2.7 mm a day (GPCP); models and single days are within a factor of 4.
_RAIN, _RAIN_FACTOR = 2.7e-3 / 24, 4.0


def physical_problems(dataset: xr.Dataset, path: str | Path) -> Iterator[Found]:
    """(variable, problem) for each physical test that fails; fields in other layouts are left out."""
    for test in (_order_of_levels, _hydrostatic, _seasons, _rain):
        try:
            yield from test(dataset, path)
        except InputError:
            continue  # reported where the variable is read


def _ready(dataset: xr.Dataset, name: str) -> bool:
    """True if a variable is in the layout of `open_store`, with coordinates of numbers and dates."""
    if name not in dataset or dataset[name].dtype.kind != "f" or not dataset[name].size:
        return False
    level = ("level",) * VARIABLES[name].on_levels
    axes = all(axis_problem(dataset, axis) is None for axis in (*level, *HORIZONTAL))
    dated = "time" in dataset.coords and dataset.time.dtype.kind == "M" and not np.isnat(dataset.time.values).any()
    return axes and dated and dataset[name].dims == ("time", *level, *HORIZONTAL)


def _some_frames(field: xr.DataArray) -> Iterator[xr.DataArray]:
    """A few frames spread evenly over the times, the first and the last among them."""
    n = field.sizes["time"]
    for i in np.unique(np.linspace(0, n - 1, min(n, _MOST_FRAMES)).round().astype(int)):
        yield field.isel(time=int(i))


def _order_of_levels(dataset: xr.Dataset, path: str | Path) -> Iterator[Found]:
    """Geopotential falls with pressure at every point."""
    if not _ready(dataset, "geopotential") or dataset.sizes["level"] < 2:
        return
    levels = dataset.level.values
    if np.any(np.diff(levels) <= 0):
        return  # reported for the coordinate
    for frame in _some_frames(dataset.geopotential):
        wrong = np.diff(read(frame, path), axis=0) >= 0
        if wrong.any():
            k = int(np.argmax(wrong.sum(axis=(1, 2))))
            yield (
                "geopotential",
                f"at {levels[k + 1]:g} hPa is not below that at {levels[k]:g} hPa at {int(wrong[k].sum())} points at "
                f"{minute(frame.time.values)}; expected at none: are the levels in another order?",
            )
            return


def _hydrostatic(dataset: xr.Dataset, path: str | Path) -> Iterator[Found]:
    """The thickness of each layer is R T ln(p1 / p2), on average over the globe."""
    if not (_ready(dataset, "geopotential") and _ready(dataset, "temperature")):
        return
    levels = dataset.level.values.astype(np.float64)
    if len(levels) < 2 or levels[0] <= 0 or np.any(np.diff(levels) <= 0):
        return  # reported for the coordinate
    weights = np.cos(np.deg2rad(dataset.latitude.values))[:, None] * np.ones(dataset.sizes["longitude"])
    both = map(_some_frames, (dataset.geopotential, dataset.temperature))
    for height_frame, temperature_frame in zip(*both, strict=True):
        frames = [read(frame, path).astype(np.float64) for frame in (height_frame, temperature_frame)]
        if not all(map(_within_range, ("geopotential", "temperature"), frames)):
            continue  # reported for the values
        height, temperature = (np.average(v, axis=(1, 2), weights=weights) for v in frames)
        expected = _DRY_AIR * (temperature[1:] + temperature[:-1]) / 2 * np.diff(np.log(levels))
        ratio = -np.diff(height) / expected
        away = np.where(np.isfinite(ratio), np.abs(ratio - 1), 0)
        if away.max() > _IMBALANCE:
            k = int(away.argmax())
            yield (
                "geopotential",
                f"is out of balance with temperature: the layer from {levels[k + 1]:g} to {levels[k]:g} hPa is "
                f"{-np.diff(height)[k]:.5g} m2 s-2 thick at {minute(height_frame.time.values)}, expected "
                f"{expected[k]:.5g} of its mean temperature: is one of them in other units or another order of levels?",
            )
            return


def _within_range(name: str, values: np.ndarray) -> bool:
    least, greatest = VARIABLES[name].valid_range
    return bool(values.min() >= least and values.max() <= greatest)


def _seasons(dataset: xr.Dataset, path: str | Path) -> Iterator[Found]:
    """The hemisphere with summer is the warmer, at 2 m and on the lowest level alike."""
    names = [name for name in ("2m_temperature", "temperature") if _ready(dataset, name)]
    if not names:
        return
    latitude = dataset.latitude.values.astype(np.float64)
    north, south = ((sign * latitude > 30) & (sign * latitude < 70) for sign in (1, -1))
    months = dataset.time.dt.month.values
    for chosen, sign, month in (((1, 2, 12), 1, "January"), ((6, 7, 8), -1, "July")):
        there = np.flatnonzero(np.isin(months, chosen))
        if not there.size or not (north.any() and south.any()):
            continue
        wrong = []
        for name in names:
            field = dataset[name].isel(time=there)
            field = field.isel(level=-1) if "level" in field.dims else field
            means = [read(frame, path).astype(np.float64).mean(axis=1) for frame in _some_frames(field)]
            rows = np.mean(means, axis=0)
            wrong.append(sign * (rows[north].mean() - rows[south].mean()))
        if min(wrong) > _SEASON:
            warm, cold = ("northern", "southern") if sign > 0 else ("southern", "northern")
            yield (
                names[0],
                f"makes the {warm} hemisphere {wrong[0]:.3g} K warmer than the {cold} about {month}, between 30 and 70 "
                "degrees; expected it to be colder: are the hemispheres exchanged, or the dates half a year off?",
            )


def _rain(dataset: xr.Dataset, path: str | Path) -> Iterator[Found]:
    """Precipitation is about 2.7 mm a day, over whatever window it is summed."""
    for name, variable in VARIABLES.items():
        if not name.startswith("total_precipitation") or not _ready(dataset, name):
            continue
        weights = np.cos(np.deg2rad(dataset.latitude.values))[:, None] * np.ones(dataset.sizes["longitude"])
        means = [np.average(read(frame, path), weights=weights) for frame in _some_frames(dataset[name])]
        found, hours = float(np.mean(means)), variable.accumulation_hours
        expected = _RAIN * hours
        if np.isfinite(found) and not expected / _RAIN_FACTOR < found < expected * _RAIN_FACTOR:
            window = found / _RAIN
            likely = f": is it summed over about {window:.2g} h?" if 0.5 <= window <= 100 else ""
            yield name, f"averages {1e3 * found:.3g} mm, expected about {1e3 * expected:.3g} mm in {hours} h{likely}"
