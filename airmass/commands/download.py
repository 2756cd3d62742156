"""`airmass download [NAME] --out DIR`."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import tyro

from airmass.commands.options import parse
from airmass.core.errors import InputError, one_line


@dataclass(frozen=True)
class Download:
    """Download published checkpoints, statistics and samples. Without a name, list them."""

    name: tyro.conf.Positional[str] = ""
    """A name of the list, such as graphcast-small."""
    out: Path | None = None
    """Folder to write to. A stopped download goes on by the same command."""
    server: str | None = None
    """Address of a mirror with the same paths; by default Google's storage."""


def run(arguments: list[str]) -> None:
    options = parse(Download, "airmass download", arguments)

    from airmass.core.place import local_path
    from airmass.core.tables import gigabytes, progress
    from airmass.data.download import SERVER, download, files_named, offered, require_http

    if not options.name:
        _list()
        return
    files = files_named(options.name)
    if options.server is not None:
        require_http(options.server)
    if options.out is None:
        raise InputError("missing --out")
    out = local_path(options.out, "output")
    offers = [offered(file, options.server or SERVER) for file in files]
    for offer in offers:
        checked = "MD5 checked" if offer.md5 else "no checksum told"
        print(one_line(f"{offer.file.file_name}: {gigabytes(offer.length)}, {offer.file.licence}, {checked}"))
    with progress() as shown:
        for offer in offers:
            bar = shown.add_task(one_line(offer.file.file_name), total=offer.length)
            download(offer, out, partial(_shown, shown, bar))
            shown.update(bar, completed=offer.length)
    print(one_line(f"downloaded: {options.out}"))


def _shown(shown, bar, _: str, done: int, total: int) -> None:
    shown.update(bar, completed=done, total=total)


def _list() -> None:
    from rich.console import Console
    from rich.table import Table

    from airmass.core.tables import plain
    from airmass.data.download import published_files

    table = Table(title=plain("Published files"), title_justify="left")
    for column in ("name", "what", "file", "about", "licence"):
        table.add_column(column, overflow="fold")
    for file in published_files():
        table.add_row(*map(plain, (file.name, file.what, file.file_name, f"{file.megabytes} MB", file.licence)))
    Console().print(table)
