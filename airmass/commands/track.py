"""`airmass track F.zarr… --out tracks.parquet`."""

from dataclasses import dataclass, field
from pathlib import Path

import tyro

from airmass.commands.options import parse, require_between
from airmass.core.errors import one_line
from airmass.evaluation.features.settings import TropicalSettings


@dataclass(frozen=True)
class Track:
    """Track tropical cyclones in forecasts or in a store of fields."""

    files: tyro.conf.Positional[tuple[str, ...]]
    """Forecasts of one system, deterministic or ensemble, or stores of fields at any times."""
    out: Path
    """Table of tracks to write: .parquet, .csv or .nc."""
    init_times: tuple[str, ...] | None = None
    """Initial times to track, such as 2019-10-08T00; by default all."""
    workers: int = 1
    """Processes; each takes one initial time and member after another."""
    tropical: TropicalSettings = field(default_factory=TropicalSettings)


def run(arguments: list[str]) -> None:
    options = parse(Track, "airmass track", arguments)
    require_between("--workers", options.workers, 1, 1024)

    from airmass.evaluation.features.run import track_features

    track_features(**vars(options))
    print(one_line(f"tracks: {options.out}"))
