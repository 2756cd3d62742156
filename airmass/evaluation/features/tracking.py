"""`airmass track`: tracks in forecasts and stores, written as one table."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console

from airmass.core.errors import InputError
from airmass.core.place import Place
from airmass.core.tables import progress
from airmass.data.formats.store import minute
from airmass.evaluation.features.base import Frame, Point, Track, Tracker
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

    `observed` are storms to continue, by initial time. Runs are independent: with several `workers`, Dask's processes
    take one run each. One frame of each process is in memory at a time.
    """
    with progress(console) as bar:
        if workers == 1:
            n_frames = sum(len(source.dataset[source.axis]) * len(source.runs) for source in sources)
            shown = bar.add_task("Tracking", total=n_frames)
            found = [
                (run, _track(source, run, tracker, observed, lambda: bar.advance(shown)))
                for source in sources
                for run in source.runs
            ]
        else:
            shown = bar.add_task("Tracking", total=sum(len(source.runs) for source in sources))
            found = _by_processes(sources, tracker, observed, workers, lambda: bar.advance(shown))
    return table_of(found, tuple(tracker.columns))


def _track(
    source: Source, run: Run, tracker: Tracker, observed: Mapping[np.datetime64, Observed], done: Callable[[], None]
) -> list[Track]:
    def counted() -> Iterator[Frame]:
        for frame in frames(source, run, tracker.channels):
            yield frame
            done()

    start = observed.get(run.init_time, {}) if run.init_time is not None else {}
    return tracker.tracks(counted(), start)


def _by_processes(
    sources: Sequence[Source],
    tracker: Tracker,
    observed: Mapping[np.datetime64, Observed],
    workers: int,
    done: Callable[[], None],
) -> list[tuple[Run, list[Track]]]:
    import dask
    from dask.callbacks import Callback

    runs = [run for source in sources for run in source.runs]
    tasks = [dask.delayed(_in_process, pure=False)(run, tracker, dict(observed)) for run in runs]
    # One run a task and none fused: they take minutes each.
    with Callback(posttask=lambda *_: done()), dask.config.set({"multiprocessing.context": "spawn"}):
        results = dask.compute(*tasks, scheduler="processes", num_workers=workers, chunksize=1, optimize_graph=False)
    for result in results:
        if isinstance(result, str):
            raise InputError(result)
    return list(zip(runs, results, strict=True))


def _in_process(run: Run, tracker: Tracker, observed: Mapping[np.datetime64, Observed]) -> list[Track] | str:
    """Tracks of a run, or the words of an InputError: raised in a process, it would come back with a traceback."""
    try:
        return _track(open_source(run.path), run, tracker, observed, lambda: None)
    except InputError as error:
        return str(error)
