"""Opening of sources for ingestion and initial states: what is asked for, and whether the sources have it."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from airmass.core.errors import InputError
from airmass.core.place import Place
from airmass.data.formats.layout import minute
from airmass.data.ingest.analysis import Analysis
from airmass.data.ingest.archive import Archive
from airmass.data.ingest.model_levels import read_half_levels
from airmass.data.ingest.pieces import Reading, by_quantity, pieces_of
from airmass.data.ingest.regrid import METHODS, parse_grid
from airmass.fields.clock import parse_dates
from airmass.fields.grid import LatLonGrid
from airmass.fields.names import names_from
from airmass.fields.variables import COMPUTED, VARIABLES, variable


@dataclass(frozen=True)
class IngestRequest:
    """Options of an ingest.

    `times` is text as `2020-01-01:2020-01-31:6h`, None for all; `levels` are in hPa, () for all.
    """

    sources: tuple[Place, ...]
    variables: tuple[str, ...] = ()
    levels: tuple[int, ...] = ()
    grid: str | None = None
    method: str = "conservative"
    times: str | None = None
    member: int | None = None
    lead: int | None = None
    accumulation: int | None = None
    names: Path | None = None
    half_levels: Path | None = None
    below_ground: str = "missing"
    shard: int | None = None


@dataclass(frozen=True)
class Opened:
    """Sources that have been opened and checked: what is written, and from what."""

    analysis: Analysis
    variables: tuple[str, ...]
    times: np.ndarray
    levels: tuple[int, ...]
    numbers: tuple[int, ...]
    notes: tuple[str, ...] = ()

    @property
    def changing(self) -> tuple[str, ...]:
        return tuple(name for name in self.variables if not VARIABLES[name].static)

    @property
    def grid(self) -> LatLonGrid:
        return self.analysis.grid

    def frame(self, name: str, time: np.datetime64) -> np.ndarray:
        """A variable at a time, with its members if there are several."""
        if not self.numbers or VARIABLES[name].static:
            return self.analysis.frame(name, time)
        return np.stack([self.analysis.frame(name, time, number) for number in self.numbers])

    def dims(self, name: str) -> tuple[str, ...]:
        known = VARIABLES[name]
        if known.static:
            return ("latitude", "longitude")
        number, level = ("number",) * bool(self.numbers), ("level",) * known.on_levels
        return ("time", *number, *level, "latitude", "longitude")

    def size(self, dim: str) -> int:
        rows, columns = self.grid.shape
        sizes = {"latitude": rows, "longitude": columns, "level": len(self.levels), "number": len(self.numbers)}
        return {**sizes, "time": len(self.times)}[dim]


def open_sources(
    request: IngestRequest,
    levels: tuple[int, ...] | None = None,
    grid: LatLonGrid | None = None,
    choose: Callable[[dict[str, np.ndarray]], np.ndarray] | None = None,
) -> Opened:
    """Open all sources, and check that they have every variable at every time; raises InputError otherwise.

    `levels` and `grid` replace those of the request. `choose` takes the times of each variable that changes, and gives
    those to read.
    """
    if request.method not in METHODS:
        raise InputError(f"--method is {request.method!r}, expected one of {', '.join(METHODS)}")
    if not request.sources:
        raise InputError("no sources given, expected one or more")
    if twice := [s for n, s in enumerate(request.sources) if str(s) in map(str, request.sources[:n])]:
        raise InputError(f"{twice[0]}: given twice as a source, expected once")
    grid = parse_grid(request.grid) if request.grid is not None else grid
    archive, notes = open_archive(request)
    asked = levels if levels is not None else _levels(request.levels)
    names = _variables(request.variables, archive, asked, notes)
    if choose is None and not request.variables:
        names = _without_partial_sums(names, archive, request.times, notes)
    levels = asked or archive.common_levels(names)
    changing = [name for name in names if not VARIABLES[name].static]
    if choose is None:
        times = _times(request.times, archive, names, notes)
    else:
        times = choose({name: archive.times(name) for name in changing})
    extended = request.below_ground == "extrapolate"
    analysis = Analysis(archive, grid, request.method, levels, request.member, extended)
    analysis.require(names, times)
    return Opened(analysis, names, times, levels, archive.numbers(changing, request.member), tuple(notes))


def open_archive(request: IngestRequest) -> tuple[Archive, list[str]]:
    """All known quantities of the sources, and notes on what is left out."""
    half = read_half_levels(request.half_levels) if request.half_levels is not None else None
    reading = Reading(names_from(request.names), request.accumulation, request.lead, half)
    pieces = [piece for source in request.sources for piece in pieces_of(source, reading)]
    return Archive(by_quantity(pieces)), reading.notes


def parse_times(text: str) -> np.ndarray:
    """Times of a text as `2020-01-01:2020-01-31:6h`: first and last, both included, and the step in whole hours."""
    expected = f"--times is {text!r}, expected FIRST:LAST:STEP such as 2020-01-01:2020-01-31:6h"
    if not (found := re.fullmatch(r"(.+):(\d{1,4})h", text)):
        raise InputError(expected)
    span, hours = found[1], int(found[2])
    for at in [m.start() for m in re.finditer(":", span)]:
        try:
            first, end = parse_dates((span[:at], span[at + 1 :]))
        except InputError as error:
            if "the last is before" in str(error):
                raise
            continue
        if hours < 1:
            raise InputError(expected)
        if (end - first) / np.timedelta64(hours, "h") > 5e6:
            raise InputError(f"--times is {text!r}: more than 5 million times")
        return np.arange(first, end, np.timedelta64(hours, "h")).astype("datetime64[ns]")
    raise InputError(expected)


def _levels(levels: Sequence[int]) -> tuple[int, ...]:
    if wrong := [level for level in levels if not 1 <= level <= 1100]:
        raise InputError(f"--levels has {wrong[0]}, expected hPa from 1 to 1100")
    if len(set(levels)) < len(levels):
        raise InputError(f"--levels has {next(v for v in levels if levels.count(v) > 1)} twice")
    return tuple(sorted(levels))


def _variables(asked: Sequence[str], archive: Archive, levels: Sequence[int], notes: list[str]) -> tuple[str, ...]:
    """Long names of the variables: those asked for, or all that the sources give on `levels`; others are noted."""
    if not asked:
        return tuple(name for name in VARIABLES if name not in COMPUTED and _can(archive, name, levels, notes))
    names = [variable(name).name for name in asked]
    if computed := [name for name in names if name in COMPUTED]:
        raise InputError(f"{computed[0]} is computed from time and grid, never taken in")
    for name in names:
        archive.origin(name)
    return tuple(dict.fromkeys(names))


def _without_partial_sums(
    names: Sequence[str], archive: Archive, text: str | None, notes: list[str]
) -> tuple[str, ...]:
    """The variables without sums that nobody asked for and that can be put together at some of the times only.

    Of sums over 6 h, those over 12 h lack the first time.
    """
    changing = [name for name in names if not VARIABLES[name].static]
    put_together = [name for name in changing if archive.is_put_together(name)]
    others = [name for name in changing if name not in put_together]
    if not others and text is None:
        return tuple(names)
    wanted = parse_times(text) if text is not None else archive.times(others[0])
    partial = [name for name in put_together if not np.isin(wanted, archive.times(name)).all()]
    for name in partial:
        notes.append(f"left out: {name}: it can be put together at {_span(archive.times(name))} only")
    return tuple(name for name in names if name not in partial)


def _can(archive: Archive, name: str, levels: Sequence[int], notes: list[str]) -> bool:
    """True if a variable can be had.

    Unless they are asked for, sums of unknown windows, and variables without one of the levels wanted, are left out
    with a note.
    """
    if not archive.origins(name):
        return False
    if lacking := archive.lacking_levels(name, levels):
        notes.append(f"left out: {name}: it is missing at {' '.join(f'{level:g}' for level in lacking)} hPa")
        return False
    try:
        found = VARIABLES[name].static or len(archive.times(name)) > 0
    except InputError as error:
        notes.append(f"left out: {name}: {error}")
        return False
    if not found:
        notes.append(f"left out: {name}: it can be put together at no time")
    return found


def _times(text: str | None, archive: Archive, names: Sequence[str], notes: Sequence[str]) -> np.ndarray:
    """The times asked for, or those that all variables have, which must then be the same."""
    changing = [name for name in names if not VARIABLES[name].static]
    if not changing:
        left = "".join(f"; {note}" for note in notes[:2])
        raise InputError(f"only fields that never change are there with a time, expected one or more that change{left}")
    if text is not None:
        return parse_times(text)
    held = {name: archive.times(name) for name in changing}
    first, *others = held
    for name in others:
        if not np.array_equal(held[first], held[name]):
            raise InputError(
                f"{archive.describe(first)}: {first} has {_span(held[first])}, {archive.describe(name)}: {name} has "
                f"{_span(held[name])}; choose times that all have with --times"
            )
    if not len(held[first]):
        raise InputError(f"{first} has no times")
    return held[first]


def _span(times: np.ndarray) -> str:
    return f"{len(times)} times from {minute(times[0])} to {minute(times[-1])}" if len(times) else "no times"
