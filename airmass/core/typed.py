"""Values checked against declared types and ranges: settings, and everything read from JSON.

A range is declared with its field, `width: Annotated[int, Range(1, 16384)]`, so every source of a value is checked.
"""

import dataclasses
import math
import re
import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from airmass.core.errors import InputError

_WORDS = {
    int: "an integer", float: "a number", str: "text", bool: "true or false", NoneType: "null", list: "a list",
    tuple: "a list", dict: "an object", Mapping: "an object",
}  # fmt: skip
# Larger integers would overflow in int64 arithmetic.
_MOST_INTEGER = 2**63 - 1
# JAX's random keys use 32 bits of a seed.
MOST_SEED = 2**32 - 1


@dataclass(frozen=True)
class Range:
    """Numbers from `least` to `most`; `above` excludes `least` itself, `below` excludes `most`.

    NaN is never in a range, infinity only with `infinite`.
    """

    least: float = -math.inf
    most: float = math.inf
    above: bool = False
    below: bool = False
    infinite: bool = False

    def __contains__(self, value: float) -> bool:
        low = self.least < value if self.above else self.least <= value
        high = value < self.most if self.below else value <= self.most
        return low and high and (self.infinite or math.isfinite(value))

    def __str__(self) -> str:
        low, high = (str(end) if isinstance(end, int) else f"{end:g}" for end in (self.least, self.most))
        bounded = self.least > -math.inf, self.most < math.inf
        if all(bounded) and not (self.above or self.below):
            return f"{low} to {high}"
        parts = [f"above {low}" if self.above else f"{low} or more"] if bounded[0] else []
        parts += [f"below {high}" if self.below else f"at most {high}"] if bounded[1] else []
        return ", ".join(parts) or "a finite number"


@dataclass(frozen=True)
class Form:
    """Texts that match the regular expression `pattern` completely; `name` is their name in messages."""

    pattern: str
    name: str

    def __contains__(self, value: str) -> bool:
        return re.fullmatch(self.pattern, value) is not None

    def __str__(self) -> str:
        return self.name


def check(settings: Any, place: str) -> None:
    """Raise InputError for the first field of a dataclass that is not of its declared type or out of its range.

    `place` is the dataclass's name in options and files, such as "sampler". Call it from `__post_init__`.
    """
    _check(settings, lambda name: _in(place, name))


def check_options(options: Any) -> None:
    """Raise InputError as `check` does, with each field named as an option: `--memory-limit` for `memory_limit`."""
    _check(options, lambda name: f"--{name.replace('_', '-')}")


def _check(settings: Any, named: Callable[[str], str]) -> None:
    of: Any = type(settings)
    for name, kind in field_types(of).items():
        typed(getattr(settings, name), kind, named(name))


def typed(value: Any, kind: Any, place: str, later: frozenset[str] | None = None) -> Any:
    """`value`, from JSON or Python, as `kind`; lists become tuples, and objects dataclasses, where `kind` has them.

    `kind` is a dataclass, a union, a container or scalar, `Any`, or one of these annotated with a `Range` or `Form`.
    The only conversion is from an integer to a float. Fields with a default may be missing; with `later`, only those
    whose path is in it. Raises InputError that begins with the path of the wrong field.
    """
    origin, args = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin is Annotated:
        if args[0] is int and isinstance(value, Integral):
            _in_range(value, args[1:], place)
        return _in_range(typed(value, args[0], place, later), args[1:], place)
    if origin in (Union, UnionType):
        return _one_of(value, args, place, later)
    if origin is Literal:
        if not any(type(value) is type(known) and value == known for known in args):
            raise _wrong(place, value, f"one of {', '.join(map(str, args))}")
        return value
    if origin in (list, tuple):
        return _sequence(value, origin, args, place, later)
    if (origin or kind) in (dict, Mapping):
        _require(isinstance(value, Mapping), place, value, dict)
        return {_scalar(k, str, place): typed(v, args[1] if args else Any, _in(place, k)) for k, v in value.items()}
    if dataclasses.is_dataclass(kind):
        return _record(value, kind, place, later)
    return _scalar(value, kind, place)


@cache
def field_types(kind: Any) -> dict[str, Any]:
    """The declared types, with their ranges, of the fields that a dataclass's constructor takes."""
    hints = get_type_hints(kind, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind) if field.init}


def _record(value: Any, kind: Any, place: str, later: frozenset[str] | None) -> Any:
    if isinstance(value, kind):
        return value
    _require(isinstance(value, Mapping), place, value, dict)
    if choose := getattr(kind, "choose", None):  # one of several classes, which the value names
        kind = choose(value, place)
    known = field_types(kind)
    if unknown := [name for name in value if name not in known]:
        raise InputError(f"{_in(place, unknown[0])} is not known; known are {', '.join(known)}")
    for field in dataclasses.fields(kind):
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        inner = _in(place, field.name)
        if field.init and field.name not in value and (required or (later is not None and inner not in later)):
            raise InputError(f"{inner} is missing")
    return kind(**{name: typed(part, known[name], _in(place, name), later) for name, part in value.items()})


