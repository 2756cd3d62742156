"""`airmass inspect X.npz|RUN`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from airmass.commands.options import parse, require_between
from airmass.core.typed import MOST_SEED


@dataclass(frozen=True)
class Inspect:
    """Show the kind, inputs and outputs of a checkpoint, and the memory and time that a forecast takes here."""

    checkpoint: tyro.conf.Positional[str]
    """A run's folder, a model file, a published `.npz` of GraphCast, GenCast or WeatherNext 2, or `demo`, the model in
    the package."""
    config: Path | None = None
    """Published configuration, such as WeatherNext2.json; needed for published WeatherNext 2 weights."""
    grid: str | None = None
    """Grid as rows x columns, such as 181x360, or a store or file on it; by default the model's own, or 1 degree."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Precision of the network's arithmetic."""
    members: int = 1
    """Ensemble size."""


def run(arguments: list[str]) -> None:
    options = parse(Inspect, "airmass inspect", arguments)
    require_between("--members", options.members, 1, MOST_SEED)

    from rich.console import Console

    from airmass.core.tables import say, say_lines
    from airmass.forecasting.inspection import inspection, tables

    console = Console()
    if not console.is_terminal:
        console = Console(width=10_000)  # no wrapping or truncation in a pipe
    inspected = inspection(options.checkpoint, options.grid, options.precision, options.members, options.config)
    for table in tables(inspected, boxed=console.is_terminal):
        console.print(table)
    if inspected.license:
        say(console, "licence", "bold")
        say_lines(console, inspected.license)
