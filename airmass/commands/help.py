"""Help of a command: a word for the value of each option, and defaults only where they say something."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import MISSING, field, fields, is_dataclass, make_dataclass
from itertools import pairwise
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import tyro

_OF_TYPES: dict[Any, str] = {int: "N", float: "NUMBER", str: "NAME", Path: "PATH"}
# Better words for texts and paths, by the option's name.
_TEXTS = {
    "TIME": "init_time init_times time",
    "FIRST:LAST:STEP": "times",
    "DATE": "dates validation_dates start",
    "LENGTH": "lead_time lead_times spectra maps",
    "STORE": "data truth score_against history orography initial forcings",
    "PATH": "best_tracks checkpoint",
    "GRID": "grid",
    "ADDRESS": "scheduler server coordinator",
    "TEXT": "title",
}
_PATHS = {"FOLDER": "statistics run plots scores downloads"}
_OF_NAMES: dict[Any, dict[str, str]] = {
    kind: {name: word for word, names in words.items() for name in names.split()}
    for kind, words in ((str, _TEXTS), (Path, _PATHS))
}
_VAGUE = _OF_TYPES[str], _OF_TYPES[Path]


def described(kind: Any, value: Any = None) -> Any:
    """A subclass of a dataclass, to print its help from; `value` has other defaults."""
    hints, texts = get_type_hints(kind, include_extras=True), field_texts(kind)
    parts = [_described(part, hints[part.name], texts.get(part.name), value) for part in fields(kind)]
    made = make_dataclass(kind.__name__, parts, bases=(kind,), frozen=True, kw_only=True)
    made.__doc__ = kind.__doc__
    return made


def value_word(name: str, hint: Any) -> str:
    """Word for the value of an option: PATH, N, a|b, or `NAME ...` for several."""
    plain, marks = unmarked(hint)
    if own := next((mark.metavar for mark in marks if getattr(mark, "metavar", None)), None):
        return own
    inner = get_args(plain)
    if get_origin(plain) is Literal:
        return "|".join(map(str, inner))
    if get_origin(plain) in (Union, UnionType):
        words = [value_word(name, one) for one in inner if one is not NoneType]
        return max(words, key=lambda word: (word.endswith("..."), word not in _VAGUE, word != _VAGUE[0]))
    if inner:  # a tuple or a mapping
        several = get_origin(plain) is not tuple or Ellipsis in inner
        return " ".join([*(value_word(name, one) for one in inner if one is not Ellipsis), *["..."] * several])
    return _OF_NAMES.get(plain, {}).get(name) or _OF_TYPES[plain]


def position_word(name: str, hint: Any) -> str:
    """Word for an argument without a name, from its field: SOURCE or `SOURCE ...`."""
    plain, _ = unmarked(hint)
    if get_origin(plain) is Literal:
        return value_word(name, hint)
    several = get_origin(plain) is tuple
    return f"{name.removesuffix('s').upper()} ..." if several else name.upper()


def unmarked(hint: Any) -> tuple[Any, list[Any]]:
    """A type without its annotations, and these."""
    if hasattr(hint, "__metadata__"):
        plain, *marks = get_args(hint)
        return plain, marks
    return hint, []


def _described(part: Any, hint: Any, text: str | None, value: Any) -> tuple[str, Any, Any]:
    default = _default(part, value)
    plain, marks = unmarked(hint)
    inner = type(default) if is_dataclass(default) else plain
    if is_dataclass(inner):
        held = default if is_dataclass(default) else None
        inner = described(inner, held)
        return part.name, Annotated[(inner, *marks)] if marks else inner, _field(default if held is None else inner())
    shown = tyro.conf.arg(metavar=_word(part, hint), help=text, help_behavior_hint=_hint)
    return part.name, Annotated[hint, shown], _field(default)


def _word(part: Any, hint: Any) -> str | None:
    """Word for the value of an option or argument; None for a flag."""
    plain, marks = unmarked(hint)
    if plain is bool:
        return None
    if tyro.conf.Positional not in marks:
        return value_word(part.name, hint)
    word = position_word(part.name, hint)
    return word if part.default is MISSING else f"[{word}]"


def _default(part: Any, value: Any) -> Any:
    if value is not None:
        return getattr(value, part.name)
    return part.default if part.default_factory is MISSING else part.default_factory()


def _field(default: Any) -> Any:
    return field() if default is MISSING else field(default_factory=lambda: default)


def _hint(default: str) -> str:
    return "" if default in ("None", "False", "") else f"(default: {default})"


def field_texts(kind: Any) -> dict[str, str]:
    """Docstrings of a dataclass's fields, each on one line."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__[:-1]):
        found |= dict(_texts_in(base))
    return found


def _texts_in(base: Any) -> Iterator[tuple[str, str]]:
    try:
        source = inspect.getsource(base)
    except OSError:  # made by make_dataclass
        return
    for parts in pairwise(ast.parse(textwrap.dedent(source)).body[0].body):  # type: ignore[attr-defined]
        match parts:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, " ".join(text.split())
