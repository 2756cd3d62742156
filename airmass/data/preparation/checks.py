"""Everything wrong with a store, found in one reading: coordinates, times, units, missing and impossible values."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from airmass.core.errors import InputError
from airmass.data.formats.store import fill_hint, minute, open_unchecked, problems, read
from airmass.fields.variables import COMPUTED, VARIABLES, Variable

if TYPE_CHECKING:
    from rich.table import Table

_BLOCK_BYTES = 64 * 2**20
# Coastlines differ between a land mask and an SST analysis; more than this share of nodes is no coastline.
_COAST_SHARE = 0.05


@dataclass(frozen=True)
class Finding:
    """One thing found: a coordinate or variable, what is the matter, and whether it is wrong or only worth knowing."""

    where: str
    problem: str
    wrong: bool = True


def check_store(path: str | Path) -> list[Finding]:
    """Everything wrong with a store, and notes; all data are read once. Raises InputError if it cannot be opened."""
    dataset = open_unchecked(path, dask=False)
    findings = [Finding(where, problem) for where, problem in problems(dataset)]
    findings += _times(dataset)
    for name in sorted(map(str, dataset.data_vars)):
        if name not in VARIABLES:
            findings.append(Finding(name, "is not in the table of variables and will not be used", wrong=False))
        elif name in COMPUTED:
            findings.append(Finding(name, "is computed from time and grid, never read from a store", wrong=False))
        else:
            findings += _variable(dataset, VARIABLES[name], path)
    return sorted(findings, key=lambda finding: not finding.wrong)


def report(path: str | Path, findings: list[Finding]) -> "Table":
    """The findings as a table to print; one row that says so when all is well."""
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


def _times(dataset: xr.Dataset) -> Iterator[Finding]:
    """Gaps and steps that do not fit; repeated and backward times are among the problems of any store."""
    if "time" not in dataset.dims or not np.issubdtype(dataset.time.dtype, np.datetime64):
        return
    times = np.unique(dataset.time.values)
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
    """What has been seen of one variable so far."""

    low: float = np.inf
    high: float = -np.inf
    count: int = 0
    missing: int = 0
    outside: int = 0
    first_missing: str = ""
    first_outside: str = ""
    mask: np.ndarray | None = None
    mask_changes: str = ""
    unreadable: list[str] = field(default_factory=list)

    def add(self, values: np.ndarray, variable: Variable, when: str) -> None:
        """Add one frame, ([level,] latitude, longitude)."""
        missing = ~np.isfinite(values)
        self.count += values.size
        if missing.any():
            self.missing += int(missing.sum())
            self.first_missing = self.first_missing or when
        held = values[~missing]
        if held.size:
            self.low, self.high = min(self.low, float(held.min())), max(self.high, float(held.max()))
            outside = int(((held < variable.valid_range[0]) | (held > variable.valid_range[1])).sum())
            self.outside += outside
            self.first_outside = self.first_outside or (when if outside else "")
        if variable.missing_over_land:
            if self.mask is not None and not self.mask_changes and not np.array_equal(self.mask, missing):
                self.mask_changes = when
            self.mask = missing if self.mask is None else self.mask


def _variable(dataset: xr.Dataset, variable: Variable, path: str | Path) -> Iterator[Finding]:
    values, name = dataset[variable.name], variable.name
    if "units" not in values.attrs:
        yield Finding(name, f"has no units; {variable.units!r} is assumed", wrong=False)
    tally = _tally(values, variable, path)
    for text in tally.unreadable:
        yield Finding(name, text)
    if not tally.count:
        return
    if tally.missing and not variable.missing_over_land:
        yield Finding(name, f"has {tally.missing} NaN or infinite values{tally.first_missing}{fill_hint(values)}")
    if tally.outside:
        low, high = variable.valid_range
        yield Finding(
            name,
            f"has {tally.outside} values outside {low:g} to {high:g} {variable.units}{tally.first_outside}; "
            f"they run from {tally.low:g} to {tally.high:g}",
        )
    if tally.low == tally.high:
        yield Finding(name, f"is {tally.low:g} everywhere")
    elif tally.missing == tally.count:
        yield Finding(name, "has no value at all")
    if variable.missing_over_land:
        yield from _missing_over_land(dataset, name, tally)


def _missing_over_land(dataset: xr.Dataset, name: str, tally: _Tally) -> Iterator[Finding]:
    if tally.mask_changes:
        yield Finding(name, f"is missing at other places than before{tally.mask_changes}")
    if not tally.missing:
        yield Finding(name, "has values over land too, where analyses have none", wrong=False)
        return
    if tally.mask is None or "land_sea_mask" not in dataset or dataset.land_sea_mask.shape != tally.mask.shape:
        return
    land = dataset.land_sea_mask.values
    open_sea, inland = int((tally.mask & (land <= 0)).sum()), int((~tally.mask & (land >= 1)).sum())
    if open_sea or inland:
        yield Finding(
            name,
            f"does not fit land_sea_mask: missing at {open_sea} nodes of open sea, present at {inland} inland",
            wrong=open_sea + inland > _COAST_SHARE * land.size,
        )


def _tally(values: xr.DataArray, variable: Variable, path: str | Path) -> _Tally:
    tally = _Tally()
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
    """Add a block of frames; one that cannot be read is tried again frame by frame."""
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
    """Names the chunks, by their numbers in the chunk grid, that cannot be decoded for one frame."""
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
