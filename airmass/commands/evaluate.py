"""`airmass evaluate F.zarr… --truth STORE --out DIR`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from airmass.commands.options import parse, require_between
from airmass.core.errors import one_line


@dataclass(frozen=True)
class Evaluate:
    """Score deterministic and ensemble forecasts against truth, with persistence and climatology on the same dates."""

    forecasts: tyro.conf.Positional[tuple[str, ...]]
    """Forecast stores. Stores of one system are joined along initial time."""
    out: Path
    """Folder to write."""
    truth: str | None = None
    """Store with the truth, such as a reanalysis."""
    stations: str | None = None
    """Observations as truth instead: a CSV or Parquet file of columns station, time (UTC), latitude, longitude, height
    (m) and variables by name, such as 2m_temperature or 2t. Forecasts are interpolated to the stations."""
    orography: str | None = None
    """Store with the model's geopotential_at_surface, to correct 2 m temperature for the height of the stations."""
    climatology: str | None = None
    """Climatology file, or a statistics folder that contains one; by default the one that the forecasts name."""
    lead_times: tuple[str, ...] | None = None
    """Lead times, such as 24h 5d, that every system must have; "common" takes those that all share. By default all
    systems must have the same ones."""
    init_times: tuple[str, ...] | None = None
    """Initial times, such as 2001-01-05T00, or "common", as for --lead-times."""
    spectra: tuple[str, ...] = ()
    """Lead times, such as 24h 5d, at which to compute power spectra of headline fields."""
    regions: tuple[str, ...] = ()
    """Regions to score beside the globe: names such as europe tropics land, a latitude band 30:60, a box
    SOUTH:NORTH:WEST:EAST, intersections such as europe/land; `ecmwf` for ECMWF's scorecard regions, `bands` for bands
    of 30 degrees."""
    by: Literal["season", "month", "hour"] | None = None
    """Score each season, month, or hour of the valid time as well."""
    maps: tuple[str, ...] = ()
    """Lead times at which to map the scores of headline fields, or to give them by station."""
    derived: tuple[str, ...] = ()
    """Derived fields to score as well: wind_speed thickness_500_1000 relative_humidity integrated_vapour_transport, or
    all that can be computed. The wind speed at 10 m is always scored."""
    metrics: tuple[str, ...] = ()
    """Metrics to compute beside the usual ones, by name, or `all`."""
    history: str | None = None
    """Store of other years: their fields on the same day and hour are scored as an ensemble, the probabilistic
    climatology."""
    against: str | None = None
    """Compare every system with this one (or a baseline), with the significance of the differences."""
    intervals: bool = False
    """Give every score its 95 % confidence interval; always with --against."""
    test: Literal["t-test", "bootstrap"] = "t-test"
    """Significance by a t-test corrected for autocorrelation, or by a stationary block bootstrap."""
    table: Path | None = None
    """Write all scores as one table too: a file ending in .parquet, .csv or .nc."""
    workers: int = 1
    """Processes that score side by side."""
    scheduler: str | None = None
    """Address of a Dask scheduler, such as tcp://node1:8786, whose workers score; they must see the same paths."""


def run(arguments: list[str]) -> None:
    options = vars(parse(Evaluate, "airmass evaluate", arguments))
    require_between("--workers", options["workers"], 1, 256)

    from airmass.evaluation.evaluate import evaluate

    evaluate(**options)
    print(one_line(f"scores: {options['out'] / 'scores.json'}"))
