"""Comparison of an initial state with a published sample: equal, or what differs, by how much, and the likeliest why.

A reason is a change of our field that makes it the sample's; the changes are tried one after another, the plainest
first, and the first that fits is told.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr
from jaxtyping import Float

from airmass.core.errors import InputError
from airmass.data.formats.layout import grid_of, minute
from airmass.data.formats.opening import open_unchecked
from airmass.data.formats.store import read
from airmass.data.formats.valid_time import with_valid_time
from airmass.data.initial import with_our_names
from airmass.fields.task import Task
from airmass.fields.variables import VARIABLES

# Largest difference, in spreads of the sample's field, that float32 and its conversions explain.
ROUNDING = 2e-5
# A change that leaves this part of the misfit, or less, makes a field the sample's.
_FITS = 0.02
_ICE = 271.6  # K; sea water freezes at 271.35 to 271.46
_FACTORS = (
    (9.80665, "the sample holds heights in m, ours geopotential"),
    (1 / 9.80665, "the sample holds geopotential, ours heights in m: units"),
    (1e3, "units: a factor of 1000"), (1e-3, "units: a factor of 1000"),
    (100.0, "units: a factor of 100, as of hPa and Pa"), (0.01, "units: a factor of 100, as of hPa and Pa"),
)  # fmt: skip
_GRAVITY = (9.80665 / 9.81, 9.80665 / 9.8, 9.80665 / 9.8066, 9.80665 / 9.80616)

Values = Float[np.ndarray, "time level latitude longitude"]


@dataclass(frozen=True)
class Difference:
    """One variable against the sample: largest difference, in units and in spreads of the sample, and why."""

    name: str
    largest: float
    spreads: float
    where: str
    reason: str

    def __str__(self) -> str:
        units = VARIABLES[self.name].units
        size = f"{self.largest:.4g} {units} ({self.spreads:.2g} spreads)"
        return f"{self.name} differs by up to {size} {self.where}: {self.reason}"


def compare(ours: xr.Dataset, sample: str | Path, task: Task) -> list[Difference]:
    """Every variable of `task` that differs from the sample at the frames of `ours`; [] if all are equal.

    Equal is to `ROUNDING` of the spread. Raises InputError for a sample without the variables or on another grid.
    """
    theirs = with_our_names(open_unchecked(sample, dask=False), sample)
    theirs = with_valid_time(theirs, sample)[0]
    if (held := grid_of(theirs, sample)) != (grid := grid_of(ours, "ours")):
        raise InputError(f"{sample}: is on the grid {held}, ours on {grid}; choose its grid with --grid")
    if not theirs.sizes.get("time", 1):
        raise InputError(f"{sample}: has no times, expected those of the state")
    found = []
    for name in (*task.prognostic, *task.static):
        if name not in theirs:
            raise InputError(f"{sample}: has no {name}, expected a sample with the variables of the checkpoint")
        if theirs[name].dtype.kind not in "fiu":
            raise InputError(f"{sample}: {name} is {theirs[name].dtype}, expected numbers")
        found += list(_differences(name, ours, theirs, sample))
    return found


def _differences(name: str, ours: xr.Dataset, theirs: xr.Dataset, sample: str | Path) -> Iterator[Difference]:
    our_field, their_field = (_ordered(d, name) for d in (ours, theirs))
    if "level" in our_field.dims:
        lacking = [int(p) for p in our_field.level.values if p not in their_field.level.values]
        if lacking:
            yield Difference(name, np.inf, np.inf, "", f"missing level: the sample has no {lacking[0]} hPa")
            return
        their_field = their_field.sel(level=our_field.level.values)
    a = read(our_field, "ours").astype(np.float64)
    b_all = read(their_field, sample).astype(np.float64)
    times = theirs.time.values if "time" in their_field.dims else np.array([np.datetime64("NaT")])
    our_times = ours.time.values if "time" in our_field.dims else times
    at = [int(np.flatnonzero(times == t)[0]) if (times == t).any() else None for t in our_times]
    if VARIABLES[name].static:
        at = [0]
    a, b_all = _four(a, our_field), _four(b_all, their_field)
    if any(i is None for i in at):
        absent = our_times[[i is None for i in at]][0]
        reason = f"valid time: the sample has no frame at {minute(absent)}, only {', '.join(map(minute, times))}"
        yield Difference(name, np.inf, np.inf, "", _shifted(a, b_all, _FITS) or reason)
        return
    b = b_all[[i for i in at if i is not None]]
    spread = float(np.nanstd(b)) or 1.0
    largest, where = _largest(a, b, our_field, our_times)
    if largest <= ROUNDING * spread:
        return
    yield Difference(name, largest, largest / spread, where, _reason(name, a, b, b_all, our_field))


def _ordered(dataset: xr.Dataset, name: str) -> xr.DataArray:
    field = dataset[name]
    order = [d for d in ("time", "level", "latitude", "longitude") if d in field.dims]
    return field.transpose(*order)


def _four(values: np.ndarray, field: xr.DataArray) -> Values:
    values = values if "level" in field.dims else np.expand_dims(values, -3)
    return values if "time" in field.dims else values[None]


def _largest(a: Values, b: Values, field: xr.DataArray, times: np.ndarray) -> tuple[float, str]:
    """The largest difference, infinite where one has a value and the other has none, and its place."""
    away = np.abs(a - b)
    away = np.where(np.isnan(a) & np.isnan(b), 0, np.where(np.isnan(away), np.inf, away))
    t, p, y, x = np.unravel_index(int(away.argmax()), away.shape)
    level = f" at {float(field.level[p]):g} hPa" if "level" in field.dims else ""
    when = f" at {minute(times[t])}" if "time" in field.dims else ""
    return float(away.max()), f"{level}{when} at {float(field.latitude[y]):g} N {float(field.longitude[x]):g} E".strip()


def _misfit(a: Values, b: Values) -> float:
    """Root mean square difference in spreads of the sample's levels, where both have values; inf if few have."""
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < 0.2 * np.isfinite(b).sum():
        return np.inf
    spread = np.nanstd(b, axis=(0, 2, 3), keepdims=True)
    spread[spread == 0] = 1.0
    return float(np.sqrt(np.mean(((a - b) / spread)[both] ** 2)))


