"""Parameters by the path of their names, such as `encoder.embed_grid.layers.0.weight`, and patterns over them."""

import difflib
from collections.abc import Iterable
from fnmatch import fnmatchcase

import jax

from airmass.core.errors import InputError

# Leaves that are matrices: linear maps, GenCast's three projections, the factors of an adapter. Their name tells, not
# their rank: stacked biases have two axes too.
_MATRICES = {"weight", "query", "key", "value", "down", "up"}


def path_name(path: tuple) -> str:
    """A leaf's place in its tree, as model files call it."""
    return jax.tree_util.keystr(path, simple=True, separator=".")


def is_matrix(name: str) -> bool:
    """Whether a leaf of that path is a matrix [*step, in, out]."""
    return name.rsplit(".", 1)[-1] in _MATRICES


def matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def require_known(patterns: Iterable[str], names: list[str], setting: str) -> None:
    """Raise InputError for a pattern of `setting` that none of `names` matches, naming the nearest that would."""
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            parts = [name.split(".") for name in names]
            modules = {".".join(part[:depth]) + ".*" for part in parts for depth in range(1, len(part))}
            near = difflib.get_close_matches(pattern, [*sorted(modules), *names], n=1, cutoff=0)
            raise InputError(f"{setting}: {pattern!r} matches no parameter; did you mean {near[0]!r}?")
