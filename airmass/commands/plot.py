"""`airmass plot F.zarr --truth STORE --out DIR`."""

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True)
class Plot:
    """Maps of forecast, truth and difference, an animation, and curves of scores against lead time."""

    forecast: tyro.conf.Positional[str]
    """Forecast store."""
    truth: str
    """Store of what happened."""
    out: Path
    """Folder to write."""
    scores: Path | None = None
    """`scores.json` of `airmass evaluate`, for the curves."""
    fields: tuple[str, ...] | None = None
    """Such as z500 2t; by default the usual ones that the forecast has."""
    init_time: str | None = None
    """By default the first."""
    lead_times: tuple[float, ...] | None = None
    """Hours; by default 24 72 120 240 where the forecast has them."""
    animate: tuple[str, ...] | None = None
    """Fields to animate; by default the first."""


def run(arguments: list[str]) -> None:
    options = tyro.cli(Plot, prog="airmass plot", args=arguments)

    from airmass.plots.command import plot

    for path in plot(**vars(options)):
        print(path)
