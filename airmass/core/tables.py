"""Text for the terminal: tables, sizes and durations; text from outside is shown literally, never as markup.

rich reads `[...]` in a str as markup and terminals obey control characters, so paths, names, attributes and errors go
through `plain`, and what is printed without rich through `one_line`.
"""

from collections.abc import Mapping

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from airmass.core.errors import one_line


def plain(text: object, style: str = "") -> Text:
    """A literal text for rich: no markup, on one line, control characters escaped."""
    return Text(one_line(text), style)


def say(console: Console, text: object, style: str = "", soft_wrap: bool = False) -> None:
    """Print a literal text, without markup."""
    console.print(plain(text, style), soft_wrap=soft_wrap)


def say_lines(console: Console, text: str) -> None:
    """Print a literal text of several lines, such as a licence; other control characters are escaped."""
    for line in text.splitlines():
        say(console, line.expandtabs(), soft_wrap=True)


def progress(console: Console | None = None) -> Progress:
    """A progress bar whose descriptions are literal text."""
    description = TextColumn("{task.description}", markup=False)
    return Progress(description, BarColumn(), TaskProgressColumn(), TimeRemainingColumn(), console=console)


def table(title: str, rows: Mapping[str, object], boxed: bool) -> Table:
    """Names and values in two columns."""
    made = Table(title=plain(title), title_justify="left", show_header=False, box=box.ROUNDED if boxed else None)
    made.add_column(style="bold", overflow="fold")
    made.add_column(overflow="fold")
    for name, value in rows.items():
        made.add_row(plain(name), plain(value))
    return made


def gigabytes(size: float) -> str:
    return f"{size / 1e9:,.2f} GB"


def duration(seconds: float) -> str:
    """A duration in a readable unit (d, h, min, s or ms), such as `2.5 h`."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"
