"""`airmass plot F.zarr --truth STORE --out DIR`."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from airmass.commands.options import parse, require_between
from airmass.core.errors import one_line


@dataclass(frozen=True)
class Plot:
    """Plot maps of forecast, truth and difference, an animation, ensemble plumes and stamps, and score curves."""

    forecast: tyro.conf.Positional[str]
    """Forecast store."""
    truth: str
    """Store with the truth, such as a reanalysis."""
    out: Path
    """Folder to write."""
    scores: Path | None = None
    """`scores.json` of `airmass evaluate`, or its folder: plots score curves, and spectra and rank histograms if any.
    """
    fields: tuple[str, ...] | None = None
    """Fields, such as z500 2t; by default the headline fields that the forecast has."""
    init_time: str | None = None
    """Initial time to plot; by default the first."""
    lead_times: tuple[float, ...] | None = None
    """Lead times, hours; by default those of 24 72 120 240 that the forecast has."""
    animate: tuple[str, ...] | None = None
    """Fields to animate; by default the first of --fields."""
    places: tuple[tuple[float, float], ...] | None = None
    """Latitude and longitude of each place for an ensemble plume; by default four places."""
    climatology: str | None = None
    """Climatology file or statistics folder, for the plumes; by default the one that the forecast names."""


def run(arguments: list[str]) -> None:
    options = parse(Plot, "airmass plot", arguments)
    require_between("--lead-times", options.lead_times, 0)
    for latitude, longitude in options.places or ():
        require_between("--places: latitude", latitude, -90, 90)
        require_between("--places: longitude", longitude, -180, 360)

    from airmass.plots.plot import plot

    for path in plot(**vars(options)):
        print(one_line(path))
