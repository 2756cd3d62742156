"""Text from outside on a terminal: shown as it is, nothing in it is markup or moves the cursor."""

import ast
import re
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from airmass.commands.main import main
from airmass.core.errors import InputError, one_line
from airmass.core.tables import counted, duration, gigabytes, plain, progress, say, say_lines, table

NASTY = (
    "[/x]",
    "[bold]a[/bold]",
    "[link=http://a]b[/link]",
    "\x1b[31mred\x07",
    "two\nlines\r",
    ":smile:",
    "\u202e",
    "\udcff",
)
SHOWN = (
    "[/x]",
    "[bold]a[/bold]",
    "[link=http://a]b[/link]",
    "\\x1b[31mred\\x07",
    "two\\nlines\\r",
    ":smile:",
    "\\u202e",
    "\\udcff",
)


def screen() -> Console:
    return Console(file=StringIO(), width=200, force_terminal=False)


@pytest.mark.parametrize(("text", "shown"), list(zip(NASTY, SHOWN, strict=True)))
def test_it_is_shown_as_it_is(text, shown):
    console = screen()
    say(console, text)
    console.print(table(text, {text: text}, boxed=True))
    console.print(plain(text, "bold"))
    with progress(console) as bar:
        bar.update(bar.add_task("", total=1), description=one_line(text), completed=1)
    found = console.file.getvalue()
    assert found.count(shown) == 6
    assert all(c.isprintable() or c == "\n" for c in found)


def test_a_bar_comes_with_the_first_count_and_goes_with_an_error():
    console = Console(file=StringIO(), width=80, force_terminal=True)
    with pytest.raises(InputError), counted("reading", console):
        raise InputError("found before the work")
    assert console.file.getvalue() == ""
    with pytest.raises(InputError), counted("reading", console) as tell:
        tell(1, 2)
        raise InputError("found within it")
    shown = console.file.getvalue()
    assert "reading" in shown and shown.rindex("reading") < shown.rindex("\x1b[2K")  # the line is erased


def test_a_text_of_several_lines_keeps_them():
    console = screen()
    say_lines(console, "a\n\n[b]\x1b[0m\n")
    assert console.file.getvalue() == "a\n\n[b]\\x1b[0m\n"


def test_sizes_and_durations():
    assert gigabytes(2.5e9) == "2.50 GB"
    found = [duration(seconds) for seconds in (0.02, 1.5, 119, 120, 7200, 86400 * 3)]
    assert found == ["20 ms", "1.5 s", "119.0 s", "2.0 min", "2.0 h", "3.0 d"]


COMMANDS = (
    "data check X",
    "data stats X --dates 2000 2001 --out o",
    "data convert X o",
    "inspect X",
    "forecast --checkpoint X --initial X --out o.zarr",
    "evaluate X --truth X --out o",
    "plot X --truth X --out o",
    "report --scores X --out o",
)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", ["[/x]", "\x1b[31m\n"])
def test_names_of_files_that_are_markup_or_escapes_get_one_line(command, name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([name if word == "X" else word for word in command.split()]) == 2
    out, err = capsys.readouterr()
    assert err.count("\n") == 1 and "\x1b" not in err and out == ""
    assert ("[/x]" if name == "[/x]" else "\\x1b[31m\\n") in err and not any(tmp_path.iterdir())


def test_rich_is_handed_text_only():
    """A str that is put together at run time and printed by rich would be read as markup."""
    found = []
    for path in Path(main.__globals__["__file__"]).parents[1].rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            called = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr
            if called in ("print", "log") and re.search("console", ast.unparse(node.func)):
                found += [f"{path.name}: {ast.unparse(a)}" for a in node.args if isinstance(a, ast.JoinedStr)]
    assert found == []
