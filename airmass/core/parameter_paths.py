"""Paths of parameters, such as `encoder.embed_grid.layers.0.weight`, and patterns over them."""

import difflib
from collections.abc import Iterable
from fnmatch import fnmatchcase

import jax

from airmass.core.errors import InputError

# Leaves that are matrices: linear maps, GenCast's three projections, the factors of an adapter. They are found by name,
# not by rank: stacked biases have two axes too.
_MATRICES = {"weight", "query", "key", "value", "down", "up"}


def path_name(path: tuple) -> str:
    """The path of a leaf in its tree as model files write it, joined by dots."""
    return jax.tree_util.keystr(path, simple=True, separator=".")


def is_matrix(name: str) -> bool:
    """True if the leaf of that path is a matrix [*step, in, out]."""
    return name.rsplit(".", 1)[-1] in _MATRICES


def matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def require_known(patterns: Iterable[str], names: list[str], setting: str) -> None:
    """Raise InputError, with the nearest match, for a pattern of `setting` that matches none of `names`."""
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            parts = [name.split(".") for name in names]
            modules = {".".join(part[:depth]) + ".*" for part in parts for depth in range(1, len(part))}
            near = difflib.get_close_matches(pattern, [*sorted(modules), *names], n=1, cutoff=0)
            raise InputError(f"{setting}: {pattern!r} matches no parameter; did you mean {near[0]!r}?")