def _one_of(value: Any, kinds: tuple, place: str, later: frozenset[str] | None) -> Any:
    """`value` as the first of `kinds` that fits; the error is that of the last one."""
    if value is None and NoneType in kinds:
        return None
    kinds = tuple(kind for kind in kinds if kind is not NoneType)
    for kind in kinds[:-1]:
        try:
            return typed(value, kind, place, later)
        except InputError:
            continue
    return typed(value, kinds[-1], place, later)


def _sequence(value: Any, origin: type, args: tuple, place: str, later: frozenset[str] | None) -> Any:
    _require(isinstance(value, list | tuple), place, value, list)
    alike = origin is list or (len(args) == 2 and args[1] is Ellipsis)
    kinds = [args[0]] * len(value) if alike else list(args)
    if len(kinds) != len(value):
        raise _wrong(place, value, f"{len(kinds)} values")
    if alike and later is None and len(value) > 1 and (checked := _at_once(value, args[0])) is not None:
        return origin(checked)
    return origin(
        typed(part, kind, f"{place}[{i}]", later) for i, (part, kind) in enumerate(zip(value, kinds, strict=True))
    )


def _at_once(values: Sequence, kind: Any) -> list | None:
    """`values` as `kind`, or None where one may not fit, for whose name the values are then checked one by one.

    Records are checked field by field, and equal values of a field once: files of scores hold hundreds of thousands.
    """
    try:
        return _records(values, kind) if dataclasses.is_dataclass(kind) else _column(values, kind)
    except (InputError, TypeError):  # a value that does not fit, or that is not hashable
        return None


def _records(values: Sequence, kind: Any) -> list | None:
    known = field_types(kind)
    if hasattr(kind, "choose") or not all(type(value) is dict and value.keys() <= known.keys() for value in values):
        return None
    columns: list[Sequence] = []
    for field in (field for field in dataclasses.fields(kind) if field.init):
        column = _column([value[field.name] for value in values if field.name in value], known[field.name])
        if len(column) < len(values):
            if field.default is dataclasses.MISSING:
                return None
            held = iter(column)
            column = [next(held) if field.name in value else field.default for value in values]
        columns.append(column)
    return [kind(*row) for row in zip(*columns, strict=True)]


def _column(values: Sequence, kind: Any) -> list:
    """`values` as `kind`: the ends of numbers are checked, of others each distinct one. Raises InputError."""
    plain = float if _is_number(kind) else None
    if floats := [value for value in values if type(value) is plain]:
        for end in (min(floats), max(floats), *(value for value in floats if math.isnan(value))):
            typed(end, kind, "")
    others = {(type(value), value) for value in values if type(value) is not plain}
    found = {(of, value): typed(value, kind, "") for of, value in others}
    return [value if type(value) is plain else found[type(value), value] for value in values]


def _is_number(kind: Any) -> bool:
    """True for a float, in a range or not, or such a one that may be None."""
    if get_origin(kind) in (Union, UnionType):
        kinds = [part for part in get_args(kind) if part is not NoneType]
        return len(kinds) == 1 and _is_number(kinds[0])
    return kind is float or (get_origin(kind) is Annotated and get_args(kind)[0] is float)


def _scalar(value: Any, kind: Any, place: str) -> Any:
    if kind is int:
        _require(isinstance(value, Integral) and not isinstance(value, bool), place, value, int)
        if abs(value) > _MOST_INTEGER:
            raise _wrong(place, value, "an integer of at most 64 bits")
    elif kind is float:
        _require(isinstance(value, Real) and not isinstance(value, bool), place, value, float)
        if isinstance(value, int):
            return float(_scalar(value, int, place))
    else:
        _require(isinstance(value, kind), place, value, kind)
    return value


def _in_range(value: Any, marks: tuple, place: str) -> Any:
    for mark in marks:
        if isinstance(mark, Range | Form) and value not in mark:
            raise _wrong(place, value, str(mark))
    return value


def _require(fits: bool, place: str, value: Any, kind: type) -> None:
    if not fits:
        raise _wrong(place, value, _WORDS.get(kind, kind.__name__))


def _in(place: str, name: Any) -> str:
    name = reprlib.repr(name) if not str(name).isidentifier() else str(name)
    return f"{place}.{name}" if place else name


def _wrong(place: str, value: Any, expected: str) -> InputError:
    shown = f"{value!r}" if isinstance(value, float) else reprlib.repr(value)
    return InputError(f"{place or 'the whole'} is {shown}, expected {expected}")
