"""`airmass data convert IN OUT.zarr`."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from airmass.commands.options import parse
from airmass.core.errors import one_line


@dataclass(frozen=True)
class Convert:
    """Rewrite a store in the layout that airmass reads, and list the changes."""

    source: tyro.conf.Positional[str]
    """Store or NetCDF file to read."""
    out: tyro.conf.Positional[Path]
    """Zarr store to write."""


def run(arguments: list[str]) -> None:
    options = parse(Convert, "airmass data convert", arguments)

    from airmass.data.preparation.convert import convert

    for change in convert(options.source, options.out):
        print(one_line(change))
    print(one_line(f"store: {options.out}"))
