"""The command line. Each command imports what it needs when it runs, so that help is quick."""

import sys
from collections.abc import Callable, Sequence

from airmass.core.errors import InputError, one_line
from airmass.core.memory import use_huge_pages

# Command -> (module with its `run`, what it does).
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "Simulate, train, forecast, judge and look: all of it, in minutes."),
    "simulate": ("simulate", "Make data with a general circulation model."),
    "data stats": ("data_stats", "Means, spreads and climatology of a store over training dates."),
    "data check": ("data_check", "Say all that is wrong with a store."),
    "data convert": ("data_convert", "Rewrite a store in the layout that airmass reads."),
    "train": ("train", "Train a recipe on a store."),
    "plan": ("plan", "What training a recipe takes, before anything is compiled."),
    "forecast": ("forecast", "Forecast from a checkpoint and an initial state."),
    "inspect": ("inspect", "What a checkpoint is, needs and produces, and what it takes to run here."),
    "evaluate": ("evaluate", "Score forecasts against truth, persistence and climatology."),
    "plot": ("plot", "Maps, curves and an animation of a forecast."),
    "report": ("report", "One self-contained HTML page of scores and pictures."),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 well, 1 found wrong, 2 refused, 130 stopped by hand."""
    from_shell = arguments is None
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    name, rest = _split(arguments)
    if name is None:
        asked = not arguments or arguments[0] in ("-h", "--help")
        if arguments and arguments[0] == "--version":
            return _print_version()
        if not asked:
            print(f"airmass: unknown command {' '.join(arguments[:2])!r}; `airmass --help` lists them", file=sys.stderr)
            return 2
        return _print_help()
    if from_shell:
        use_huge_pages()
    try:
        return _load(name)(rest) or 0
    except InputError as error:
        print(f"airmass {name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        print(f"airmass {name}: {one_line(stop) or 'stopped; the same command goes on'}", file=sys.stderr)
        return 130


def _split(arguments: list[str]) -> tuple[str | None, list[str]]:
    for words in (2, 1):
        name = " ".join(arguments[:words])
        if len(arguments) >= words and name in COMMANDS:
            return name, arguments[words:]
    return None, arguments


def _load(name: str) -> Callable[[list[str]], int | None]:
    import importlib

    return importlib.import_module(f"airmass.commands.{COMMANDS[name][0]}").run


def _print_help() -> int:
    width = max(map(len, COMMANDS))
    print("usage: airmass COMMAND [options]    (airmass COMMAND --help for its options)\n")
    for name, (_, what) in COMMANDS.items():
        print(f"  {name:<{width}}  {what}")
    return 0


def _print_version() -> int:
    import airmass

    print(f"airmass {airmass.__version__}")
    return 0
