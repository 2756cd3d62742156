"""`airmass track F.zarr… --out tracks.parquet [--best-tracks IBTRACS]`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import tyro

from airmass.commands.options import parse, require_between, require_positive
from airmass.core.errors import one_line
from airmass.evaluation.tracks.settings import ExtratropicalSettings, RiverSettings, TropicalSettings


@dataclass(frozen=True)
class Track:
    """Track cyclones or atmospheric rivers in forecasts or in a store, and verify tracks against best tracks."""

    files: tyro.conf.Positional[tuple[str, ...]]
    """Forecasts of one system, deterministic or ensemble, or stores of fields at any times; or a table of tracks
    (Parquet, CSV or NetCDF) to verify."""
    out: Path | None = None
    """Table of tracks to write: .parquet, .csv or .nc."""
    best_tracks: str | None = None
    """Best tracks (IBTrACS, CSV or NetCDF): storms observed at the initial time are continued, all tracks verified."""
    against: str | None = None
    """Table of another system's tracks, to compare position errors on the cases that both have."""
    agency: str = "wmo"
    """Agency whose wind and pressure are taken, such as usa or tokyo; wmo is the one responsible for the basin."""
    plots: Path | None = None
    """Folder to write: maps of tracks and strike probability and, with --best-tracks, track_scores.json."""
    init_times: tuple[str, ...] | None = None
    """Initial times to track, such as 2019-10-08T00; by default all."""
    within_km: float = 300.0
    """Distance from an observed storm within which a track is taken to be of it."""
    workers: int = 1
    """Processes; each takes one initial time and member after another."""
    scheduler: str | None = None
    """Address of a Dask scheduler, such as tcp://node1:8786, whose workers track; they must see the same paths."""
    tracker: Literal["tropical", "direct", "extratropical", "rivers"] = "tropical"
    """Method: tropical cyclones by pressure, wind and warm core; direct, by the cyclone fields that WeatherNext 2
    predicts; extratropical cyclones; atmospheric rivers."""
    tropical: TropicalSettings = field(default_factory=TropicalSettings)
    extratropical: ExtratropicalSettings = field(default_factory=ExtratropicalSettings)
    rivers: RiverSettings = field(default_factory=RiverSettings)


def run(arguments: list[str]) -> None:
    options = parse(Track, "airmass track", arguments)
    require_between("--workers", options.workers, 1, 1024)
    require_positive("--within-km", options.within_km)

    from airmass.core.files import refuse_existing
    from airmass.evaluation.tracks.run import track_features

    if options.plots is not None:
        refuse_existing(options.plots, *options.files)
    values = vars(options).copy()
    plots = values.pop("plots")
    result = track_features(**values)
    if options.out is not None:
        print(one_line(f"tracks: {options.out}"))
    if plots is not None:
        from airmass.plots.tracks.write import write_track_plots

        for path in write_track_plots(plots, result):
            print(one_line(path))