def _reason(name: str, a: Values, b: Values, b_all: Values, field: xr.DataArray) -> str:
    if VARIABLES[name].missing_over_land and (reason := _under_ice(a, b)):
        return reason
    near = min(_FITS * _misfit(a, b), _FITS) + ROUNDING
    for change, words in _changes(name, a, b, field):
        if _misfit(change(a), b) < near:
            return words
    if len(b_all) > 1 and (reason := _swapped(a, b, near) or _shifted(a, b_all, near)):
        return reason
    return (
        _level_of_another(a, b, field, near)
        or _factor(name, a, b, near)
        or _smoother(a, b)
        or _rain(name, a, b)
        or "no known reason fits"
    )


Change = tuple[Callable[[Values], Values], str]


def _changes(name: str, a: Values, b: Values, field: xr.DataArray) -> Iterator[Change]:
    """Changes of our field that common faults make, with their words."""
    for factor, words in _FACTORS:
        yield partial(_divided, factor), words
    yield (lambda v: v - 273.15), "units: the sample is in °C"
    yield (lambda v: v + 273.15), "units: ours is in °C"
    if a.shape[1] > 1:
        yield (lambda v: v[:, ::-1]), "level order: the levels run the other way"
    yield (lambda v: v[..., ::-1, :]), "latitude order: the rows run the other way"
    half = a.shape[-1] // 2
    yield (lambda v: np.roll(v, half, -1)), "longitude shift: by 180 degrees, as of longitudes from -180"
    rows = a.shape[-2] // 2
    yield (lambda v: np.roll(v, rows, -2)), "hemispheres: the northern and the southern are exchanged"
    for turn in range(1, a.shape[-1]):
        if turn != half:
            degrees = turn * 360 / a.shape[-1]
            degrees = degrees if degrees <= 180 else degrees - 360
            yield partial(_rolled, turn), f"longitude shift: by {degrees:g} degrees"


def _divided(factor: float, values: Values) -> Values:
    return values / factor


