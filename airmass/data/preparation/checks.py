"""Checks of a whole store in one pass: coordinates, times, units, missing and implausible values.

The tests are those of the readers (`store.problems`, `plausible`, `sea_mask`), so a store without findings can be read.
"""

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from airmass.core.errors import InputError
from airmass.data.formats.layout import HORIZONTAL, axis_problem, expected_dims, fill_hint, minute, problems
from airmass.data.formats.opening import open_unchecked
from airmass.data.formats.store import read
from airmass.data.preparation.matching_statistics import statistics_problems, without_statistics
from airmass.data.preparation.physical_checks import level_order_problems, physical_problems
from airmass.data.preparation.tally import Tally, at_level, tally_of
from airmass.data.sea_mask import MASK, gap_problem
from airmass.fields.variables import COMPUTED, VARIABLES, Variable

if TYPE_CHECKING:
    from rich.table import Table

# On Earth nearly everything south of this latitude is high land, and nearly nothing north of it.
_POLAR = 80.0


@dataclass(frozen=True)
class Finding:
    """A problem of a coordinate or variable, or, if not `wrong`, a note."""

    where: str
    problem: str
    wrong: bool = True


def check_store(path: str | Path, statistics: str | Path | None = None) -> list[Finding]:
    """All problems of a store, and notes; reads all data once.

    With a folder of `statistics`, the store's means and spreads are held against them. Raises InputError if one of both
    cannot be opened.
    """
    dataset = open_unchecked(path, dask=False)
    findings = [Finding(where, problem) for where, problem in problems(dataset)]
    findings += _known(dataset)
    findings += _times(dataset)
    findings += _upside_down(dataset, path)
    tallies = {
        name: tally_of(dataset[name], VARIABLES[name], path, statistics is not None)
        for name in map(str, dataset.data_vars)
        if name in VARIABLES and name not in COMPUTED and _are_numbers(dataset, dataset[name])
    }
    turned = level_order_problems(dataset, path)
    for name, _ in turned:  # what the order of levels explains is not told again
        tallies[name].doubts.clear()
    ordered = dataset.drop_vars([name for name, _ in turned])
    findings += [Finding(where, problem) for where, problem in [*turned, *physical_problems(ordered, path)]]
    for name in sorted(map(str, dataset.data_vars)):
        findings += _variable(dataset, name, tallies.get(name), path)
    if statistics is not None:
        findings += _statistics(ordered, tallies, statistics)
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
        yield Finding(
            "time", f"has {between.sum()} times between full hours, first {minute(times[between][0])}; expected none"
        )
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
            f"has {odd.sum()} steps other than whole multiples of {hours}, first after {minute(times[:-1][odd][0])}; "
            f"take in times of one step: --times FIRST:LAST:{hours.replace(' ', '')}",
        )
    missing = int((gaps[~odd] // usual - 1).sum())
    if missing:
        first = times[:-1][~odd & (gaps > usual)][0] + usual
        yield Finding("time", f"misses {missing} at a step of {hours}, first {minute(first)}; take in what is missing")


def _statistics(dataset: xr.Dataset, tallies: dict[str, Tally], folder: str | Path) -> Iterator[Finding]:
    """Findings on means and spreads, of variables whose layout and values have no other problem."""
    held = {
        name: (tally.levels, tally.moments)
        for name, tally in tallies.items()
        if tally.moments is not None and not tally.doubts
        and name in dataset and dataset[name].dims == expected_dims(VARIABLES[name])
    }  # fmt: skip
    if held:
        yield from (Finding(name, problem) for name, problem in statistics_problems(held, folder))
        yield from (Finding(str(folder), remark, wrong=False) for remark in without_statistics(held, folder))


def _variable(dataset: xr.Dataset, name: str, tally: Tally | None, path: str | Path) -> Iterator[Finding]:
    """Findings on one variable, with the tally of its values if they are numbers."""
    if name not in VARIABLES:
        yield Finding(name, "is not in the table of variables and will not be used", wrong=False)
    elif name in COMPUTED:
        yield Finding(name, "is computed from time and grid, never read from a store", wrong=False)
    elif "units" not in dataset[name].attrs:
        yield Finding(name, f"has no units; {VARIABLES[name].units!r} is assumed", wrong=False)
    if tally is not None:
        yield from (Finding(name, text) for text in tally.unreadable)
        yield from _values(dataset, VARIABLES[name], tally, path) if tally.count else ()


def _values(dataset: xr.Dataset, variable: Variable, tally: Tally, path: str | Path) -> Iterator[Finding]:
    """Findings on missing, implausible, repeated and constant values."""
    name = variable.name
    if tally.missing == tally.count:
        yield Finding(name, "has no value at all")
        return
    if tally.missing and not variable.missing_over_land:
        hint = fill_hint(dataset[name])
        yield Finding(name, f"has {tally.missing} NaN or infinite values{tally.first_missing}{hint}; expected none")
    elif tally.infinite:
        yield Finding(name, f"has {tally.infinite} infinite values{tally.first_missing}; expected none")
    if tally.doubts:
        yield Finding(name, tally.doubts[0] + _more(tally))
    if np.any(same := tally.low == tally.high):
        place = at_level(tally.levels[int(np.argmax(same))])
        yield Finding(name, f"{place}is {tally.low[same][0]:g} everywhere")
    else:
        anew = "; take them in anew"
        if tally.repeated:
            yield Finding(name, f"has {tally.repeated} frames that repeat the one before{tally.first_repeated}{anew}")
        if tally.flat:
            yield Finding(name, f"has {tally.flat} frames of one value everywhere{tally.first_flat}{anew}")
    if variable.missing_over_land and tally.first_mask is not None:
        yield from _missing_over_land(dataset, name, tally, path)


def _are_numbers(dataset: xr.Dataset, values: xr.DataArray) -> bool:
    """True if there are numeric values, on numeric levels, that can be checked against ranges."""
    on_levels = "level" in values.dims and axis_problem(dataset, "level") is not None
    return values.dtype.kind in "fiu" and values.size > 0 and not on_levels


def _more(tally: Tally) -> str:
    """The extent of further implausible values, in words."""
    if not tally.outside:
        return f", and {len(tally.doubts) - 1} frames more" if len(tally.doubts) > 1 else ""
    return f"; {tally.outside} values are outside, all run from {tally.low.min():g} to {tally.high.max():g}"


def _missing_over_land(dataset: xr.Dataset, name: str, tally: Tally, path: str | Path) -> Iterator[Finding]:
    if tally.mask_changes:
        yield Finding(name, f"is missing at other places than before{tally.mask_changes}")
    assert tally.first_mask is not None
    if MASK not in dataset or dataset[MASK].dims != HORIZONTAL or dataset[MASK].shape != tally.first_mask.shape:
        if not tally.missing:
            yield Finding(name, "has values over land too, where analyses have none", wrong=False)
        return
    try:
        mask = read(dataset[MASK], path)
    except InputError:
        return  # reported where the mask itself is read
    least, greatest = VARIABLES[MASK].valid_range
    in_range = mask.min() >= least and mask.max() <= greatest  # else reported for the mask
    if in_range and (problem := gap_problem(mask, tally.first_mask)):
        yield Finding(name, problem)
