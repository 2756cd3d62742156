"""The reference pages, made from the code: `write(folder)`. Each table has every member that the program knows."""

import ast
import contextlib
import dataclasses
import importlib.util
import inspect
import io
import os
import pkgutil
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import airmass

Row = tuple[str, ...]


def write(folder: Path) -> None:
    """Write all pages; files whose text is unchanged are left, so that the site is not built anew for them."""
    folder.mkdir(exist_ok=True)
    for name, page in {"index.md": index(), **{f"{name}.md": make() for name, (_, make) in PAGES.items()}}.items():
        text = page if isinstance(page, str) else "\n".join(page)
        path = folder / name
        if not path.exists() or path.read_text() != text + "\n":
            path.write_text(text + "\n")


def index() -> Iterator[str]:
    yield "# Reference\n\nMade from the code of this version.\n\n```{toctree}\n:maxdepth: 1\n"
    yield from (f"{title} <{name}>" for name, (title, _) in PAGES.items())
    yield "```"


def commands() -> Iterator[str]:
    from airmass.commands.main import COMMANDS

    yield "# Command line\n"
    yield from table(("command", ""), ((f"[`airmass {name}`](#airmass-{anchor(name)})", words) for name, (_, words) in
                                       COMMANDS.items()))  # fmt: skip
    yield "\nExit status: 0 done; 1 `data check` or `doctor` found a problem, or `initial --compare` a difference;"
    yield "2 bad input, in one line; 70 a fault of airmass; 128 plus a signal's number when stopped, but 130 by `train`"
    yield "for any of them, which saves first.\n"
    for name in COMMANDS:
        yield f"\n## airmass {name}\n\n```text\n{help_of(name)}\n```"


def help_of(command: str) -> str:
    """The help of a command as text 100 columns wide."""
    from airmass.commands.completion import _WITH_RECIPE
    from airmass.commands.main import COMMANDS

    words = ["demo"] if command in _WITH_RECIPE else []
    said, before = io.StringIO(), os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "100"
    try:
        with contextlib.suppress(SystemExit), contextlib.redirect_stdout(said):
            importlib.import_module(f"airmass.commands.{COMMANDS[command][0]}").run([*words, "--help"])
    finally:
        os.environ.pop("COLUMNS") if before is None else os.environ.update(COLUMNS=before)
    return re.sub(r"\x1b\[[0-9;]*m", "", said.getvalue()).strip()


def recipes() -> Iterator[str]:
    from airmass.recipes.recipes import RECIPES

    yield "# Recipes\n\nNamed settings for `airmass train` and `airmass plan`; every setting is an option.\n"
    rows = ((f"`{name}`", type(recipe.model).__name__, words(recipe.cost), words(recipe.expect)) for name, recipe in
            RECIPES.items())  # fmt: skip
    yield from table(("recipe", "model's settings", "cost", "scores to expect"), rows)


def settings() -> Iterator[str]:
    """All settings of the first recipe of each family: a section for each of their classes."""
    from airmass.recipes.recipes import RECIPES

    yield "# Settings of recipes\n\nEach is an option of `airmass train` and `airmass plan`.\n"
    seen: set[type] = set()
    for name, recipe in RECIPES.items():
        for part, value in _settings(recipe, "--"):
            if type(value) not in seen:
                seen.add(type(value))
                yield f"\n## `{part}*`, as in {name}\n"
                yield from document(type(value))
                yield from table(("option", "default", ""), options(part, value))


def _settings(value: object, prefix: str) -> Iterator[tuple[str, object]]:
    """Prefix of options and value of every dataclass within another."""
    for part in dataclasses.fields(value):  # type: ignore[arg-type]
        held = getattr(value, part.name)
        if dataclasses.is_dataclass(held):
            inner = f"{prefix}{part.name.replace('_', '-')}."
            yield inner, held
            yield from _settings(held, inner)


def options(prefix: str, value: object) -> Iterator[Row]:
    from airmass.commands.help import field_texts

    docs = field_texts(type(value))
    for part in dataclasses.fields(value):  # type: ignore[arg-type]
        held = getattr(value, part.name)
        if not dataclasses.is_dataclass(held):
            yield f"`{prefix}{part.name.replace('_', '-')}`", f"`{held!r}`", words(docs.get(part.name, ""))


def variables() -> Iterator[str]:
    from airmass.fields.variables import VARIABLES

    yield "# Variables\n\nNames are those of ERA5 in WeatherBench2; short ones are ECMWF's, with a level: `z500`.\n"
    rows = (
        (f"`{v.name}`", f"`{v.short_name}`" + "".join(f", `{other}`" for other in v.aliases), v.standard_name, v.units,
         "levels" if v.on_levels else "", "{:g} to {:g}".format(*v.valid_range), kind_of(v))
        for v in VARIABLES.values()
    )  # fmt: skip
    yield from table(("name", "short", "CF standard name", "units", "on", "range", ""), rows)


def kind_of(variable) -> str:
    kinds = {"static": variable.static, "missing over land": variable.missing_over_land,
             "around cyclones only": variable.around_cyclones, f"sum of {variable.accumulation_hours} h":
             variable.accumulation_hours}  # fmt: skip
    return ", ".join(name for name, true in kinds.items() if true)


