"""Shapes and dtypes of arrays checked at every call while the tests run, by jaxtyping's import hook and beartype.

Only annotations with a shape are checked. Others are mypy's, and tests that pass a wrong type on purpose expect our own
error.
"""

from collections.abc import Callable
from typing import Any, get_args

from beartype import BeartypeConf, beartype
from jaxtyping import AbstractArray, install_import_hook


def check(function: Callable) -> Callable:
    """The function with its annotations of arrays checked; used by jaxtyping, which passes a stand-in of its own.

    Not constructors: a tree may hold partitions or None in place of its arrays, and grids refuse wrong arrays
    themselves.
    """
    if function.__name__ == "__init__":
        return function
    shaped = {name: hint for name, hint in function.__annotations__.items() if _has_shape(hint)}
    function.__annotations__ = shaped
    return beartype(conf=_CONF)(function) if shaped else function


def check_shapes() -> None:
    """Check the shapes in all modules of `PACKAGES` that are imported from now on."""
    install_import_hook(PACKAGES, "tests.shapes.check")


# Where it costs nothing to speak of. In models, traced code takes longer with it: tests/test_shapes.py, slow.
PACKAGES = ["airmass.fields", "airmass.diffusion"]
_CONF = BeartypeConf(is_pep484_tower=True)


def _has_shape(hint: Any) -> bool:
    if isinstance(hint, type) and issubclass(hint, AbstractArray):
        return True
    return any(_has_shape(part) for part in get_args(hint))
