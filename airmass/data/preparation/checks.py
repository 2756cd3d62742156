"""Checks of a whole store in one pass: coordinates, times, units, missing and implausible values.

The tests are those of the readers (`store.problems`, `plausible`, `sea_mask`), so a store without findings can be read.
"""

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from airmass.core.errors import InputError
from airmass.data.formats.layout import HORIZONTAL, axis_problem, fill_hint, minute, problems
from airmass.data.formats.opening import open_unchecked
from airmass.data.formats.store import read
from airmass.data.plausible import doubt, extremes, means
from airmass.data.preparation.physical_checks import physical_problems
from airmass.data.sea_mask import MASK, gap_problem
from airmass.fields.variables import COMPUTED, VARIABLES, Variable

if TYPE_CHECKING:
    from rich.table import Table

_BLOCK_BYTES = 64 * 2**20
# On Earth nearly everything south of this latitude is high land, and nearly nothing north of it.
_POLAR = 80.0


@dataclass(frozen=True)
class Finding:
    """A problem of a coordinate or variable, or, if not `wrong`, a note."""

    where: str
    problem: str
    wrong: bool = True


def check_store(path: str | Path) -> list[Finding]:
    """All problems of a store, and notes; reads all data once. Raises InputError if it cannot be opened."""
    dataset = open_unchecked(path, dask=False)
    findings = [Finding(where, problem) for where, problem in problems(dataset)]
    findings += _known(dataset)
    findings += _times(dataset)
    findings += _upside_down(dataset, path)
    findings += [Finding(where, problem) for where, problem in physical_problems(dataset, path)]
    for name in sorted(map(str, dataset.data_vars)):
        if name not in VARIABLES:
            findings.append(Finding(name, "is not in the table of variables and will not be used", wrong=False))
        elif name in COMPUTED:
            findings.append(Finding(name, "is computed from time and grid, never read from a store", wrong=False))
        else:
            findings += _variable(dataset, VARIABLES[name], path)
    return sorted(findings, key=lambda finding: not finding.wrong)


def as_json(path: str | Path, findings: list[Finding]) -> str:
    """The findings as JSON: a list of objects with file, where, problem and wrong."""
    return json.dumps([{"file": str(path), **dataclasses.asdict(finding)} for finding in findings], indent=1)


