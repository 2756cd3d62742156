"""Checks for physically implausible values, the same in every command that reads fields.

Three tests, each on the minimum, the maximum and the mean of a frame, so that the data are read once:

- every value is in the table's range;
- the mean of geopotential is at least a fifth of the standard atmosphere's at its level: the range spans all levels, so
  it includes heights in m and the zeros of a lost chunk;
- with statistics, the mean is within `FAR_MEAN` spreads of theirs, or within `FAR_SLIP` if an error of units would
  explain it; and single values are within `FAR`, except in fields with heavy tails. A spread is over space and time, so
  the mean over a global frame is within one spread of the mean in any season: a mean 20 spreads off is another field,
  and one 4 spreads off that fits after a conversion of units is in other units. The rarest single values (a
  hurricane's wind, a low of 870 hPa) are 15 spreads off; rain, humidity and vertical velocity reach hundreds.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from airmass.core.errors import InputError
from airmass.data.formats.layout import minute
from airmass.fields.variables import VARIABLES, Variable

FAR, FAR_MEAN, FAR_SLIP = 40.0, 20.0, 4.0
HEAVY_TAILS = ("kg kg-1", "m", "Pa s-1")

_G = 9.80665
# Largest mean of surface geopotential; on Earth it is 2,300 m2 s-2 by area and 3,700 by grid point.
_SURFACE, _SURFACE_MEAN = "geopotential_at_surface", 1.2e4
# Numbers that formats and archives use for missing values.
_FILL_VALUES = (9.999e20, 1e20, 9.96921e36, -9e33, -9.99e33, -32767.0, -32768.0, -9999.0, -999.0, 9999.0)
# Smallest part of the standard atmosphere's geopotential that the mean of a frame may be; heights in m are a tenth.
_LEAST_PART = 0.2
_LOST = "is a part of the file lost?"
_UNDECLARED = "a fill value that the file does not declare?"

Channel = tuple[str, int | None]  # variable and level in hPa
Usual = Mapping[Channel, tuple[float, float]]  # mean and spread by variable and level


class Slip(NamedTuple):
    """A common error of units: `right = factor * found + offset`."""

    words: str
    factor: float
    offset: float = 0.0


_SLIPS = {
    "K": (Slip("are these °C?", 1, 273.15),),
    "Pa": (Slip("are these hPa?", 100),),
    "m": (Slip("are these mm?", 1e-3),),
    "kg kg-1": (Slip("are these g kg-1?", 1e-3),),
    "m2 s-2": (Slip("are these heights in m? Geopotential is 9.80665 times that", _G),),
    "1": (Slip("are these %?", 0.01),),
}


@dataclass(frozen=True)
class Doubt:
    """An implausible value in a frame: found, expected, and the likeliest reason, if known."""

    found: float
    expected: str
    mean: bool = False
    reason: str = ""

    @property
    def text(self) -> str:
        what = "averages" if self.mean else "has the value"
        return f"{what} {self.found:.6g}, expected {self.expected}{self.reason and f'; {self.reason}'}"


def doubt(
    channel: Channel, low: float, high: float, mean: float, usual: tuple[float, float] | None = None
) -> Doubt | None:
    """The implausible value in a frame with this minimum, maximum and mean; None if all are plausible.

    NaN for an unknown number passes. `usual` are mean and spread of the statistics in use.
    """
    name, level = channel
    variable = VARIABLES[name]
    return (
        _out_of_range(variable, low, high)
        or _far_from_standard(variable, level, mean)
        or _far_from_surface(name, mean)
        or (usual and _far_from_usual(variable, usual, low, high, mean))
        or None
    )


class Limits:
    """Limits for minimum, maximum and mean of frames of these channels, for checks of all channels at once."""

    def __init__(self, channels: Sequence[Channel], usual: Usual | None = None):
        self._channels, self._usual = list(channels), usual or {}
        # Values within these bounds are plausible; others are checked by `doubt`.
        self._bounds = np.array([self._calm(channel) for channel in self._channels], np.float64).reshape(-1, 4).T

    def require(
        self,
        path: str | Path,
        low: Float[np.ndarray, "frame channel"],
        high: Float[np.ndarray, "frame channel"],
        mean: Float[np.ndarray, "frame channel"],
        times: np.ndarray | None = None,
        forecast: bool = False,
    ) -> None:
        """Raise InputError for the first implausible frame and channel.

        In a `forecast`, which may be bad because of its model, only fill values and errors of units are refused.
        """
        least, greatest, mean_least, mean_greatest = self._bounds
        with np.errstate(invalid="ignore"):
            suspect = (low < least) | (high > greatest) | (mean < mean_least) | (mean > mean_greatest)
        for row, column in np.argwhere(suspect):
            channel = self._channels[column]
            numbers = float(low[row, column]), float(high[row, column]), float(mean[row, column])
            found = doubt(channel, *numbers, usual=self._usual.get(channel))
            if found is not None and (not forecast or _slipped(found, channel[0], numbers[0], numbers[2])):
                raise InputError(f"{path}: {place(channel, times, row)} {found.text}")

    def _calm(self, channel: Channel) -> tuple[float, float, float, float]:
        name, level = channel
        least, greatest = (float(np.float32(bound)) for bound in VARIABLES[name].valid_range)
        mean_least, mean_greatest = _standard(name, level) * _LEAST_PART, _SURFACE_MEAN if name == _SURFACE else np.inf
        if channel in self._usual:
            center, spread = self._usual[channel]
            mean_least = max(mean_least, center - FAR_SLIP * spread)
            mean_greatest = center + FAR_SLIP * spread
            if VARIABLES[name].units not in HEAVY_TAILS:
                least, greatest = max(least, center - FAR * spread), min(greatest, center + FAR * spread)
        return least, greatest, mean_least, mean_greatest


class FirstReading:
    """A check of frames against `Limits` at their first reading only."""

    def __init__(self, channels: Sequence[Channel], usual: Usual | None = None):
        self._limits = Limits(channels, usual)
        self._checked: set[tuple[Hashable, int]] = set()

    def require(
        self,
        path: str | Path,
        frames: Float[np.ndarray, "frame channel node"],
        sums: Float[np.ndarray, "frame channel"],
        numbers: Sequence[int] | np.ndarray,
        times: np.ndarray,
        part: Hashable = None,
    ) -> None:
        """Raise InputError for the first implausible frame; `numbers` and `part` identify frames and their part."""
        fresh = [i for i, number in enumerate(numbers) if (part, int(number)) not in self._checked]
        if not fresh:
            return
        if len(fresh) < len(frames):
            frames, sums, times = frames[fresh], sums[fresh], times[fresh]
        self._limits.require(path, *extremes(frames), sums / frames.shape[-1], times)
        self._checked.update((part, int(numbers[i])) for i in fresh)


def require_plausible(
    path: str | Path,
    name: str,
    values: Float[np.ndarray, "frame *level latitude longitude"],
    levels: Sequence[int] = (),
    times: np.ndarray | None = None,
    usual: Usual | None = None,
    forecast: bool = False,
) -> None:
    """Raise InputError for the first frame of a variable with implausible values.

    `levels` are those of the second axis, in hPa, if there is one, and `times` those of the first, if known.
    """
    channels: list[Channel] = [(name, level) for level in levels] or [(name, None)]
    frames = values.reshape(len(values), len(channels), -1)
    low, high = extremes(frames)
    least, greatest = VARIABLES[name].valid_range
    outside = bool((low < least).any() or (high > greatest).any())
    needed = usual is not None or name in ("geopotential", _SURFACE) or (forecast and outside)
    Limits(channels, usual).require(path, low, high, means(frames) if needed else low * np.nan, times, forecast)


def slips_of(name: str) -> tuple[Slip, ...]:
    """The common errors of units of a variable."""
    return _SLIPS.get(VARIABLES[name].units, ())


def usual(channels: Sequence[Channel], mean: ArrayLike, spread: ArrayLike) -> Usual:
    """Means and spreads by channel, for `Limits`."""
    return {
        channel: (float(m), float(s)) for channel, m, s in zip(channels, np.array(mean), np.array(spread), strict=True)
    }


def extremes(
    frames: Float[np.ndarray, "frame channel node"],
) -> tuple[Float[np.ndarray, "frame channel"], Float[np.ndarray, "frame channel"]]:
    """Minimum and maximum over nodes, ignoring NaN; NaN if all values are."""
    with np.errstate(all="ignore"):
        return np.fmin.reduce(frames, axis=-1), np.fmax.reduce(frames, axis=-1)


def means(frames: Float[np.ndarray, "frame channel node"]) -> Float[np.ndarray, "frame channel"]:
    """Means over the finite values."""
    with np.errstate(all="ignore"):
        found = frames.mean(axis=-1)
    for index in map(tuple, np.argwhere(~np.isfinite(found))):  # a field of the sea is NaN over land
        held = frames[index][np.isfinite(frames[index])]
        found[index] = held.mean() if held.size else np.nan
    return found


def place(channel: Channel, times: np.ndarray | None = None, row: int = 0) -> str:
    """A channel and time in words, such as `temperature at 500 hPa at 2000-11-01T06:00`."""
    name, level = channel
    return (
        name
        + (f" at {level:g} hPa" if level is not None else "")
        + (f" at {minute(times[row])}" if times is not None else "")
    )


def _slipped(found: Doubt, name: str, low: float, mean: float) -> bool:
    """True if a forecast's implausible value is an error of units or a fill value rather than a bad model's.

    Rain and humidity in other units have a large mean, but still nearly zero as their minimum. A mean below zero of
    what cannot be negative is a bad model's.
    """
    least, greatest = VARIABLES[name].valid_range
    return found.reason not in ("", _LOST) and (
        found.mean or found.reason == _UNDECLARED or mean < least > 0 or (mean > greatest / 4 and low < mean / 10)
    )


def _out_of_range(variable: Variable, low: float, high: float) -> Doubt | None:
    least, greatest = variable.valid_range
    if not (low < least or high > greatest):
        return None
    found = low if low < least else high
    if low < least and high > greatest:  # report the one farther off
        found = low if least - low > high - greatest else high
    reason = _slip_reason(variable, low, high)
    if not reason and _fills(found):
        reason = _UNDECLARED
    return Doubt(found, f"{least:g} to {greatest:g} {variable.units}", reason=reason)


def _slip_reason(variable: Variable, low: float, high: float) -> str:
    least, greatest = variable.valid_range
    for slip in slips_of(variable.name):
        if least <= slip.factor * low + slip.offset and slip.factor * high + slip.offset <= greatest:
            return slip.words
    return ""


def _fills(value: float) -> bool:
    return abs(value) > 1e15 or any(abs(value - fill) <= 1e-5 * abs(fill) for fill in _FILL_VALUES)


def _far_from_standard(variable: Variable, level: int | None, mean: float) -> Doubt | None:
    """Geopotential far below the standard atmosphere's: heights, or the zeros of a lost chunk."""
    standard = _standard(variable.name, level)
    if not mean < standard * _LEAST_PART:
        return None
    heights = 0.6 < _G * mean / standard < 1.6
    reason = _SLIPS[variable.units][0].words if heights else "" if mean else _LOST
    return Doubt(mean, f"about {standard:.2g} {variable.units}", True, reason)


