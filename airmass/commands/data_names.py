"""`airmass data names [WORD]`."""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro
from rich.console import Console

from airmass.commands.options import parse

if TYPE_CHECKING:
    from airmass.fields.names import Quantity


@dataclass(frozen=True)
class NamesOptions:
    """Show how each archive calls the quantities that airmass reads, or search for one name."""

    word: tyro.conf.Positional[str] = ""
    """A name in any archive, such as t2m, VVEL or zg; by default all are shown."""
    names: Path | None = None
    """CSV file of further names, with the columns of `--csv`."""
    csv: bool = False
    """Print the table as CSV, to extend."""
    json: bool = False
    """Print the table as JSON."""


def run(arguments: list[str]) -> None:
    options = parse(NamesOptions, "airmass data names", arguments)

    from airmass.core.errors import InputError
    from airmass.fields.names import as_csv, as_json, names_from

    if options.csv and options.json:
        raise InputError("--csv and --json: expected one of them")
    names = names_from(options.names)
    chosen = [q for q in names.quantities.values() if options.word in ("", *q.all_names, *q.standard_names)]
    if not chosen:
        raise InputError(f"{options.word!r} is no name of a quantity; `airmass data names` lists them")
    if options.csv or options.json:
        print((as_csv if options.csv else as_json)(chosen), end="")
        return
    width = min(Console().width, 120)
    for quantity in chosen:
        print(*_lines(quantity, width), sep="\n")


def _lines(quantity: "Quantity", width: int) -> Iterator[str]:
    """A line of the quantity, its place and units; then its names, archive by archive, none of them broken."""
    from airmass.core.errors import one_line
    from airmass.fields.names import ARCHIVES

    place = "levels" if quantity.on_levels else "surface"
    yield one_line(f"{quantity.name}  ({place}, {quantity.units or 'no units'})")
    held = [("CF", quantity.standard_names), *((archive, quantity.names.get(archive, ())) for archive in ARCHIVES)]
    held = [(where, tuple(n for n in names if where == "CF" or n != quantity.name)) for where, names in held]
    text = "  ".join(
        one_line(f"{where}: {' '.join(names)}").replace(" ", "\N{NO-BREAK SPACE}") for where, names in held if names
    )
    for line in textwrap.wrap(text, width - 2, break_long_words=False, break_on_hyphens=False):
        yield f"  {line}".replace("\N{NO-BREAK SPACE}", " ")
