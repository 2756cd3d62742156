"""`airmass data stats STORE --dates START END --out DIR`."""

from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.progress import Progress

from airmass.commands.options import parse, require_between
from airmass.core.errors import one_line


@dataclass(frozen=True)
class Stats:
    """Means, spreads, spreads of changes and a climatology of a store, over the named training dates only."""

    store: tyro.conf.Positional[str]
    """Store to read."""
    dates: tuple[str, str]
    """First and last training date, both included."""
    out: Path
    """Folder to write."""
    variables: tuple[str, ...] | None = None
    """Long or short names; by default all that the store holds."""
    levels: tuple[int, ...] | None = None
    """Levels in hPa; by default all."""
    step: int | None = None
    """Hours between the frames of a change; by default 6, or the store's own step."""


def run(arguments: list[str]) -> None:
    options = parse(Stats, "airmass data stats", arguments)
    require_between("--step", options.step, 1)

    from airmass.data.preparation.statistics import compute_statistics

    with Progress() as shown:
        bar = shown.add_task("reading", total=None)
        compute_statistics(
            options.store,
            options.out,
            options.dates,
            options.variables,
            options.levels,
            options.step,
            lambda name, done, total: shown.update(bar, description=name, completed=done, total=total),
        )
    print(one_line(f"statistics: {options.out}"))
