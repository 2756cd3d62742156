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
    kinds = _kinds(arguments)
    parts = {
        f.name: _with_kinds(getattr(base, f.name), f"--{f.name}", kinds)
        for f in fields(base)
        if is_dataclass(getattr(base, f.name))
    }
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


def _kinds(arguments: Sequence[str]) -> dict[str, str]:
    """Options whose names end in `.kind`, with their values."""
    pairs = [
        word.split("=", 1) if "=" in word else [word, *arguments[at + 1 : at + 2]] for at, word in enumerate(arguments)
    ]
    return {pair[0]: pair[1] for pair in pairs if pair[0].endswith(".kind") and len(pair) == 2}


def _with_kinds(settings: Any, option: str, kinds: Mapping[str, str]) -> Any:
    """Settings whose parts are of the kinds that the options give, which decide what other options there are."""
    if (kind := kinds.get(f"{option}.kind")) is not None and hasattr(settings, "as_kind"):
        settings = settings.as_kind(kind)
    parts = {part.name: getattr(settings, part.name) for part in fields(settings)}
    inner = {
        name: _with_kinds(part, f"{option}.{name.replace('_', '-')}", kinds)
        for name, part in parts.items()
        if is_dataclass(part)
    }
    return replace(settings, **inner) if any(inner[name] is not parts[name] for name in inner) else settings
