"""Means and spreads of a store held against files of statistics, by variable and level.

Single frames of real analyses, in opposite seasons and half a century apart, have means within 0.33 spreads of each
other and spreads within a factor of 1.8 (humidity: 0.65 and 3.2), so a short store of the same climate passes. Another
unit, another order of levels or another variable does not, and is named where the numbers tell it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from airmass.core.errors import InputError
from airmass.data.plausible import HEAVY_TAILS, Channel, slips_of
from airmass.data.preparation.moments import Moments
from airmass.data.preparation.saved_statistics import MEAN, STDDEV, load_table, require_statistics
from airmass.fields.variables import VARIABLES

# Largest distance of means in spreads, and largest ratio of spreads; storms make those of heavy tails uncertain.
_APART, _RATIO = 0.5, 2.0
_APART_HEAVY, _RATIO_HEAVY = 1.0, 5.0
# Largest ratio of mean precipitation: sums over 6 h are half of those over 12 h.
_RAIN_RATIO = 1.7
# Two channels are exchanged if that makes their misfit this much smaller, and it is not near zero as they are. Numbers
# fit other statistics if their misfit from them is as small as that between real frames.
_BETTER, _LEAST_MISFIT, _FITS = 4.0, 0.05, 0.15

Held = Mapping[str, tuple[tuple[int | None, ...], Moments]]


@dataclass(frozen=True)
class Compared:
    """Mean and spread of a channel in a store, and in the statistics."""

    channel: Channel
    mean: float
    spread: float
    usual_mean: float
    usual_spread: float

    @property
    def problem(self) -> str:
        """The number that does not match, with the one expected; empty if both match."""
        name, units = self.channel[0], VARIABLES[self.channel[0]].units
        heavy = units in HEAVY_TAILS
        apart, ratio = (_APART_HEAVY, _RATIO_HEAVY) if heavy else (_APART, _RATIO)
        rain = name.startswith("total_precipitation") and not _within(self.mean, self.usual_mean, _RAIN_RATIO)
        if rain or abs(self.mean - self.usual_mean) > apart * self.usual_spread:
            expected = f"{self.usual_mean:.6g} as in the statistics, whose spread is {self.usual_spread:.4g}"
            return f"averages {self.mean:.6g} {units}, expected {expected}"
        if not _within(self.spread, self.usual_spread, ratio):
            return f"has the spread {self.spread:.4g} {units}, expected {self.usual_spread:.4g} as in the statistics"
        return ""

    def misfit(self, of: "Compared", factor: float = 1, offset: float = 0) -> float:
        """The squared distance of the store's numbers, after a conversion, from the statistics of a channel."""
        apart = (factor * self.mean + offset - of.usual_mean) / of.usual_spread
        return float(apart**2 + np.log(max(factor * self.spread, 1e-30) / of.usual_spread) ** 2)


def statistics_problems(held: Held, folder: str | Path) -> Iterator[tuple[str, str]]:
    """(variable, problem) for each variable of a store whose mean or spread on a level is not that of the statistics.

    `held` has levels and moments by variable. Raises InputError if the files cannot be read.
    """
    tables = {kind: load_table(folder, kind) for kind in (MEAN, STDDEV)}
    named = {name: levels for name, (levels, _) in held.items() if all(name in table for table in tables.values())}
    if not named:
        found = ", ".join(sorted(map(str, tables[MEAN].data_vars))) or "nothing"
        raise InputError(f"{folder}: the statistics have none of the store's variables; found {found}")
    compared: list[Compared] = []
    for name in named:
        try:
            for kind, table in tables.items():
                require_statistics(table, Path(folder) / f"{kind}.nc", [name], spread=kind == STDDEV)
        except InputError as error:
            yield name, f"has statistics that cannot be used: {error}"
        else:
            compared += _compared(name, *held[name], *tables.values())
    for name in named:
        yield from _worst([one for one in compared if one.channel[0] == name], compared)


