"""Text for the terminal: tables, sizes and durations; text from outside is shown literally, never as markup.

rich reads `[...]` in a str as markup and terminals obey control characters, so paths, names, attributes and errors go
through `plain`, and what is printed without rich through `one_line`.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache

from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
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


def progress(console: Console | None = None) -> AbstractContextManager[Progress]:
    """Progress bars whose descriptions are literal text, with shares and the time that remains."""
    description = TextColumn("{task.description}", markup=False)
    return bars(description, BarColumn(), TaskProgressColumn(), TimeRemainingColumn(), console=console)


@contextmanager
def bars(*columns: ProgressColumn, console: Console | None = None) -> Iterator[Progress]:
    """Progress bars of these columns; an error removes them from the terminal."""
    with Progress(*columns, console=console) as shown:
        try:
            yield shown
        except BaseException:
            shown.live.transient = True
            raise


@contextmanager
def counted(description: str, console: Console | None = None) -> Iterator[Callable[..., None]]:
    """A function of (done, total, description) that draws a progress bar from its first call on.

    Checks that come before that call can therefore fail without a bar.
    """
    with ExitStack() as opened:

        @cache
        def bar() -> tuple[Progress, TaskID]:
            shown = opened.enter_context(progress(console))
            return shown, shown.add_task("", total=None)

        def tell(done: int, total: int, words: str = description) -> None:
            shown, task = bar()
            shown.update(task, completed=done, total=total, description=one_line(words))

        yield tell


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
