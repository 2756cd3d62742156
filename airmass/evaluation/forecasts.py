"""Forecasts to verify, by system: the file of each initial time, and the times to score."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from pathlib import Path

import numpy as np
import xarray as xr
from jaxtyping import Float

from airmass.core.errors import InputError
from airmass.core.place import Place, located
from airmass.data.formats.forecast_reader import (
    MEMBER,
    hours,
    members_of,
    notes,
    open_forecast,
    read_hours,
    read_members,
    remarks,
    system_of,
)
from airmass.data.formats.layout import every, grid_of, minute
from airmass.data.plausible import require_plausible
from airmass.evaluation.request import named_store
from airmass.evaluation.scores import BASELINES
from airmass.fields.clock import parse_time
from airmass.fields.derived import combined, derived_fields, parts_of, scored
from airmass.fields.grid import LatLonGrid
from airmass.fields.variables import VARIABLES, variable

COMMON = "common"

# Reserved names, and what they are used for.
_RESERVED = dict.fromkeys(BASELINES, "the baseline that is scored beside every model") | {"truth": "the truth"}


@dataclass(frozen=True)
class SystemForecasts:
    """Forecasts of one system: initial time -> (path, dataset, index in the dataset).

    Scored are `chosen` variables, by default all, and `derived` fields.
    """

    name: str
    sources: dict[np.datetime64, tuple[Place, xr.Dataset, int]]
    derived: tuple[str, ...] = ()
    chosen: frozenset[str] = frozenset()

    @property
    def paths(self) -> list[Place]:
        return list(dict.fromkeys(path for path, _, _ in self.sources.values()))

    @property
    def notes(self) -> list[str]:
        """Remarks on how the files are read, to be shown to the user."""
        datasets = {path: dataset for path, dataset, _ in self.sources.values()}
        return [note for path, dataset in datasets.items() for note in notes(dataset, path)]

    @cached_property
    def example(self) -> xr.Dataset:
        return next(dataset for _, dataset, _ in self.sources.values())

    @property
    def init_times(self) -> np.ndarray:
        return np.array(sorted(self.sources))

    @cached_property
    def lead_times(self) -> np.ndarray:
        return self.example.lead_time.values

    @cached_property
    def members(self) -> int:
        return members_of(self.example)

    @cached_property
    def levels(self) -> tuple[int, ...]:
        """Levels in hPa; none if no variable is on levels."""
        return tuple(map(int, self.example.level.values)) if "level" in self.example.coords else ()

    @cached_property
    def variables(self) -> tuple[str, ...]:
        """Variables to score: those in the files and derived ones."""
        held = set(map(str, self.example.data_vars))
        held = held & self.chosen if self.chosen else held
        try:
            return tuple(sorted(held | {*derived_fields(held, self.levels, self.derived)}))
        except InputError as error:
            raise InputError(f"{self.paths[0]}: {error}") from None

    @property
    def remarks(self) -> str:
        """Words on the state that the first forecast starts from."""
        return remarks(self.example)

    def training_overlap(self, init_times: np.ndarray, lead_times: np.ndarray) -> str:
        """Sentence on the forecasts that are valid in the period that the system was trained on; empty if none is."""
        if (period := self._training_period()) is None:
            return ""
        first, last = period
        valid = init_times[:, None] + lead_times
        inside = ((valid >= first) & (valid <= last)).any(axis=1)
        if not inside.any():
            return ""
        return (
            f"{self.name} was trained on {minute(first)} to {minute(last)}: forecasts from {inside.sum()} of "
            f"{len(inside)} initial times are valid in it, so they are not of weather that it has never seen."
        )

    def _training_period(self) -> tuple[np.datetime64, np.datetime64] | None:
        """First and last date of training, as the file says; None if it says nothing."""
        held = [self.example.attrs.get(f"airmass_training_{end}") for end in ("from", "to")]
        if held == [None, None]:
            return None
        where = f"{self.paths[0]}: attributes 'airmass_training_from' and '_to'"
        if None in held:
            raise InputError(f"{where} are {held[0]} and {held[1]}, expected both or none")
        try:
            first, last = (parse_time(str(end)) for end in held)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        if first > last:
            raise InputError(f"{where} are {minute(first)} and {minute(last)}, expected the earlier one first")
        return first, last

    def path(self, init_time: np.datetime64) -> Place:
        return self.sources[init_time][0]

    def read(
        self, name: str, init_time: np.datetime64, lead_times: np.ndarray
    ) -> Float[np.ndarray, "member lead_time level node"]:
        path, dataset, index = self.sources[init_time]
        leads = np.searchsorted(self.lead_times, lead_times).tolist()
        parts = [read_members(dataset, path, part, index, leads) for part in parts_of(name)]
        times = np.tile(init_time + lead_times, self.members)
        for part, values in zip(parts_of(name), parts, strict=True):
            levels = dataset.level.values.tolist() if VARIABLES[part].on_levels else ()
            require_plausible(path, part, values.reshape(-1, *values.shape[2:]), levels, times, forecast=True)
        return with_level_axis(name, combined(name, parts, self.levels), 2)


def open_systems(
    paths: Sequence[str | Path], derived: Sequence[str] = (), variables: Sequence[str] = ()
) -> tuple[SystemForecasts, ...]:
    """Open forecast files and group them by system, in alphabetical order; `derived` fields are scored too.

    `NAME=STORE` gives a file's system another name. `variables` are those to score, by any of their names.

    Raises InputError unless all files have the same grid and levels, and files of one system have the same lead times,
    members and variables, and different initial times.
    """
    named = [named_store(path) for path in paths]
    places = [located(path) for _, path in named]
    if not places:
        raise InputError("no forecast files given, expected one or more")
    if twice := next((place for i, place in enumerate(places) if place in places[:i]), None):
        raise InputError(f"{twice}: given twice among the forecasts")
    found: dict[str, SystemForecasts] = {}
    chosen = frozenset(variable(name).name for name in variables)
    for (given, _), path in zip(named, places, strict=True):
        dataset = open_forecast(path, ensemble=True)
        if (name := given or system_of(dataset, path)) in _RESERVED:
            raise InputError(f"{path}: its system is {name!r}, a name reserved for {_RESERVED[name]}")
        _add(found.setdefault(name, SystemForecasts(name, {}, tuple(derived), chosen)), path, dataset)
        first = next(iter(found.values()))
        same_grid(grid_of(dataset, path), path, grid_of(first.example, first.paths[0]), first.paths[0])
        _same_axis("level", dataset, path, first)
        if lacking := sorted(chosen - set(map(str, dataset.data_vars))):
            held = ", ".join(sorted(map(str, dataset.data_vars)))
            raise InputError(f"{path}: has no {lacking[0]}, expected by --variables; it has {held}")
    return tuple(found[name] for name in sorted(found))


def _add(system: SystemForecasts, path: Place, dataset: xr.Dataset) -> None:
    """Add a file to a system. Raises InputError unless it fits the files that the system has."""
    if system.sources:
        for axis in ("lead_time", MEMBER):
            _same_axis(axis, dataset, path, system)
        _same_variables(system, dataset, path)
    for index, init_time in enumerate(dataset.init_time.values):
        if init_time in system.sources:
            other = system.path(init_time)
            raise InputError(
                f"{path}: initial time {minute(init_time)} of {system.name} is also in {other}; NAME={path} gives it "
                "another name"
            )
        system.sources[init_time] = (path, dataset, index)


def _same_axis(axis: str, dataset: xr.Dataset, path: Place, first: SystemForecasts) -> None:
    found, expected = (d[axis].values if axis in d.coords else np.array([]) for d in (dataset, first.example))
    if not np.array_equal(found, expected):
        raise InputError(
            f"{path}: {_words_of(axis)} is {_span(found)}, but in {first.paths[0]} it is {_span(expected)}"
            f"{_first_difference(found, expected)}"
        )


def _same_variables(system: SystemForecasts, dataset: xr.Dataset, path: Place) -> None:
    found, expected = (", ".join(sorted(map(str, d.data_vars))) for d in (dataset, system.example))
    if found != expected:
        raise InputError(f"{path}: holds {found}, but {system.paths[0]} holds {expected}")


def same_grid(found: LatLonGrid, path: Place | None, expected: LatLonGrid, where: Place) -> None:
    if found != expected:
        raise InputError(f"{path}: grid is {found}, but {where} is on {expected}")


def _words_of(axis: str) -> str:
    return "number (members)" if axis == MEMBER else axis


def _first_difference(found: np.ndarray, expected: np.ndarray) -> str:
    """Words on the first value that only one of two axes has; empty if one of the axes is absent."""
    different = np.setxor1d(found, expected) if len(found) and len(expected) else np.array([])
    return f"; first in one only: {_one(different[0])}" if len(different) else ""


def _span(values: np.ndarray) -> str:
    if not len(values):
        return "absent"
    if values.dtype.kind == "m":
        return f"{' to '.join(f'{hour:g}' for hour in _ends(hours(values)))} h{_spacing(values)}"
    if values.dtype.kind == "M":
        return f"{' to '.join(minute(time) for time in _ends(values))}{_spacing(values)}"
    return str(values.tolist())


def _ends(values: Sequence | np.ndarray) -> list:
    return [values[0], values[-1]] if len(values) > 1 else [values[0]]


def _spacing(times: np.ndarray) -> str:
    """Words on the step of times and their number: " every 6 h (40)"."""
    return f"{every(times) or ' in uneven steps' * (len(times) > 1)} ({len(times)})"


def _one(value: np.datetime64 | np.timedelta64 | int) -> str:
    if isinstance(value, np.timedelta64):
        return f"{hours(np.array(value))[0]:g} h"
    return minute(value) if isinstance(value, np.datetime64) else str(value)


def _dates(texts: Sequence[str]) -> np.ndarray | str:
    if list(texts) == [COMMON]:
        return COMMON
    return np.unique(np.array([parse_time(text) for text in texts]))


def _durations(texts: Sequence[str]) -> np.ndarray | str:
    if list(texts) == [COMMON]:
        return COMMON
    return np.unique(np.array([read_hours(text) for text in texts])) * np.timedelta64(1, "h").astype("timedelta64[ns]")


def chosen_times(systems: Sequence[SystemForecasts], axis: str, texts: Sequence[str] | None) -> np.ndarray:
    """Initial or lead times to score, present in every system; `axis` is "init_time" or "lead_time".

    `texts` names the times; `["common"]` takes those that all systems share; None takes all, which must be the same in
    every system. Raises InputError otherwise.
    """
    wanted = None if texts is None else _dates(texts) if axis == "init_time" else _durations(texts)
    held = [getattr(system, f"{axis}s") for system in systems]
    if wanted is None:
        _same_values(systems, axis, held)
        return held[0]
    if isinstance(wanted, str):
        common = reduce(np.intersect1d, held)
        if not len(common):
            spans = " and ".join(f"{_span(v)} in {s.paths[0]}" for s, v in zip(systems, held, strict=True))
            raise InputError(f"no {axis} is common to all systems: {spans}")
        return common
    for system, values in zip(systems, held, strict=True):
        absent = wanted[~np.isin(wanted, values)]
        if absent.size:
            raise InputError(
                f"{system.paths[0]}: {system.name} has no {axis} {_one(absent[0])}, which was requested; "
                f"it holds {_span(values)}"
            )
    return wanted


def _same_values(systems: Sequence[SystemForecasts], axis: str, held: Sequence[np.ndarray]) -> None:
    first = systems[0]
    for other, values in zip(systems[1:], held[1:], strict=True):
        different = np.setxor1d(held[0], values)
        if different.size:
            raise InputError(
                f"{other.paths[0]}: {axis} of {other.name} is {_span(values)}, but {first.name} in {first.paths[0]} "
                f"has {_span(held[0])}; first in one only: {_one(different[0])}; --{axis.replace('_', '-')}s chooses"
            )


def with_level_axis(name: str, values: np.ndarray, axis: int = 1) -> Float[np.ndarray, "*before level node"]:
    """Values as float32 with a level axis at position `axis`, of length one for a variable without levels."""
    values = np.asarray(values, np.float32)
    before = values.shape[:axis]
    return values.reshape(*before, values.shape[axis] if scored(name).on_levels else 1, -1)