def metrics() -> Iterator[str]:
    from airmass.evaluation.metrics import known_metrics

    yield "# Metrics\n\nOf `airmass evaluate` and `airmass.evaluate`. A metric with events, quantiles or widths is"
    yield "called by its name and one of them, such as `csi_above_0.9`; `--metrics csi` takes all."
    yield "How to add one: [Contributing](../contributing.md).\n"
    families: dict[str, dict[str, object]] = {}
    for name, metric in known_metrics().items():
        families.setdefault(type(metric).__module__.rpartition(".")[2], {})[name] = metric
    rows = ((f"`{family}`", _parameters(family, held), *_with_source(next(iter(held.values())))) for family, held in
            sorted(families.items()))  # fmt: skip
    yield from table(("metric", "with", "", "source"), rows)


def _parameters(family: str, names: Iterable[str]) -> str:
    """Endings of the names of one metric's cases, each in backquotes; empty for a metric of one case."""
    return ", ".join(f"`{name.removeprefix(family)[1:]}`" for name in names if name != family)


def _with_source(metric: object) -> tuple[str, str]:
    text, _, source = words(inspect.getdoc(type(metric))).partition("Source:")
    return text.strip(), source.strip()


def losses() -> Iterator[str]:
    from airmass.models.objectives.losses import loss_named, loss_names

    yield "# Losses\n\nFor `--loss.kind`.\n"
    modules = {name: inspect.getmodule(type(loss_named(name))) for name in loss_names()}
    rows = ((f"`{name}`", words(inspect.getdoc(type(loss_named(name))) or inspect.getdoc(module)))
            for name, module in modules.items())  # fmt: skip
    yield from table(("loss", ""), rows)


def samplers() -> Iterator[str]:
    from airmass.diffusion.samplers import known_samplers
    from airmass.training.optimiser import OPTIMISERS, SCHEDULES

    yield "# Samplers, optimisers, schedules\n\n## Samplers\n\nFor `airmass forecast --sampler`."
    yield "Orders are measured in [Diffusion](../diffusion.md).\n"
    rows = (
        (f"`{kind}`", "" if sampler.order is None else f"{sampler.order:g}", words(inspect.getdoc(sampler)))
        for kind, sampler in known_samplers().items()
    )
    yield from table(("sampler", "order", ""), rows)
    yield "\n## Optimisers\n"
    yield from table(("optimiser", ""), functions(OPTIMISERS))
    yield "\n## Schedules\n"
    yield from table(("schedule", ""), functions(SCHEDULES))


def functions(named: dict) -> Iterator[Row]:
    return ((f"`{name}`", words(inspect.getdoc(function))) for name, function in named.items())


def api() -> Iterator[str]:
    """Public names with signatures and docstrings, then every module with its functions and classes."""
    yield "# Python\n\nNames in `airmass` are stable; those of modules may change between versions.\n"
    for name in airmass.__all__:
        yield from member(name, getattr(airmass, name))
    yield "\n## Modules\n"
    yield from table(("module", ""), ((f"`{name}`", words(doc)) for name, doc in modules()))


def member(name: str, value: object) -> Iterator[str]:
    yield f"\n## airmass.{name}\n"
    if not callable(value):
        yield {"RECIPES": "Recipes by name: [Recipes](recipes.md).", "VARIABLES": "Variables by name: [Variables]"
               "(variables.md)."}.get(name, f"`{value!r}`")  # fmt: skip
        return
    yield f"```python\n{name}{signature(value)}\n```\n"
    yield from document(value)
    for part, method in inspect.getmembers(value) if inspect.isclass(value) else ():
        if not part.startswith("_") and (inspect.isfunction(method) or isinstance(method, property)) and method.__doc__:
            shown = "" if isinstance(method, property) else signature(method)
            yield f"\n**`{part}{shown}`**\n"
            yield from document(method)


def signature(value: object) -> str:
    try:
        text = str(inspect.signature(value))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return ""
    return re.sub(r"<([\w.]+)[^<>]*>", r"\1", text)


def document(value: object) -> Iterator[str]:
    """A docstring as text: lines are joined, paragraphs and lists kept."""
    for paragraph in re.split(r"\n\s*\n", inspect.getdoc(value) or ""):
        yield escaped(paragraph) + "\n"


def modules() -> Iterator[tuple[str, str]]:
    for found in pkgutil.walk_packages(airmass.__path__, "airmass."):
        if not found.name.endswith("__main__"):
            spec = importlib.util.find_spec(found.name)
            source = Path(spec.origin).read_text() if spec and spec.origin else ""  # not imported: some need an extra
            yield found.name, ast.get_docstring(ast.parse(source)) or ""


def words(text: object) -> str:
    """A docstring on one line, for a table."""
    return escaped(" ".join(str(text or "").split()))


def escaped(text: str) -> str:
    """Text in which nothing but code between backquotes is markup."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([\\*_|<>$\[\]{}#~])", r"\\\1", part) for part in parts)


def anchor(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def table(head: Row, rows: Iterable[Row]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(re.sub(r"(?<!\\)\|", r"\\|", cell.replace("\n", " ")) for cell in row) + " |"


PAGES = {
    "commands": ("Command line", commands),
    "python": ("Python", api),
    "recipes": ("Recipes", recipes),
    "settings": ("Settings of recipes", settings),
    "variables": ("Variables", variables),
    "metrics": ("Metrics", metrics),
    "losses": ("Losses", losses),
    "samplers": ("Samplers, optimisers, schedules", samplers),
}