def _far_from_surface(name: str, mean: float) -> Doubt | None:
    """Geopotential of a level in place of the surface's: files do not always tell which one `z` is."""
    if name != _SURFACE or not mean > _SURFACE_MEAN:
        return None
    expected = f"at most {_SURFACE_MEAN:g} m2 s-2, as seas are near 0"
    return Doubt(mean, expected, True, "is this the geopotential of a level?")


def _standard(name: str, level: int | None) -> float:
    """The standard atmosphere's geopotential, accurate to 10 % up to 1 hPa; -inf where it cannot be used.

    That is near the ground, where geopotential and height are both near zero.
    """
    return _G * 7400 * np.log(1013.25 / level) if name == "geopotential" and level and 0 < level < 900 else -np.inf


def _far_from_usual(
    variable: Variable, usual: tuple[float, float] | None, low: float, high: float, mean: float
) -> Doubt | None:
    if usual is None:
        return None
    center, spread = usual
    expected = f"{center:.6g} {variable.units} as in the statistics, whose spread is {spread:.4g}"
    away = abs(mean - center) / spread
    for slip in slips_of(variable.name):
        if away > FAR_SLIP and abs(slip.factor * mean + slip.offset - center) < min(2 * spread, abs(center) / 2):
            return Doubt(mean, expected, True, slip.words)
    if away > FAR_MEAN:
        return Doubt(mean, expected, True)
    if variable.units in HEAVY_TAILS:
        return None
    farthest = low if center - low > high - center else high
    return Doubt(farthest, expected) if abs(farthest - center) > FAR * spread else None
