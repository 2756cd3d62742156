"""`airmass track`: tracks in forecasts and stores, written as one table."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console

from airmass.core.errors import InputError
from airmass.core.place import Place
from airmass.core.tables import progress
from airmass.data.formats.store import minute
from airmass.evaluation.features.base import Point, Track, Tracker
from airmass.evaluation.features.frames import Run, Source, frames, open_source, require_channels
from airmass.evaluation.features.table import table_of
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
) -> pd.DataFrame:
    """The table of all tracks in the runs of some files.

    `observed` are storms to continue, by initial time. Runs are independent; with more than one of `workers`, processes
    take one run each.
    """
    tasks = [(source, run, observed.get(run.init_time, {})) for source in sources for run in source.runs]
    found = []
    with progress(console) as bar:
        shown = bar.add_task("Tracking", total=len(tasks))
        for task, tracks in zip(tasks, _results(tasks, tracker, workers), strict=True):
            found.append((task[1], tracks))
            bar.advance(shown)
    return table_of(found, tuple(tracker.columns))


Task = tuple[Source, Run, Observed]


def _results(tasks: Sequence[Task], tracker: Tracker, workers: int) -> Iterator[list[Track]]:
    if workers == 1:
        yield from (tracker.tracks(frames(source, run, tracker.channels), start) for source, run, start in tasks)
        return
    from dask.distributed import Client, LocalCluster
