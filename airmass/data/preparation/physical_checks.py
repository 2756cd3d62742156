"""Physical tests of a store: orders and balances that every atmosphere keeps, on a few frames spread over its times.

They find what ranges cannot: levels in another order, hemispheres exchanged, dates half a year off, sums over another
window.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from airmass.core.errors import InputError
from airmass.data.formats.layout import HORIZONTAL, axis_problem, minute
from airmass.data.formats.store import read
from airmass.data.plausible import doubt
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


def level_order_problems(dataset: xr.Dataset, path: str | Path) -> list[Found]:
    """(variable, problem) for geopotential that does not fall with pressure."""
    return _of(_order_of_levels, dataset, path)


def physical_problems(dataset: xr.Dataset, path: str | Path) -> list[Found]:
    """(variable, problem) for each balance and mean that is wrong; fields in other layouts or units are left out."""
    return [found for test in (_hydrostatic, _seasons, _rain, _running_sums) for found in _of(test, dataset, path)]


def _of(
    test: Callable[[xr.Dataset, str | Path], Iterator[Found]], dataset: xr.Dataset, path: str | Path
) -> list[Found]:
    try:
        return list(test(dataset, path))
    except InputError:
        return []  # reported where the variable is read


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
    weights = _area(dataset)
    both = map(_some_frames, (dataset.geopotential, dataset.temperature))
    for height_frame, temperature_frame in zip(*both, strict=True):
        frames = [read(frame, path).astype(np.float64) for frame in (height_frame, temperature_frame)]
        if not all(_plausible(n, f, levels) for n, f in zip(("geopotential", "temperature"), frames, strict=True)):
            continue
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


def _plausible(name: str, frame: np.ndarray, levels: Sequence[float] | np.ndarray = ()) -> bool:
    """True for a frame without values in other units, fill values and gaps, which are reported for the values."""
    parts = [(int(level), part) for level, part in zip(levels, frame, strict=True)] if len(levels) else [(None, frame)]
    return all(
        np.isfinite(part).all() and doubt((name, level), part.min(), part.max(), part.mean()) is None
        for level, part in parts
    )


def _area(dataset: xr.Dataset) -> np.ndarray:
    """Area weights of all grid points."""
    return np.cos(np.deg2rad(dataset.latitude.values))[:, None] * np.ones(dataset.sizes["longitude"])


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
            frames = [read(frame, path).astype(np.float64) for frame in _some_frames(field)]
            if not all(np.isfinite(frame).all() and frame.max() < VARIABLES[name].valid_range[1] for frame in frames):
                return  # reported for the values
            means = [frame.mean(axis=1) for frame in frames]
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
    for name in _sums(dataset):
        weights, hours = _area(dataset), VARIABLES[name].accumulation_hours
        frames = [read(frame, path) for frame in _some_frames(dataset[name])]
        if not all(_plausible(name, frame) for frame in frames):
            continue
        found, expected = float(np.mean([np.average(frame, weights=weights) for frame in frames])), _RAIN * hours
        if not expected / _RAIN_FACTOR < found < expected * _RAIN_FACTOR:
            window = found / _RAIN
            likely = f": is it summed over about {window:.2g} h?" if 0.5 <= window <= 100 else ""
            yield name, f"averages {1e3 * found:.3g} mm, expected about {1e3 * expected:.3g} mm in {hours} h{likely}"


def _running_sums(dataset: xr.Dataset, path: str | Path) -> Iterator[Found]:
    """From one window to the next, precipitation falls at some point; sums since a start never do."""
    for name in _sums(dataset):
        times, hours = dataset.time.values, VARIABLES[name].accumulation_hours
        first = np.flatnonzero(np.diff(times) > np.timedelta64(0))
        for i in first[np.unique(np.linspace(0, len(first) - 1, min(len(first), _MOST_FRAMES)).round().astype(int))]:
            before, after = (read(dataset[name].isel(time=int(k)), path) for k in (i, i + 1))
            if (after >= before).all() and (after > before).any():
                yield (
                    name,
                    f"falls at no point from {minute(times[i])} to {minute(times[i + 1])}, expected sums over {hours} "
                    "h that fall at many: is it summed since the start of a forecast?",
                )
                break


def _sums(dataset: xr.Dataset) -> list[str]:
    return [name for name in VARIABLES if name.startswith("total_precipitation") and _ready(dataset, name)]
