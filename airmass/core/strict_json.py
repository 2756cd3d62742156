"""The JSON reader: strict syntax, bounded size and depth, typed values."""

import json
import math
from pathlib import Path
from typing import Any

from airmass.core.errors import InputError
from airmass.core.reading import read_text
from airmass.core.typed import typed

# Far more than any JSON file that airmass writes; the report's scores are the largest.
MOST_BYTES = 256 * 2**20
_MOST_DEPTH = 64


def read_json(path: str | Path, kind: Any = Any, most: int = MOST_BYTES, infinity: bool = False) -> Any:
    """The content of a regular UTF-8 file of at most `most` bytes, as `parse_json` reads it."""
    return parse_json(read_text(path, most), kind, path, infinity)


def parse_json(text: str | bytes, kind: Any = Any, source: str | Path = "JSON", infinity: bool = False) -> Any:
    """The value of a JSON text as `kind`: a dataclass, a container or scalar type, or `Any` (`typed` says how).

    Raises InputError, which begins with `source` and names the field's path, for text that is not JSON, duplicate keys,
    NaN and infinity, more than 64 nested levels, and values that are not of the `kind`. With `infinity`, both are
    parsed and the ranges of fields decide; settings may be infinite.
    """
    try:
        value = json.loads(
            text if isinstance(text, str) else text.decode("utf-8"),
            object_pairs_hook=_once,
            parse_constant=float if infinity else _refused,
            parse_float=_finite,
        )
        _require_shallow(value)
        if "\\u" in (text if isinstance(text, str) else text.decode()):
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise InputError(f"{source}: nested more than {_MOST_DEPTH} deep") from None
    except UnicodeError:
        raise InputError(f"{source}: is not Unicode text") from None
    except InputError as error:
        raise InputError(f"{source}: {error}") from None
    except ValueError as error:  # no JSON, or an integer of thousands of digits
        raise InputError(f"{source}: not JSON: {error}") from None
    return from_source(value, kind, source)


def from_source(value: Any, kind: Any, source: str | Path, later: frozenset[str] | None = None) -> Any:
    """`typed`, with errors that begin with the file the value came from."""
    try:
        return typed(value, kind, "", later)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in made if names.count(name) > 1)
        raise InputError(f"the key {twice!r} occurs twice in an object")
    return made


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise InputError(f"holds the number {text}, which is out of the range of float64")
    return value


def _refused(name: str) -> float:
    raise InputError(f"holds {name}, which is not JSON")


def _require_shallow(value: Any) -> None:
    level = [value]
    for _ in range(_MOST_DEPTH):
        containers = [part for part in level if isinstance(part, dict | list)]
        level = [part for one in containers for part in (one.values() if isinstance(one, dict) else one)]
        if not level:
            return
    raise RecursionError
