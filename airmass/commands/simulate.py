"""`airmass simulate OUT.zarr --days N`."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from airmass.commands.options import parse
from airmass.core.errors import one_line
from airmass.data.simulate import SimulateSettings


@dataclass(frozen=True)
class Simulate:
    """Simulate weather with a general circulation model. An existing store is continued to --days."""

    out: tyro.conf.Positional[Path]
    """Zarr store to write or continue."""
    settings: tyro.conf.OmitArgPrefixes[SimulateSettings]


def run(arguments: list[str]) -> None:
    options = parse(Simulate, "airmass simulate", arguments)

    from airmass.data.simulate import simulate

    simulate(options.out, options.settings)
    print(one_line(f"store: {options.out}"))
