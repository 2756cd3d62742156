"""`airmass track`: tracks in forecasts and stores, written as one table."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import Progress

from airmass.core.errors import InputError
from airmass.core.files import put
from airmass.core.place import Place
from airmass.core.tables import progress, say
from airmass.data.formats.layout import minute
from airmass.evaluation.processes import spread
from airmass.evaluation.tracks.base import Frame, Point, Tracker
from airmass.evaluation.tracks.frames import Run, Source, frames, open_source, require_channels
from airmass.evaluation.tracks.table import table_of, typed
from airmass.fields.clock import parse_time

# Points of storms at and before an initial time, by storm.
Observed = Mapping[str, tuple[Point, ...]]


def open_sources(paths: Sequence[str | Path], tracker: Tracker, init_times: Sequence[str] | None) -> list[Source]:
    """Open the files to track in; raises InputError for one that lacks a field, and for a run that two files have."""
    sources = [_chosen(open_source(path), init_times) for path in paths]
    seen: dict[tuple, Place] = {}
    for source in sources:
        require_channels(source, tracker.channels)
        for run in source.runs:
            key = (run.system, run.init_time, run.number)
            if key in seen:
                raise InputError(f"{source.path}: {run.name} of {run.system} is also in {seen[key]}")
            seen[key] = source.path
    if len(systems := {source.runs[0].system: source.path for source in sources}) > 1:
        (one, path), (other, other_path), *_ = systems.items()
        raise InputError(f"{other_path}: its system is {other}, but that of {path} is {one}; track one at a time")
    return sources


def _chosen(source: Source, init_times: Sequence[str] | None) -> Source:
    if init_times is None:
        return source
    wanted = {parse_time(text) for text in init_times}
    held = {run.init_time for run in source.runs}
    if absent := sorted(wanted - held):
        times = sorted(time for time in held if time is not None)
        span = f"it holds {minute(times[0])} to {minute(times[-1])}" if times else "it is a store without initial times"
        raise InputError(f"{source.path}: no initial time {minute(absent[0])}, which was requested; {span}")
    runs = tuple(run for run in source.runs if run.init_time in wanted)
    return Source(source.path, source.dataset, source.grid, runs)


def track(
    sources: Sequence[Source],
    tracker: Tracker,
    observed: Mapping[np.datetime64, Observed],
    workers: int = 1,
    console: Console | None = None,
    scheduler: str | None = None,
    folder: Path | None = None,
) -> pd.DataFrame:
    """The table of all tracks in the runs of some files.

    `observed` are storms to continue, by initial time. Runs are independent: several `workers`, or those of a Dask
    `scheduler`, take one after another. The table of each run is kept in `folder`, and those there are not made again.
    """
    console = console or Console()
    runs = {run: source for source in sources for run in source.runs}
    files = {run: f"{i:05d}.parquet" for i, run in enumerate(runs)}
    found = {run: held for run in runs if (held := _read_part(folder, files[run])) is not None}
    if found:
        say(console, f"Going on: {len(found)} of {len(runs)} runs were tracked before.")
    rest = {run: source for run, source in runs.items() if run not in found}
    with progress(console) as bar:
        done = (
            _here(rest, tracker, observed, bar)
            if workers == 1 and scheduler is None
            else _elsewhere(rest, tracker, observed, workers, scheduler, bar)
        )
        for run, table in done:
            found[run] = table
            _write_part(folder, files[run], table)
    return pd.concat([found[run] for run in runs], ignore_index=True)


def _here(
    runs: Mapping[Run, Source], tracker: Tracker, observed: Mapping[np.datetime64, Observed], bar: Progress
) -> Iterator[tuple[Run, pd.DataFrame]]:
    shown = bar.add_task("Tracking", total=sum(len(source.dataset[source.axis]) for source in runs.values()))
    for run, source in runs.items():
        yield run, _track(source, run, tracker, _at_start(observed, run), lambda: bar.advance(shown))


def _elsewhere(
    runs: Mapping[Run, Source],
    tracker: Tracker,
    observed: Mapping[np.datetime64, Observed],
    workers: int,
    scheduler: str | None,
    bar: Progress,
) -> Iterator[tuple[Run, pd.DataFrame]]:
    shown = bar.add_task("Tracking", total=len(runs))
    parts = {run: (run, tracker, _at_start(observed, run)) for run in runs}
    for run, table in spread(_on_worker, parts, workers, scheduler):
        bar.advance(shown)
        yield run, table


def _on_worker(run: Run, tracker: Tracker, start: Observed) -> pd.DataFrame:
    return _track(_opened(run.path), run, tracker, start, lambda: None)


@cache
def _opened(path: Place) -> Source:
    return open_source(path)


def _at_start(observed: Mapping[np.datetime64, Observed], run: Run) -> Observed:
    return {} if run.init_time is None else observed.get(run.init_time, {})


def _track(source: Source, run: Run, tracker: Tracker, start: Observed, done: Callable[[], None]) -> pd.DataFrame:
    def counted() -> Iterator[Frame]:
        for frame in frames(source, run, tracker.channels):
            yield frame
            done()

    return table_of([(run, tracker.tracks(counted(), start))], tuple(tracker.columns))


def _write_part(folder: Path | None, name: str, table: pd.DataFrame) -> None:
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    table.to_parquet(folder / f"{name}.new", index=False)
    put(folder / f"{name}.new", folder / name, replace=True)


def _read_part(folder: Path | None, name: str) -> pd.DataFrame | None:
    """The table of a run that was tracked before; None if there is none, or it is damaged."""
    if folder is None or not (folder / name).exists():
        return None
    try:
        return typed(pd.read_parquet(folder / name))
    except (OSError, ValueError, KeyError):  # among them pyarrow's own errors
        return None
