"""Simulated climate: months of global weather from a circulation model, for work without an archive.

Importing this module is fast; JAX and the circulation model are imported when `simulate` runs.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from airmass.core.errors import InputError
from airmass.core.files import made_parents, writing
from airmass.core.locks import alone
from airmass.core.place import local_path
from airmass.data.simulate.settings import FRAMES_PER_DAY, SimulateSettings

__all__ = ["SimulateSettings", "simulate"]

Progress = Callable[[str, int, int], None]
"""A callback with the current stage, its days done and its days in all (0: unknown)."""


def simulate(out: str | Path, settings: SimulateSettings, progress: Progress | None = None) -> int:
    """Simulate global weather into the Zarr store `out` until it has `settings.days`; returns its days before.

    The store is in WeatherBench2's layout, six-hourly from `settings.start` 00 UTC. An existing store with the same
    settings is continued, with the same bytes as from a single run. Shows a progress bar unless `progress` is given.
    Raises InputError if `out` is something else, has other settings, or cannot be written, and if jcm is not installed.
    """
    from airmass.data.simulate.archive import frames_held

    out = local_path(out, "output")
    if frames_held(out, settings) == settings.frames:
        return settings.days
    if not out.name.endswith(".zarr"):
        raise InputError(f"{out}: the output is a Zarr store; give it a name that ends in .zarr")
    with writing(out), made_parents(out), alone(out):
        return _continue(out, settings, frames_held(out, settings), progress)


def _continue(out: Path, settings: SimulateSettings, held: int | None, progress: Progress | None) -> int:
    if held is not None:  # fails now if the store cannot be written, not a minute later
        with tempfile.TemporaryFile(dir=out):
            pass
    with _bar() if progress is None else _given(progress) as report:
        report("loading jcm", 0, 0)
        try:
            from airmass.data.simulate.run import run
        except ModuleNotFoundError as error:
            raise InputError(f"simulating needs {error.name}: pip install 'airmass[simulate]'") from None
        run(out, settings, held, report)
    return (held or 0) // FRAMES_PER_DAY


@contextmanager
def _given(progress: Progress) -> Iterator[Progress]:
    yield progress


@contextmanager
def _bar() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn

    from airmass.core.tables import bars

    stage, days = TextColumn("{task.description}", markup=False), TextColumn("days")
    columns = stage, BarColumn(), MofNCompleteColumn(), days, TimeElapsedColumn()
    with bars(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda stage, done, total: bar.update(task, description=stage, completed=done, total=total or None)