def report(path: str | Path, findings: list[Finding]) -> "Table":
    """The findings as a table to print, with a row that says so if nothing is wrong."""
    from rich.table import Table

    from airmass.core.tables import plain

    table = Table(title=plain(path), title_justify="left")
    for column in ("", "where", "what"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        mark = plain("wrong", "red") if finding.wrong else plain("note")
        table.add_row(mark, plain(finding.where), plain(finding.problem))
    if not any(finding.wrong for finding in findings):
        table.add_row(plain("all well", "green"), "", "nothing wrong was found")
    return table


def _known(dataset: xr.Dataset) -> Iterator[Finding]:
    """Findings for stores without known variables or without times, which every reader needs."""
    known = [str(name) for name in dataset.data_vars if name in VARIABLES and name not in COMPUTED]
    if not known:
        held = ", ".join(sorted(map(str, dataset.data_vars))) or "none"
        yield Finding(
            "variables",
            f"are none that airmass knows; found {held}; expected some such as temperature; "
            "`airmass data ingest` takes in other names",
        )
    elif all(VARIABLES[name].static for name in known):
        yield Finding("time", f"is nowhere: {', '.join(known)} never change, and nothing else is known", wrong=False)
    elif "time" in dataset.dims and not dataset.sizes["time"]:
        yield Finding("time", "is empty, expected one time or more")


def _upside_down(dataset: xr.Dataset, path: str | Path) -> Iterator[Finding]:
    """A finding for static fields stored north to south under rising latitudes: the Antarctic is in the north."""
    names = ("land_sea_mask", "geopotential_at_surface")
    if not all(name in dataset and dataset[name].dims == HORIZONTAL for name in names):
        return
    if axis_problem(dataset, "latitude"):
        return
    latitude = dataset.latitude.values.astype(np.float64)
    south, north = latitude <= -_POLAR, latitude >= _POLAR
    if not (south.any() and north.any()):
        return
    try:
        land, height = (read(dataset[name], path) for name in names)
    except InputError:
        return  # reported where the variable is read
    if land[north].mean() > 0.9 > 0.5 > land[south].mean() and height[north].mean() > 1.5e4 > height[south].mean():
        yield Finding(
            "latitude", "is turned against the fields: high land around the North Pole, none around the South"
        )


def _times(dataset: xr.Dataset) -> Iterator[Finding]:
    """Findings on gaps and irregular steps; repeated and backward times are among `store.problems`."""
    if "time" not in dataset.dims or not np.issubdtype(dataset.time.dtype, np.datetime64):
        return
    times = np.unique(dataset.time.values)
    if np.any(between := times != times.astype("datetime64[h]")):
        yield Finding("time", f"has {between.sum()} times between full hours, first {minute(times[between][0])}")
    if len(times) < 3:
        return
    steps, counts = np.unique(np.diff(times), return_counts=True)
    usual = steps[counts.argmax()]
    hours = f"{usual / np.timedelta64(1, 'h'):g} h"
    gaps = np.diff(times)
    odd = gaps % usual != np.timedelta64(0)
    if odd.any():
        yield Finding(
            "time",
            f"has {odd.sum()} steps other than whole multiples of {hours}, first after {minute(times[:-1][odd][0])}",
        )
    missing = int((gaps[~odd] // usual - 1).sum())
    if missing:
        first = times[:-1][~odd & (gaps > usual)][0] + usual
        yield Finding("time", f"misses {missing} at a step of {hours}, first {minute(first)}")


@dataclass
class _Tally:
    """Running counts and extremes of one variable; `low` and `high` by level."""

    low: np.ndarray
    high: np.ndarray
    levels: tuple[int | None, ...]
    count: int = 0
    missing: int = 0
    infinite: int = 0
    outside: int = 0
    first_missing: str = ""
    doubts: list[str] = field(default_factory=list)
    first_mask: np.ndarray | None = None
    mask_changes: str = ""
    last: np.ndarray | None = None
    last_when: str = ""
    repeated: int = 0
    first_repeated: str = ""
    flat: int = 0
    first_flat: str = ""
    unreadable: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, values: xr.DataArray) -> "_Tally":
        levels: tuple[int | None, ...] = (None,) * values.sizes.get("level", 1)
        if "level" in values.dims and values.level.dtype.kind in "fiu":  # otherwise reported for the coordinate
            levels = tuple(values.level.values)
        return cls(np.full(len(levels), np.inf), np.full(len(levels), -np.inf), levels)

    def add(self, frame: np.ndarray, variable: Variable, when: str) -> None:
        """Add one frame, ([level,] latitude, longitude)."""
        self._hold_against_the_last(frame, variable, when)
        missing = ~np.isfinite(frame)
        self.count += frame.size
        self.infinite += int(np.isinf(frame).sum())
        if missing.any():
            self.missing += int(missing.sum())
            self.first_missing = self.first_missing or when
            frame = np.where(missing, np.nan, frame)
        self._hold_against(frame.reshape(1, len(self.levels), -1), variable, when)
        if variable.missing_over_land:
            self.first_mask = missing if self.first_mask is None else self.first_mask
            if not self.mask_changes and not np.array_equal(self.first_mask, missing):
                self.mask_changes = when

    def _hold_against_the_last(self, frame: np.ndarray, variable: Variable, when: str) -> None:
        """Count frames that repeat the one before, and frames of one value. The sea may stay as it is for a day."""
        if not variable.missing_over_land and not variable.around_cyclones and not variable.accumulation_hours:
            # A time that is there twice is reported for the coordinate.
            if self.last is not None and when != self.last_when and np.array_equal(self.last, frame):
                self.repeated += 1
                self.first_repeated = self.first_repeated or when
            elif frame.size > 1 and frame.min() == frame.max():
                self.flat += 1
                self.first_flat = self.first_flat or when
        self.last, self.last_when = frame, when

    def _hold_against(self, frames: np.ndarray, variable: Variable, when: str) -> None:
        low, high = extremes(frames)
        self.low, self.high = np.fmin(self.low, low[0]), np.fmax(self.high, high[0])
        numbers = zip(self.levels, low[0].tolist(), high[0].tolist(), means(frames)[0].tolist(), strict=True)
        for column, (level, *found) in enumerate(numbers):
            if (doubted := doubt((variable.name, level), *found)) is None:
                continue
            least, greatest = variable.valid_range
            self.outside += int(((frames[0, column] < least) | (frames[0, column] > greatest)).sum())
            self.doubts.append(f"{_at(level)}{doubted.text}{when}")


def _at(level: int | None) -> str:
    return "" if level is None else f"at {level:g} hPa "


def _variable(dataset: xr.Dataset, variable: Variable, path: str | Path) -> Iterator[Finding]:
    values, name = dataset[variable.name], variable.name
    if "units" not in values.attrs:
        yield Finding(name, f"has no units; {variable.units!r} is assumed", wrong=False)
    if not _are_numbers(dataset, values):
        return  # reported among the problems of its coordinates and dtype
    tally = _tally(values, variable, path)
    for text in tally.unreadable:
        yield Finding(name, text)
    if not tally.count:
        return
    if tally.missing and not variable.missing_over_land:
        yield Finding(name, f"has {tally.missing} NaN or infinite values{tally.first_missing}{fill_hint(values)}")
    elif tally.infinite:
        yield Finding(name, f"has {tally.infinite} infinite values{tally.first_missing}")
    if tally.doubts:
        yield Finding(name, tally.doubts[0] + _more(tally))
    if tally.repeated and np.all(tally.low != tally.high):
        yield Finding(name, f"has {tally.repeated} frames that repeat the one before{tally.first_repeated}")
    if tally.missing == tally.count:
        yield Finding(name, "has no value at all")
    elif tally.flat and np.all(tally.low != tally.high):
        yield Finding(name, f"has {tally.flat} frames of one value everywhere{tally.first_flat}")
    elif np.any(same := tally.low == tally.high):
        place = _at(tally.levels[int(np.argmax(same))])
        yield Finding(name, f"{place}is {tally.low[same][0]:g} everywhere")
    if variable.missing_over_land and tally.first_mask is not None:
        yield from _missing_over_land(dataset, name, tally, path)


def _are_numbers(dataset: xr.Dataset, values: xr.DataArray) -> bool:
    """True if there are numeric values, on numeric levels, that can be checked against ranges."""
    on_levels = "level" in values.dims and axis_problem(dataset, "level") is not None
    return values.dtype.kind in "fiu" and values.size > 0 and not on_levels


def _more(tally: _Tally) -> str:
    """The extent of further implausible values, in words."""
    if not tally.outside:
        return f", and {len(tally.doubts) - 1} frames more" if len(tally.doubts) > 1 else ""
    return f"; {tally.outside} values are outside, all run from {tally.low.min():g} to {tally.high.max():g}"


def _missing_over_land(dataset: xr.Dataset, name: str, tally: _Tally, path: str | Path) -> Iterator[Finding]:
    if tally.mask_changes:
        yield Finding(name, f"is missing at other places than before{tally.mask_changes}")
    assert tally.first_mask is not None
    if MASK not in dataset or dataset[MASK].dims != HORIZONTAL or dataset[MASK].shape != tally.first_mask.shape:
        if not tally.missing:
            yield Finding(name, "has values over land too, where analyses have none", wrong=False)
        return
    try:
        problem = gap_problem(read(dataset[MASK], path), tally.first_mask)
    except InputError:
        return  # reported where the mask itself is read
    if problem:
        yield Finding(name, problem)


def _tally(values: xr.DataArray, variable: Variable, path: str | Path) -> _Tally:
    tally = _Tally.of(values)
    if "time" not in values.dims:
        try:
            tally.add(read(values, path), variable, "")
        except InputError:
            tally.unreadable.append(_unreadable(values, None, path))
        return tally
    frame = 4 * max(1, values.size // values.sizes["time"])
    block = max(1, _BLOCK_BYTES // frame)
    for start in range(0, values.sizes["time"], block):
        _tally_block(tally, values, slice(start, start + block), variable, path)
    return tally


def _tally_block(tally: _Tally, values: xr.DataArray, block: slice, variable: Variable, path: str | Path) -> None:
    """Add a block of frames to the tally; an unreadable block is read again frame by frame."""
    part = values.isel(time=block).transpose("time", ...)
    try:
        frames: Iterator[np.ndarray] | np.ndarray = read(part, path)
    except InputError:
        frames = iter(())
        for i in range(part.sizes["time"]):
            try:
                frame = read(part.isel(time=i), path)
            except InputError:
                tally.unreadable.append(_unreadable(values, block.start + i, path))
            else:
                tally.add(frame, variable, _when(part, i))
    for i, frame in enumerate(frames):
        tally.add(frame, variable, _when(part, i))


def _when(part: xr.DataArray, i: int) -> str:
    dated = "time" in part.coords and np.issubdtype(part.time.dtype, np.datetime64)
    return f", first at {minute(part.time.values[i])}" if dated else ""


def _unreadable(values: xr.DataArray, frame: int | None, path: str | Path) -> str:
    """A message with the chunks of one frame, by their indices in the chunk grid, that cannot be decoded."""
    sizes = values.encoding.get("chunks") or values.shape
    grid = [range(-(-n // size)) for n, size in zip(values.shape, sizes, strict=True)]
    if frame is not None:
        time = values.dims.index("time")
        grid[time] = range(frame // sizes[time], frame // sizes[time] + 1)
    bad, reason = [], ""
    for chunk in np.ndindex(*map(len, grid)):
        number = [axis[i] for axis, i in zip(grid, chunk, strict=True)]
        corner = {d: slice(k * s, k * s + 1) for d, k, s in zip(values.dims, number, sizes, strict=True)}
        try:
            read(values.isel(corner), path)
        except InputError as error:
            bad.append("/".join(map(str, number)))
            reason = str(error.__cause__)
    when = _when(values, frame).replace(", first at", " at") if frame is not None else ""
    return f"cannot be read{when}: chunk {', '.join(bad)}: {' '.join(reason.split())}"
