"""Frames of fields read from forecasts and stores, one run after another and a few frames at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from airmass.core.errors import InputError
from airmass.core.parallel import results_in_order
from airmass.core.place import Place, located
from airmass.data.formats.field_reader import FieldReader, field_reader
from airmass.data.formats.forecast_reader import MEMBER, open_forecast, system_of
from airmass.data.formats.layout import grid_of, minute
from airmass.data.formats.opening import open_unchecked
from airmass.data.formats.reading import error_line
from airmass.data.formats.store import checked, require
from airmass.data.plausible import require_plausible
from airmass.evaluation.tracks.base import Channel, Frame
from airmass.fields.grid import LatLonGrid
from airmass.fields.variables import VARIABLES

# Of each variable, read at once.
_READ_BYTES = 32 * 2**20
# The same where each time is a chunk of its own.
_FEW_BYTES = 8 * 2**20


@dataclass(frozen=True)
class Run:
    """One initial time and member of a forecast, or all times of a store (an analysis, with `init_time` None)."""

    path: Place
    system: str
    init_time: np.datetime64 | None
    number: int
    place: tuple[int, int]  # index of the initial time and of the member in the file

    @property
    def name(self) -> str:
        return self.system if self.init_time is None else f"{minute(self.init_time)} member {self.number}"


@dataclass(frozen=True)
class Source:
    """An opened file and its runs."""

    path: Place
    dataset: xr.Dataset
    grid: LatLonGrid
    runs: tuple[Run, ...]

    @property
    def axis(self) -> str:
        return "time" if "time" in self.dataset.dims else "lead_time"

    @property
    def times(self) -> np.ndarray:
        """Valid times of all runs, sorted."""
        if self.axis == "time":
            return self.dataset.time.values
        starts = [run.init_time for run in self.runs if run.init_time is not None]
        return np.unique(np.array(starts)[:, None] + self.dataset.lead_time.values)


def open_source(path: Place) -> Source:
    """Open a forecast or a store of any times, lazily, with all checks of `open_forecast` or `open_store`."""
    path = located(path)
    dataset = open_unchecked(path)
    if {"lead_time", "prediction_timedelta"} & {*map(str, dataset.dims)}:
        dataset = open_forecast(path, ensemble=True)
        runs = _runs(path, dataset)
    else:
        dataset = checked(dataset, path)
        if "time" not in dataset.dims:
            raise InputError(f"{path}: has neither lead times nor times, expected a forecast or a store of fields")
        runs = (Run(path, system_of(dataset, path), None, 0, (0, 0)),)
    return Source(path, dataset, grid_of(dataset, path), runs)


def _runs(path: Place, dataset: xr.Dataset) -> tuple[Run, ...]:
    numbers = np.atleast_1d(dataset[MEMBER].values) if MEMBER in dataset.coords else np.array([0])
    system = system_of(dataset, path)
    return tuple(
        Run(path, system, init_time, int(number), (i, j))
        for i, init_time in enumerate(dataset.init_time.values)
        for j, number in enumerate(numbers)
    )


def require_channels(source: Source, channels: Sequence[Channel]) -> None:
    """Raise InputError naming the variables or levels that a file lacks."""
    require(source.dataset, source.path, dict.fromkeys(name for name, _ in channels))
    for name, level in channels:
        if level is not None:
            require(source.dataset, source.path, [name], [level])


def frames(source: Source, run: Run, channels: Sequence[Channel]) -> Iterator[Frame]:
    """Yield the frames of a run in order of time; the next ones are read meanwhile."""
    times = source.dataset[source.axis].values
    times = times if run.init_time is None else run.init_time + times
    names = dict.fromkeys(name for name, _ in channels)
    readers = {name: field_reader(source.dataset, source.path, name) for name in names}
    block = _block(source.dataset, channels, source.axis, source.grid.size)
    parts = [slice(start, min(start + block, len(times))) for start in range(0, len(times), block)]

    def read(part: slice) -> dict[Channel, np.ndarray]:
        held: dict[Channel, np.ndarray] = {}
        for name, reader in readers.items():
            levels = [level for other, level in channels if other == name and level is not None]
            values = _read(reader, source, run, name, levels, part, times[part])
            held |= {(name, level): values[:, i] for i, level in enumerate(levels or [None])}
        return held

    for part, fields in results_in_order(read, parts, 2):
        for i, time in enumerate(times[part]):
            yield Frame(time, source.grid, {channel: values[i] for channel, values in fields.items()})


def _block(dataset: xr.Dataset, channels: Sequence[Channel], axis: str, nodes: int) -> int:
    """Number of times to read at once: whole chunks, so that each is read once, unless these are very large."""
    longest = max((dataset[name].chunksizes or {}).get(axis, (1,))[0] for name, _ in channels)
    if longest > 1:
        return min(longest, max(1, _READ_BYTES // (4 * nodes)))
    return max(1, min(16, _FEW_BYTES // (4 * nodes)))


def _read(
    reader: FieldReader, source: Source, run: Run, name: str, levels: Sequence[int], part: slice, times: np.ndarray
) -> np.ndarray:
    """Values of a variable (time, level, latitude, longitude), with one level if it has none."""
    place: dict[str, int | slice | np.ndarray] = {source.axis: part}
    if run.init_time is not None:
        place["init_time"] = run.place[0]
        if MEMBER in reader.field.dims:
            place[MEMBER] = run.place[1]
    if levels:  # all at once: they lie in the same chunks
        place["level"] = np.array([int(np.argmax(source.dataset.level.values == level)) for level in levels])
    path = source.path
    try:
        values = np.asarray(reader.read(place), np.float32)
    except Exception as error:  # of any type: from a file, a server, a codec
        raise InputError(f"{path}: {name} cannot be read at {minute(times[0])}: {error_line(error)}") from error
    values = values if levels else values[:, None]
    require_plausible(path, name, values if levels else values[:, 0], levels, times, forecast=True)
    if not VARIABLES[name].around_cyclones and not np.isfinite(values).all():
        bad = ~np.isfinite(values.reshape(len(values), -1))
        first = minute(times[np.argmax(bad.any(axis=1))])
        raise InputError(f"{path}: {name} has {int(bad.sum())} NaN or infinite values, first at {first}; expected none")
    return values
