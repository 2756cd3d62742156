"""Options of the commands that take a recipe: every field of the recipe, and the command's own."""

from collections.abc import Mapping, Sequence
from dataclasses import field, fields, is_dataclass, make_dataclass, replace
from typing import Annotated, Any

import tyro

from airmass.commands.options import parse
from airmass.core.errors import InputError
from airmass.recipes.recipes import RECIPES, Recipe, recipe

# A command's own options: name -> (type, default or tyro.MISSING if required, help text).
Own = Mapping[str, tuple[Any, Any, str]]


def print_recipes(usage: str) -> None:
    """Print the usage of a command and the list of recipes."""
    print(f"usage: airmass {usage}\n\nrecipes:")
    width = max(map(len, RECIPES))
    for name, value in RECIPES.items():
        print(f"  {name:<{width}}  {value.cost or ''}")
    print(f"\n`airmass {usage.split()[0]} RECIPE --help` lists every option of a recipe with its value.")


def parse_recipe(command: str, about: str, arguments: Sequence[str], own: Own) -> tuple[Recipe, Any]:
    """The recipe that the first argument names, changed by the other arguments, and the command's own options.

    Only parts of a recipe that are settings become options. Raises InputError for an unknown recipe, and for an unknown
    option, with the nearest known one.
    """
    if not arguments or arguments[0].startswith("-"):
        found = repr(arguments[0]) if arguments else "nothing"
        raise InputError(f"expected a recipe first, found {found}; known are {', '.join(RECIPES)}")
    base = recipe(arguments[0])
    parts = {f.name: getattr(base, f.name) for f in fields(base) if is_dataclass(getattr(base, f.name))}
    made = _options(about, own, parts)
    options = parse(made, f"airmass {command} {arguments[0]}", arguments[1:])
    return replace(base, **{name: getattr(options, name) for name in parts}), options


def _options(about: str, own: Own, parts: Mapping[str, Any]) -> Any:
    fields_of_own = [
        (name, Annotated[kind, tyro.conf.arg(help=text)], field(default=default))
        for name, (kind, default, text) in own.items()
    ]
    settings = [(name, type(value), field(default=value)) for name, value in parts.items()]
    made = make_dataclass("Options", [*fields_of_own, *settings], frozen=True, kw_only=True)
    made.__doc__ = about
    return made
