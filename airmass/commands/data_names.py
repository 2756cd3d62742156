"""`airmass data names [WORD]`."""

from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console

from airmass.commands.options import parse


@dataclass(frozen=True)
class NamesOptions:
    """Show how each archive calls the quantities that airmass reads, or search for one name."""

    word: tyro.conf.Positional[str] = ""
    """A name in any archive, such as t2m, VVEL or zg; by default all are shown."""
    names: Path | None = None
    """CSV file of further names, with the columns of `--csv`."""
    csv: bool = False
    """Print the table as CSV, to extend."""


def run(arguments: list[str]) -> None:
    options = parse(NamesOptions, "airmass data names", arguments)

    from rich.table import Table

    from airmass.core.errors import InputError
    from airmass.core.tables import plain
    from airmass.fields.names import ARCHIVES, as_csv, names_from

    names = names_from(options.names)
    chosen = [q for q in names.quantities.values() if options.word in ("", *q.all_names, *q.standard_names)]
    if not chosen:
        raise InputError(f"{options.word!r} is no name of a quantity; `airmass data names` lists them")
    if options.csv:
        print(as_csv(chosen), end="")
        return
    table = Table(title=plain("Names of quantities in archives"), title_justify="left")
    for column in ("quantity", "on", "units", "CF standard name", *ARCHIVES):
        table.add_column(column, overflow="fold")
    for quantity in chosen:
        held = (" ".join(quantity.names.get(archive, ())) for archive in ARCHIVES)
        place = "levels" if quantity.on_levels else "surface"
        cells = (quantity.name, place, quantity.units, " ".join(quantity.standard_names), *held)
        table.add_row(*map(plain, cells))
    Console().print(table)
