"""`airmass plot F.zarr --truth STORE --out DIR [--scores DIR/scores.json] [--fields z500 2t]`."""

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True)
class Plot:
    """Maps of a forecast beside the truth, an animation, and curves of scores against lead time."""

    forecast: tyro.conf.Positional[str]
    """Forecast store."""
    truth: str
    """Store of what happened."""
    out: Path
    """Folder to write."""
    scores: Path | None = None
    """`scores.json` of `airmass evaluate`; draws the curves."""
    fields: tuple[str, ...] = ()
    """Such as z500 2t; by default the usual ones that the forecast has."""
    init_time: str | None = None
    """Initial time, UTC, such as 2001-01-05T06; by default the first."""
    lead_times: tuple[float, ...] = ()
    """Lead times of the maps in hours; by default 24 72 120 240."""
    animate: tuple[str, ...] | None = None
    """Fields to animate; by default the first."""


def run(arguments: list[str]) -> None:
    options = tyro.cli(Plot, prog="airmass plot", args=arguments)

    from airmass.plots.command import plot

    paths = plot(
        options.forecast,
        options.truth,
        options.out,
        options.fields,
        options.init_time,
        options.lead_times,
        options.scores,
        options.animate,
    )
    for path in paths:
        print(path)
