"""`airmass view F.zarr [--truth STORE] --out view.html`."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from airmass.commands.options import parse, require_between, require_positive
from airmass.core.errors import InputError, one_line


@dataclass(frozen=True)
class View:
    """Write one self-contained page that shows forecasts on a map in a browser, or serve it on this machine."""

    forecast: tyro.conf.Positional[tuple[str, ...]]
    """Forecast stores or files, on one grid."""
    out: Path | None = None
    """HTML file to write."""
    truth: str | None = None
    """Store with the truth, for differences."""
    tracks: Path | None = None
    """Tracks of tropical cyclones, from `airmass track`."""
    fields: tuple[str, ...] | None = None
    """Fields, such as z500 2t; by default all."""
    init_times: tuple[str, ...] | None = None
    """Initial times, or `all`; by default the first of each forecast (with --serve, all)."""
    max_size: float = 300.0
    """Largest page to write, MB."""
    serve: bool = False
    """Serve the page on this machine only (127.0.0.1), and read from the files what is looked at."""
    port: int = 0
    """Port for --serve; 0 for any that is free."""


def run(arguments: list[str]) -> None:
    options = parse(View, "airmass view", arguments)
    out = _output(options)
    everything = options.init_times == ("all",) or (options.serve and options.init_times is None)
    init_times = None if everything else options.init_times
    if out is None:
        from airmass.plots.viewer.serve import serve

        serve(options.forecast, options.truth, options.tracks, options.fields, init_times, everything, options.port)
        return

    from airmass.core.tables import counted
    from airmass.plots.viewer.view import write_view

    with counted("packing fields") as tell:
        path = write_view(
            out, options.forecast, options.truth, options.tracks, options.fields, init_times, everything,
            options.max_size, tell,
        )  # fmt: skip
    only = "" if everything or init_times else "; the first initial time of each forecast, --init-times all for all"
    print(one_line(f"view: {path} ({path.stat().st_size / 1e6:.1f} MB{only})"))


def _output(options: View) -> Path | None:
    """The file to write, None to serve. Raises InputError for options that contradict each other."""
    if not options.forecast:
        raise InputError("missing a forecast: airmass view F.zarr --out view.html")
    if options.serve == (options.out is not None):
        raise InputError("expected either --out view.html or --serve" + (", not both" if options.serve else ""))
    require_positive("--max-size", options.max_size)
    require_between("--port", options.port, 0, 65535)
    return options.out
