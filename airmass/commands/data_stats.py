"""`airmass data stats STORE --dates START END --out DIR`."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from airmass.commands.options import parse, require_between
from airmass.core.errors import one_line
from airmass.core.tables import counted


@dataclass(frozen=True)
class Stats:
    """Compute statistics of a store over the training dates: mean, standard deviation, standard deviation of
    differences over a step, climatology."""

    store: tyro.conf.Positional[str]
    """Store to read."""
    dates: tuple[str, str]
    """First and last training date, both included."""
    out: Path
    """Folder to write."""
    variables: tuple[str, ...] | None = None
    """Long or short names; by default all variables of the store."""
    levels: tuple[int, ...] | None = None
    """Levels in hPa; by default all."""
    step: int | None = None
    """Hours between the two frames of a difference; by default 6, or the store's own step."""
    workers: int = 1
    """Threads that read ahead; the statistics are the same to the bit."""
    scheduler: str | None = None
    """Address of a Dask scheduler, such as tcp://node1:8786, whose workers take a variable each; they must see the same
    paths."""


def run(arguments: list[str]) -> None:
    options = parse(Stats, "airmass data stats", arguments)
    require_between("--step", options.step, 1)
    require_between("--workers", options.workers, 1, 256)

    from airmass.data.preparation.statistics import compute_statistics

    with counted("reading") as tell:
        compute_statistics(
            options.store,
            options.out,
            options.dates,
            options.variables,
            options.levels,
            options.step,
            lambda name, done, total: tell(done, total, name),
            options.workers,
            options.scheduler,
        )
    print(one_line(f"statistics: {options.out}"))
