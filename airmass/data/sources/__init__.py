"""Formats that fields are read from. Every `SOURCE` in a module of this package is found by itself."""

import importlib
import pkgutil
from functools import cache

from airmass.data.formats.kind import Kind
from airmass.data.sources.base import Source

__all__ = ["Source", "source_of", "sources"]


@cache
def sources() -> dict[Kind, Source]:
    """All sources of this package by the kind of file or folder that they read."""
    modules = (importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__))
    found = [module.SOURCE for module in modules if hasattr(module, "SOURCE")]
    return {source.kind: source for source in found}


def source_of(kind: Kind) -> Source:
    """The source that reads this kind."""
    return sources()[kind]
