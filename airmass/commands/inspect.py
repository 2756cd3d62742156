"""`airmass inspect X.npz|RUN`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from airmass.commands.options import MOST_SEED, parse, require_between


@dataclass(frozen=True)
class Inspect:
    """What a checkpoint is, needs and produces; the memory and time that a forecast with it takes here."""

    checkpoint: tyro.conf.Positional[Path]
    """A run's folder, a model file, or a published GraphCast or GenCast `.npz`."""
    grid: str | None = None
    """Rows x columns such as 181x360, or a store or file to start from; by default the model's own, or 1 degree."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the network's arithmetic."""
    members: int = 1
    """How many, for an ensemble."""


def run(arguments: list[str]) -> None:
    options = parse(Inspect, "airmass inspect", arguments)
    require_between("--members", options.members, 1, MOST_SEED)

    from rich.console import Console

    from airmass.forecasting.inspection import inspection, tables

    console = Console()
    if not console.is_terminal:
        console = Console(width=10_000)  # never cut, never wrapped
    inspected = inspection(options.checkpoint, options.grid, options.precision, options.members)
    for table in tables(inspected, boxed=console.is_terminal):
        console.print(table)
    if inspected.license:
        console.print("licence", style="bold")
        console.print(inspected.license, markup=False, highlight=False, soft_wrap=True)
