"""The published configuration of WeatherNext 2: a graph of Python objects as JSON, read as plain values.

Nothing in it is run: names of Python objects stay text, and keys are read as literals.
"""

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from airmass.core.errors import InputError
from airmass.core.strict_json import read_json

_MOST_DEPTH = 60


def read_configuration(path: str | Path) -> dict[str, Any]:
    """Dicts, lists, texts and numbers by attribute; data sets as `xr.Dataset` in float32, Python names as `<name>`.

    Raises InputError for a file that is no such graph, and for one that refers to what it does not hold.
    """
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("objects"), dict) or "root" not in content:
        raise InputError(f"{path}: expected a configuration of WeatherNext 2, with 'root' and 'objects'")
    return _Graph(content["objects"], path).value(content["root"])


class _Graph:
    def __init__(self, objects: Mapping[str, Any], path: str | Path):
        self._objects, self._path, self._depth = objects, path, 0

    def value(self, node: Any) -> Any:
        if not isinstance(node, dict) or "type" not in node:
            raise self._wrong("a node has no type")
        kind = node["type"]
        if kind == "leaf":
            return node.get("value")
        if kind == "ref":
            return self._referred(node.get("key"))
        if kind == "pyref":
            return f"<{node.get('name')}>"
        return self._composed(kind, node.get("items") or [])

    def _referred(self, key: Any) -> Any:
        if key not in self._objects:
            raise self._wrong(f"refers to {key!r}, which it does not hold")
        self._depth += 1
        if self._depth > _MOST_DEPTH:
            raise self._wrong(f"is nested more than {_MOST_DEPTH} deep, or in a circle")
        found = self.value(self._objects[key])
        self._depth -= 1
        return found

    def _composed(self, kind: Any, items: Any) -> Any:
        name = kind.get("name") if isinstance(kind, dict) else None
        pairs = [(*_argument(step, self._path), self.value(node)) for step, node in items]
        if name in ("list", "tuple"):
            return [value for _, _, value in sorted(pairs, key=lambda pair: pair[1])]
        found = {str(key): value for _, key, value in pairs}
        if [(how, key) for how, key, _ in pairs] == [("Attr", "data")]:
            return _dataset(found["data"], self._path)
        return found

    def _wrong(self, what: str) -> InputError:
        return InputError(f"{self._path}: {what}: is this a configuration of WeatherNext 2?")


def _argument(step: str, path: str | Path) -> tuple[str, Any]:
    """`Key`, `Index` or `Attr`, and what it names."""
    kind, _, rest = str(step).partition("(")
    try:
        return kind, ast.literal_eval(rest.removesuffix(")").partition("=")[2])
    except (ValueError, SyntaxError):
        raise InputError(f"{path}: {step!r} names no part of an object") from None


def _dataset(data: Mapping[str, Any], path: str | Path) -> xr.Dataset:
    try:
        both = {**data["data_vars"], **data["coords"]}
        arrays = {name: (tuple(part["dims"]), np.asarray(part["data"], np.float64)) for name, part in both.items()}
        fields = {name: (dims, values.astype(np.float32)) for name, (dims, values) in arrays.items()}
        coords = {name: (dims, arrays[name][1]) for name, (dims, _) in fields.items() if name in data["coords"]}
        return xr.Dataset({name: fields[name] for name in data["data_vars"]}, coords)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: holds a data set that cannot be read: {error}") from None
