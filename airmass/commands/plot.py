"""`airmass plot F.zarr --truth STORE --out DIR`."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from airmass.commands.options import parse, require_between
from airmass.core.errors import one_line


@dataclass(frozen=True)
class Plot:
    """Maps of forecast, truth and difference, an animation, plumes and stamps of ensembles, and curves of scores."""

    forecast: tyro.conf.Positional[str]
    """Forecast store."""
    truth: str
    """Store of what happened."""
    out: Path
    """Folder to write."""
    scores: Path | None = None
    """`scores.json` of `airmass evaluate` or its folder, for the curves; what lies beside it is drawn too."""
    fields: tuple[str, ...] | None = None
    """Such as z500 2t; by default the usual ones that the forecast has."""
    init_time: str | None = None
    """By default the first."""
    lead_times: tuple[float, ...] | None = None
    """Hours; by default 24 72 120 240 where the forecast has them."""
    animate: tuple[str, ...] | None = None
    """Fields to animate; by default the first."""
    places: tuple[tuple[float, float], ...] | None = None
    """Latitude and longitude of each place at which an ensemble's plume is drawn; by default four."""
    climatology: str | None = None
    """For the plumes: a climatology, or a folder of statistics; by default the one that the forecast names."""


def run(arguments: list[str]) -> None:
    options = parse(Plot, "airmass plot", arguments)
    require_between("--lead-times", options.lead_times, 0)
    for latitude, longitude in options.places or ():
        require_between("--places: latitude", latitude, -90, 90)
        require_between("--places: longitude", longitude, -180, 360)

    from airmass.plots.plot import plot

    for path in plot(**vars(options)):
        print(one_line(path))