def without_statistics(held: Held, folder: str | Path) -> Iterator[str]:
    """A remark on the variables of a store that the statistics lack, and on those that they lack on some levels."""
    table = load_table(folder, MEAN)
    if absent := [name for name in held if name not in table]:
        yield f"has none of {', '.join(absent)}"
    by_levels: dict[tuple[int | None, ...], list[str]] = {}
    for name, (levels, _) in held.items():
        if name in table and "level" in table[name].coords:
            known = set(table[name].level.values.tolist())
            by_levels.setdefault(tuple(level for level in levels if level not in known), []).append(name)
    for levels, names in by_levels.items():
        if levels:
            yield f"has nothing at {' '.join(f'{level:g}' for level in levels)} hPa of {', '.join(names)}"


def _compared(name: str, levels: tuple[int | None, ...], moments: Moments, mean, stddev) -> Iterator[Compared]:
    for k, level in enumerate(levels):
        at = {} if level is None else {"level": level}
        if moments.count[k] and (level is None or all(level in table.level.values for table in (mean, stddev))):
            usual = (float(table[name].sel(at)) for table in (mean, stddev))
            yield Compared((name, level), float(moments.mean[k]), float(moments.stddev[k]), *usual)


def _worst(own: list[Compared], every: list[Compared]) -> Iterator[tuple[str, str]]:
    """A line on the channel of a variable that matches least, with the likeliest reason."""
    exchanged = {one.channel: other for one in own if (other := _exchanged(one, every)) is not None}
    wrong = [one for one in own if one.problem or one.channel in exchanged]
    if not wrong:
        return
    worst = max(wrong, key=lambda one: one.misfit(one))
    problem = worst.problem or f"averages {worst.mean:.6g} and has the spread {worst.spread:.4g}"
    more = f"; {len(wrong) - 1} levels more do not match" if len(wrong) > 1 else ""
    level = worst.channel[1]
    at = "" if level is None else f"at {level:g} hPa "
    yield worst.channel[0], f"{at}{problem}{more}; {_reason(worst, every, exchanged.get(worst.channel))}"


def _exchanged(one: Compared, every: list[Compared]) -> Compared | None:
    """The channel whose statistics fit this one, and this one's that channel, much better than their own do."""
    found = []
    for other in _alike(one, every):
        apart, crossed = (one.misfit(one), other.misfit(other)), (one.misfit(other), other.misfit(one))
        if max(crossed) < _FITS and sum(apart) > max(_LEAST_MISFIT, _BETTER * sum(crossed)):
            found.append((sum(crossed), other))
    return min(found, key=lambda pair: pair[0])[1] if found else None


def _alike(one: Compared, every: list[Compared]) -> list[Compared]:
    """The channels that may have been taken for another: other levels of its variable, other variables of its units."""
    (name, level), units = one.channel, VARIABLES[one.channel[0]].units
    return [
        other
        for other in every
        if other.channel != one.channel
        and (other.channel[0] == name or (other.channel[1] == level and VARIABLES[other.channel[0]].units == units))
    ]


def _reason(one: Compared, every: list[Compared], exchanged: Compared | None) -> str:
    """The likeliest reason of a mismatch, or the mend."""
    slips = {slip.words: one.misfit(one, slip.factor, slip.offset) for slip in slips_of(one.channel[0])}
    others = {_confused(one, other): one.misfit(other) for other in _alike(one, every)}
    if exchanged is not None:
        return _confused(one, exchanged)
    most = min(one.misfit(one) / _BETTER, _FITS)
    likely = {words: misfit for words, misfit in {**slips, **others}.items() if misfit < most}
    words = min(likely, key=lambda words: likely[words], default=None)
    return words or "are they in other units, or of another climate? `airmass data stats` makes a store's own"


def _confused(one: Compared, other: Compared) -> str:
    name, level = other.channel
    if name == one.channel[0]:
        return f"it fits those of {level:g} hPa: are the levels in another order?"
    return f"it fits those of {name}: are the two variables exchanged?"


def _within(one: float, other: float, ratio: float) -> bool:
    """True if two numbers above zero are within a ratio of each other."""
    return other / ratio <= one <= other * ratio
