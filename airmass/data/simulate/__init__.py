"""Simulated climate: months of global weather from a circulation model, for work without an archive at hand.

Importing this is light; JAX and the circulation model are imported when `simulate` runs.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from airmass.core.errors import InputError
from airmass.core.files import writing
from airmass.core.place import local_path
from airmass.data.simulate.settings import FRAMES_PER_DAY, SimulateSettings

__all__ = ["SimulateSettings", "simulate"]

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many days of it are done and how many there are to do (0: not known)."""


def simulate(out: str | Path, settings: SimulateSettings, progress: Progress | None = None) -> int:
    """Simulate global weather into the Zarr store `out` until it holds `settings.days`; returns how many days it had.

    The store is in WeatherBench2's layout, six-hourly from `settings.start` 00 UTC. One that was begun with the same
    settings is continued, with the same bytes as if it had been made in one go. Shows a progress bar unless `progress`
    is given. Raises InputError when `out` is something else, was made with other settings, or cannot be written, and
    when jcm is not installed.
    """
    from airmass.data.simulate.archive import frames_held

    out = local_path(out, "output")
    held = frames_held(out, settings)
    if held == settings.frames:
        return settings.days
    _refuse_unwritable(out)
    with _bar() if progress is None else _given(progress) as report:
        report("loading jcm", 0, 0)
        try:
            from airmass.data.simulate.run import run
        except ModuleNotFoundError as error:
            raise InputError(f"simulating needs {error.name}: pip install 'airmass[simulate]'") from None
        run(out, settings, held, report)
    return (held or 0) // FRAMES_PER_DAY


def _refuse_unwritable(out: Path) -> None:
    """Find out before the minute's work that comes before the first block."""
    if not out.name.endswith(".zarr"):
        raise InputError(f"{out}: the output is a Zarr store; give it a name that ends in .zarr")
    with writing(out):
        if not out.parent.exists():
            out.parent.mkdir(parents=True)
        with tempfile.TemporaryFile(dir=out if out.exists() else out.parent):
            pass


@contextmanager
def _given(progress: Progress) -> Iterator[Progress]:
    yield progress


@contextmanager
def _bar() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    stage, days = TextColumn("{task.description}", markup=False), TextColumn("days")
    columns = stage, BarColumn(), MofNCompleteColumn(), days, TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda stage, done, total: bar.update(task, description=stage, completed=done, total=total or None)
