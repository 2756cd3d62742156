"""Every field of a recipe as an option, for the commands that take a recipe."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, fields, is_dataclass, make_dataclass, replace
from typing import Annotated, Any

import tyro

from airmass.core.errors import InputError
from airmass.recipes.recipes import RECIPES, Recipe, recipe

# An option of a command's own: its type, its default (tyro.MISSING where it must be given) and what it is.
Own = Mapping[str, tuple[Any, Any, str]]


def listed(usage: str) -> None:
    """Print how a command is used, and the recipes."""
    print(f"usage: airmass {usage}\n\nrecipes:")
    width = max(map(len, RECIPES))
    for name, value in RECIPES.items():
        print(f"  {name:<{width}}  {value.cost or ''}")
    print(f"\n`airmass {usage.split()[0]} RECIPE --help` lists every option of a recipe with its value.")


def chosen(command: str, about: str, arguments: Sequence[str], own: Own) -> tuple[Recipe, Any]:
    """The recipe that the first argument names, with what the others change in it, and the command's own options.

    Parts of a recipe that are no settings, or None, are as the recipe has them. Raises InputError for a recipe that is
    not known, and for an option that is not, with the nearest one.
    """
    if not arguments or arguments[0].startswith("-"):
        found = repr(arguments[0]) if arguments else "nothing"
        raise InputError(f"expected a recipe first, found {found}; known are {', '.join(RECIPES)}")
    base = recipe(arguments[0])
    parts = {f.name: getattr(base, f.name) for f in fields(base) if is_dataclass(getattr(base, f.name))}
    made = _options(about, own, parts)
    prog = f"airmass {command} {arguments[0]}"
    options, unknown = tyro.cli(made, prog=prog, args=list(arguments[1:]), return_unknown_args=True)
    if unknown:
        raise InputError(_nearest(unknown[0], own, parts))
    return replace(base, **{name: getattr(options, name) for name in parts}), options


def _options(about: str, own: Own, parts: Mapping[str, Any]) -> Any:
    fields_of_own = [
        (name, Annotated[kind, tyro.conf.arg(help=what)], field(default=default))
        for name, (kind, default, what) in own.items()
    ]
    settings = [(name, type(value), field(default=value)) for name, value in parts.items()]
    made = make_dataclass("Options", [*fields_of_own, *settings], frozen=True, kw_only=True)
    made.__doc__ = about
    return made


def _nearest(unknown: str, own: Own, parts: Mapping[str, Any]) -> str:
    word = unknown.partition("=")[0].replace("_", "-")
    known = [f"--{name.replace('_', '-')}" for name in own]
    known += [option for name, value in parts.items() for option in _names(f"--{name}.", value)]
    near = difflib.get_close_matches(word, known, n=1, cutoff=0)
    return f"unknown option {unknown}; the nearest known is {near[0]}"


def _names(prefix: str, settings: Any) -> Iterator[str]:
    for part in fields(settings):
        inner, name = getattr(settings, part.name), prefix + part.name.replace("_", "-")
        if is_dataclass(inner):
            yield from _names(f"{name}.", inner)
        else:
            yield name
