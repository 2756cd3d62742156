"""Comparisons in words: in how many cells a system is better or worse, in which fields, and at which lead times."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from airmass.evaluation.comparisons import SCORECARD_METRICS, Comparison, families
from airmass.evaluation.metrics import known_metrics

# Ends of the parts of a forecast in hours, and the groups of fields that are named for each side.
_ENDS = (24.0, 72.0, 120.0, np.inf)
_MOST_GROUPS = 3

_Channel = tuple[str, int | None]
_Bands = tuple[int, ...]


@dataclass(frozen=True)
class Verdict:
    """Number of cells in which a system is better and worse than another, and lines on the fields that these are."""

    headline: str
    fields: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join((self.headline, *self.fields))


def verdicts(rows: Sequence[Comparison]) -> list[Verdict]:
    """Verdicts on RMSE and CRPS, for each system, region and period."""
    return [verdict(held) for (_, metric, _), held in families(rows).items() if metric in SCORECARD_METRICS]


def verdict(rows: Sequence[Comparison]) -> Verdict:
    """Verdict on one system, metric, region and period.

    A field counts as better in a part of the forecast (to 24 h, 72 h, 120 h, beyond) if it is significantly better at
    half of the lead times in it or more.
    """
    first, metric = rows[0], known_metrics()[rows[0].metric]
    better, worse = (sum(row.significant and row.better == side for row in rows) for side in (True, False))
    place = " over the globe" if first.region is None else f" over {first.region}"
    when = f", {first.period}" if first.period else ""
    about = f"{metric.title[0].upper() + metric.title[1:]}{place}{when}"
    if not better and not worse:
        pair = f"{first.system} and {first.against}"
        return Verdict(f"{about}: no significant difference between {pair} in any of {len(rows)} cells.")
    rest = len(rows) - better - worse
    return Verdict(
        f"{about}: {first.system} is significantly better than {first.against} in {better} of {len(rows)} cells and "
        f"significantly worse in {worse}; {rest} do not differ significantly.",
        tuple(_lines(rows)),
    )


def _lines(rows: Sequence[Comparison]) -> Iterator[str]:
    """A line on the fields that are better, one on those that are worse, and one on the others."""
    sides = _sides(rows)
    held = tuple(sorted({_band(row.lead_time_hours) for row in rows}))
    for title, sign in (("Better", 1), ("Worse", -1)):
        found: dict[_Bands, list[_Channel]] = {}
        for channel, signs in sides.items():
            if bands := tuple(band for band, side in signs.items() if side == sign):
                found.setdefault(bands, []).append(channel)
        if found:
            yield f"{title}: {_grouped(found, held, list(sides))}."
    if even := [channel for channel, signs in sides.items() if not any(signs.values())]:
        yield f"No clear difference: {_named(even, list(sides))}."


def _sides(rows: Sequence[Comparison]) -> dict[_Channel, dict[int, int]]:
    """1 where a field is better in a part of the forecast, -1 where it is worse, else 0."""
    cells: dict[_Channel, dict[int, list[int]]] = {}
    for row in rows:
        side = (1 if row.better else -1) if row.significant else 0
        cells.setdefault((row.variable, row.level), {}).setdefault(_band(row.lead_time_hours), []).append(side)
    return {
        channel: {band: _side(held) for band, held in sorted(by_band.items())} for channel, by_band in cells.items()
    }


def _side(cells: Sequence[int]) -> int:
    better, worse = cells.count(1), cells.count(-1)
    return (1 if better > worse else -1) if better != worse and 2 * max(better, worse) >= len(cells) else 0


def _band(hours: float) -> int:
    return int(np.searchsorted(_ENDS, hours))


def _grouped(found: Mapping[_Bands, list[_Channel]], held: _Bands, every: Sequence[_Channel]) -> str:
    """Fields and their lead times, the most fields first."""
    ordered = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    parts = [f"{_named(fields, every)}, {_when(bands, held)}" for bands, fields in ordered[:_MOST_GROUPS]]
    if others := sum(len(fields) for _, fields in ordered[_MOST_GROUPS:]):
        parts.append(f"{others} more field{'s' if others > 1 else ''} at other lead times")
    return "; ".join(parts)


def _when(bands: _Bands, held: _Bands) -> str:
    """Lead times of some of the parts of a forecast that are `held`."""
    if bands == held:
        return "at all lead times"
    runs: list[list[int]] = []
    for band in bands:
        if runs and held.index(band) == held.index(runs[-1][-1]) + 1:
            runs[-1].append(band)
        else:
            runs.append([band])
    return " and ".join(_span(run[0], run[-1], held) for run in runs)


def _span(first: int, last: int, held: _Bands) -> str:
    if last == held[-1]:
        return f"beyond {_ENDS[first - 1]:g} h"
    return f"up to {_ENDS[last]:g} h" if first == held[0] else f"from {_ENDS[first - 1]:g} to {_ENDS[last]:g} h"


def _named(fields: Sequence[_Channel], every: Sequence[_Channel]) -> str:
    """Variables with their levels, or all fields but those."""
    if len(fields) == len(every):
        return "all fields"
    missing = [channel for channel in every if channel not in fields]
    return f"all fields but {_listed(missing, every)}" if 4 * len(missing) <= len(every) else _listed(fields, every)


def _listed(fields: Sequence[_Channel], every: Sequence[_Channel]) -> str:
    names = dict.fromkeys(name for name, _ in fields)
    words = [_with_levels(name, _levels(fields, name), _levels(every, name)) for name in names]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _levels(fields: Sequence[_Channel], name: str) -> list[int]:
    return sorted(level for held, level in fields if held == name and level is not None)


def _with_levels(name: str, levels: Sequence[int], every: Sequence[int]) -> str:
    plain = name.replace("_", " ")
    if not levels:
        return plain
    if len(levels) == len(every) > 1:
        return f"{plain} at all levels"
    start = every.index(levels[0])
    if len(levels) > 2 and levels == every[start : start + len(levels)]:
        return f"{plain} at {levels[0]} to {levels[-1]} hPa"
    return f"{plain} at {'/'.join(map(str, levels))} hPa"
