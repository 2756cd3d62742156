"""Parsing of a command's options; any mistake gives a one-line error."""

import contextlib
import difflib
import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, fields, is_dataclass
from itertools import takewhile
from typing import Any, NamedTuple, TypeVar, get_type_hints

import tyro

from airmass.commands.help import described, position_word, unmarked, value_word
from airmass.core.errors import InputError

_T = TypeVar("_T")
_EXPECTED = {"N": "a whole number", "N ...": "whole numbers", "NUMBER": "a number", "NUMBER ...": "numbers"}


class _Option(NamedTuple):
    name: str
    required: bool
    word: str  # for its value, "" for a flag


def parse(kind: type[_T], prog: str, arguments: Sequence[str]) -> _T:
    """Parse arguments into the dataclass `kind`; print the help and exit if it is asked for.

    Raises InputError for an option that is unknown (with the nearest known one), repeated or missing, and for an
    invalid value. These checks are made here because tyro takes the last of repeated options and draws its errors as
    boxes of many lines.
    """
    if {"-h", "--help"} & set(arguments):
        kind = described(kind)
    else:
        _check_names(list(_options_of(kind)), arguments)
    output = io.StringIO()
    try:
        with contextlib.redirect_stderr(output):
            return tyro.cli(kind, prog=prog, args=list(arguments))
    except SystemExit as exited:
        if not exited.code:
            raise
        refused = next((error for error in _causes(exited) if isinstance(error, InputError)), None)
        raise refused or InputError(_refusal(kind, arguments, _first_words(output.getvalue()))) from None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and the errors that caused it. Settings raise InputError themselves for an invalid value."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def require_between(name: str, value: float | Sequence[float] | None, least: float, most: float = math.inf) -> None:
    """Raise InputError unless a value, or each of several, is a number in [`least`, `most`]; None passes."""
    for number in value if isinstance(value, Sequence) else (value,):
        if number is not None and not (least <= number <= most and math.isfinite(number)):
            upper = f" to {most}" if math.isfinite(most) else " or more"
            raise InputError(f"{name} is {number}, expected {least}{upper}")


def require_positive(name: str, value: float | None) -> None:
    """Raise InputError unless a value is a finite number above 0; None passes."""
    if value is not None and not 0 < value < math.inf:
        raise InputError(f"{name} is {value}, expected a number above 0")


def _check_names(options: Sequence[_Option], arguments: Sequence[str]) -> None:
    known = {option.name: option.name for option in options}
    known |= {_off(option.name): option.name for option in options if not option.word}
    given = [word.partition("=")[0].replace("_", "-") for word in arguments if word.startswith("--") and word != "--"]
    for word in given:
        if word not in known:
            near = difflib.get_close_matches(word, known, n=1, cutoff=0)
            raise InputError(f"unknown option {word}; the nearest known is {near[0]}")
    names = [known[word] for word in given]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"option {twice} is given {names.count(twice)} times, expected once")
    if missing := [option.name for option in options if option.required and option.name not in names]:
        raise InputError(f"missing {', '.join(missing)}")


def _off(name: str) -> str:
    """Name that switches a flag off: `--a.no-b` for `--a.b`."""
    folder, dot, last = name.removeprefix("--").rpartition(".")
    return f"--{folder}{dot}no-{last}"


def _options_of(kind: Any, value: Any = None, prefix: str = "--") -> Iterator[_Option]:
    """Yield all options of a dataclass and of the dataclasses in it, but no positional ones; `value` is its default."""
    hints = get_type_hints(kind, include_extras=True)
    for part in fields(kind):
        hint, marks = unmarked(hints[part.name])
        if tyro.conf.Positional in marks:
            continue
        default = getattr(value, part.name) if value is not None else part.default
        inner = type(default) if is_dataclass(default) else hint
        name = prefix + part.name.replace("_", "-")
        if is_dataclass(inner):
            below = prefix if tyro.conf.OmitArgPrefixes in marks else f"{name}."
            yield from _options_of(inner, default if is_dataclass(default) else None, below)
        else:
            absent = value is None and part.default in (MISSING, tyro.MISSING) and part.default_factory is MISSING
            yield _Option(name, absent, "" if hint is bool else value_word(part.name, hint))


def _refusal(kind: Any, arguments: Sequence[str], words: str) -> str:
    """Words for what tyro refused: the option, the values found and those expected; its own words for the rest."""
    if more := re.search(r"Unrecognized options: (.+)", words):
        return f"unexpected {more[1].split(' ---')[0]}"
    if "Missing from" in words:
        given = sum(1 for _ in takewhile(lambda word: not word.startswith("-"), arguments))
        return f"missing {', '.join(list(_positions(kind))[given:])}"
    named = re.search(r"(?:Error parsing |argument ')(--[a-z0-9.-]+)", words)
    option = next((one for one in _options_of(kind) if named and one.name == named[1]), None)
    if option is None:
        return words
    found = " ".join(_values(option.name, arguments)) or "empty"
    return f"{option.name} is {found}, expected {_EXPECTED.get(option.word, option.word.replace('|', ' or '))}"


def _values(option: str, arguments: Sequence[str]) -> Sequence[str]:
    """Values that follow an option."""
    words = [word.replace("_", "-", word.startswith("--") * word.count("_")) for word in arguments]
    at = next(i for i, word in enumerate(words) if word.partition("=")[0] == option)
    if "=" in words[at]:
        return [arguments[at].partition("=")[2]]
    return list(takewhile(lambda word: not word.startswith("--"), arguments[at + 1 :]))


def _positions(kind: Any) -> Iterator[str]:
    """Words of the arguments without a name that must be given."""
    hints = get_type_hints(kind, include_extras=True)
    for part in fields(kind):
        if tyro.conf.Positional in unmarked(hints[part.name])[1] and part.default is MISSING:
            yield position_word(part.name, hints[part.name])


def _first_words(box: str) -> str:
    """First message in the box that tyro draws, on one line."""
    lines = [line.strip("│ ").strip() for line in box.splitlines() if line.startswith("│")]
    end = next((at for at, line in enumerate(lines) if line.startswith("───") or line == "Got errors:"), len(lines))
    words = " ".join(filter(None, lines[:end])) or " ".join(box.split())
    return words.removeprefix("Error parsing settings: ").replace(" could be instantiated from", ":")
