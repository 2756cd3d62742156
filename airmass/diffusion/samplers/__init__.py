"""Samplers, one a file, named as in options (`--sampler dpmpp-2s` is `dpmpp_2s.py`); a new file joins by being here."""

import difflib
import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import Any

from airmass.core.errors import InputError
from airmass.core.typed import field_types
from airmass.diffusion.samplers.base import Sampler


@cache
def known_samplers() -> dict[str, type[Sampler]]:
    """All samplers by kind. Needs no JAX."""
    modules = [importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    found = [item for module in modules for item in vars(module).values() if _is_sampler(item, module.__name__)]
    return {sampler.kind: sampler for sampler in found}


def sampler_kind(kind: Any, place: str = "sampler") -> type[Sampler]:
    """The sampler of a kind. Raises InputError, with the nearest and all known kinds, for another."""
    known = known_samplers()
    if kind in known:
        return known[kind]
    near = difflib.get_close_matches(str(kind), known, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}? known are" if near else "known are"
    raise InputError(f"{place}.kind is {kind!r}; {hint} {', '.join(known)}")


def changed(sampler: Sampler, changes: Mapping[str, Any]) -> Sampler:
    """A sampler with other settings; a change of `kind` keeps the settings that both kinds have.

    Raises InputError for a setting that the kind does not have.
    """
    kind = sampler_kind(changes.get("kind", sampler.kind))
    known = field_types(kind)
    if unknown := next((name for name in changes if name not in known), None):
        raise InputError(f"sampler {kind.kind} has no {unknown}; it has {', '.join(known)}")
    kept = {name: getattr(sampler, name) for name in known if hasattr(sampler, name)}
    return kind(**{**kept, **changes, "kind": kind.kind})


def _is_sampler(item: Any, module: str) -> bool:
    return isinstance(item, type) and issubclass(item, Sampler) and item.__module__ == module and bool(item.kind)
