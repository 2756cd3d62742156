"""`airmass data ingest SOURCE... --out OUT.zarr`."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from airmass.commands.options import parse, require_between
from airmass.commands.source_options import SourceOptions
from airmass.core.errors import one_line
from airmass.core.tables import counted, say


@dataclass(frozen=True, kw_only=True)
class Ingest(SourceOptions):
    """Take in archives and analyses: names, units, sums, levels and grid become those that airmass trains on."""

    sources: tyro.conf.Positional[tuple[str, ...]]
    """Zarr stores, NetCDF and GRIB files, zip archives of CDS, or folders of files."""
    out: Path
    """Zarr store to write. A stopped run stays in OUT.partial and goes on by the same command."""
    variables: tuple[str, ...] = ()
    """Long or short names; by default all that the sources give."""
    levels: tuple[int, ...] = ()
    """Levels in hPa; by default all."""
    grid: str | None = None
    """Degrees (1.0, 2.5: rows on the poles) or longitudes x latitudes (64x32); by default the source's."""
    times: str | None = None
    """FIRST:LAST:STEP, such as 2020-01-01:2020-12-31:6h; by default all."""
    member: int | None = None
    """Member of an ensemble; by default all are kept, along `number`."""
    shard: int | None = None
    """Times in one file of a variable (Zarr's shard); by default as many as 64 MiB hold, at most 32."""
    append: bool = False
    """Add later times to a finished store that was made with the same options."""
    workers: int = 1
    """Threads."""
    scheduler: str | None = None
    """Address of a Dask scheduler, such as tcp://node1:8786, whose workers read and write; they must see the same
    paths."""


def run(arguments: list[str]) -> None:
    given = parse(Ingest, "airmass data ingest", arguments)
    given.require()
    options = vars(given)
    require_between("--workers", options["workers"], 1, 256)
    require_between("--shard", options["shard"], 1, 10000)
    require_between("--member", options["member"], 0, 100000)

    from rich.console import Console

    from airmass.data.ingest.ingest import ingest
    from airmass.data.ingest.request import IngestRequest

    out, workers, append = (options.pop(name) for name in ("out", "workers", "append"))
    scheduler = options.pop("scheduler")
    try:
        with counted("taking in", console := Console()) as tell:
            digest = ingest(
                IngestRequest(**options),
                out,
                workers,
                append,
                tell,
                lambda note: say(console, note, soft_wrap=True),
                scheduler,
            )
    except KeyboardInterrupt as stop:
        stop.args = ("stopped; run the same command to go on",)
        raise
    print(one_line(f"store: {out}"))
    print(f"sha256: {digest}")