def _rolled(turn: int, values: Values) -> Values:
    return np.roll(values, turn, -1)


def _under_ice(a: Values, b: Values) -> str:
    """The words for fields of the sea that differ only where there is ice, or where one has none."""
    differs = ~(np.isclose(a, b, rtol=0, atol=1e-3) | (np.isnan(a) & np.isnan(b)))
    with np.errstate(invalid="ignore"):
        cold = (np.fmin(a, b) <= _ICE) | np.isnan(a) | np.isnan(b)
    if differs.any() and cold[differs].all() and not differs.all():
        return (
            f"SST under ice: {int(differs.sum())} points differ, all at or below freezing or missing in one: the rule "
            "for the sea under ice is another"
        )
    return ""


def _swapped(a: Values, b: Values, near: float) -> str:
    if len(a) == 2 and _misfit(a[::-1], b) < near:
        return "time swap: the two frames are exchanged"
    return ""


def _shifted(a: Values, b_all: Values, near: float) -> str:
    """The words for frames that are others of the sample's."""
    for shift in range(1 - len(b_all), len(b_all)):
        pairs = [(i, i + shift) for i in range(len(a)) if 0 <= i + shift < len(b_all)]
        if not pairs or not shift:
            continue
        mine, others = np.stack([a[i] for i, _ in pairs]), np.stack([b_all[j] for _, j in pairs])
        if _misfit(mine, others) < near:
            return f"valid time: our frames are the sample's {abs(shift)} {'later' if shift > 0 else 'earlier'}"
    return ""


def _level_of_another(a: Values, b: Values, field: xr.DataArray, near: float) -> str:
    """The words for levels that hold the values of others."""
    if a.shape[1] < 2:
        return ""
    levels = field.level.values
    for i, level in enumerate(levels):
        if _misfit(a[:, [i]], b[:, [i]]) < near:
            continue
        for j, other in enumerate(levels):
            if i != j and _misfit(a[:, [i]], b[:, [j]]) < near:
                return f"level order: {level:g} hPa holds what the sample has at {other:g} hPa"
    return ""


def _factor(name: str, a: Values, b: Values, near: float) -> str:
    """The words for a field that is the sample's times a constant."""
    both = np.isfinite(a) & np.isfinite(b)
    norm = float((b[both] ** 2).sum())
    if not norm:
        return ""
    ratio = float((a[both] * b[both]).sum()) / norm
    if not ratio or _misfit(a / ratio, b) > near:
        return ""
    gravity = min((*_GRAVITY, *(1 / g for g in _GRAVITY)), key=lambda g: abs(g - ratio))
    if name.startswith("geopotential") and abs(gravity - ratio) < 1e-5:
        return f"g: ours is {ratio:.6f} times the sample: 9.80665 against another g, such as 9.81"
    return f"units or window: ours is {ratio:.6g} times the sample everywhere"


def _smoother(a: Values, b: Values) -> str:
    """The words for a difference that is of the smallest scales: averages over areas against values at points."""
    difference = a - b
    around = np.roll(b, 1, -1) + np.roll(b, -1, -1) - 4 * b
    smooth = around[..., 1:-1, :] + b[..., 2:, :] + b[..., :-2, :]
    inner = difference[..., 1:-1, :]
    both = np.isfinite(smooth) & np.isfinite(inner)
    if both.sum() < 10 or _misfit(a, b) > 0.5:
        return ""
    agreement = float(np.corrcoef(smooth[both], inner[both])[0, 1])
    if abs(agreement) < 0.5:
        return ""
    smoother, other = ("ours", "the sample") if agreement > 0 else ("the sample", "ours")
    return f"thinning against averaging: {smoother} is the smoother, as of areas; {other} is of points (--method)"


def _rain(name: str, a: Values, b: Values) -> str:
    if not VARIABLES[name].accumulation_hours:
        return ""
    ratio = float(np.nanmean(a)) / (float(np.nanmean(b)) or np.nan)
    return (
        f"window of precipitation: ours has {ratio:.3g} times the sample's mean; expected sums over "
        f"{VARIABLES[name].accumulation_hours} h that end at the valid time"
    )
