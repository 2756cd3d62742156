"""The command line. Each command imports what it needs when it runs, so that help is quick."""

import difflib
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from airmass.core.errors import InputError, one_line
from airmass.core.signals import number_of, stoppable

# Command -> (module with its `run`, one line of help).
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "Simulate, train, forecast, evaluate and plot, in minutes."),
    "simulate": ("simulate", "Simulate weather with a general circulation model."),
    "data ingest": ("data_ingest", "Take in archives and analyses of any origin as a store to train on."),
    "data names": ("data_names", "Show how each archive calls the quantities that airmass reads."),
    "data stats": ("data_stats", "Compute statistics and climatology of a store over training dates."),
    "data check": ("data_check", "List every problem of a store."),
    "data convert": ("data_convert", "Rewrite a store in the layout that airmass reads."),
    "initial": ("initial", "Make a checkpoint's initial state from archives and analyses."),
    "train": ("train", "Train a recipe on a store."),
    "plan": ("plan", "Estimate memory and time of training a recipe, without compiling."),
    "forecast": ("forecast", "Run a forecast from a checkpoint and an initial state."),
    "download": ("download", "Download published checkpoints, statistics and samples."),
    "inspect": ("inspect", "Show a checkpoint's kind, inputs and outputs, and its memory and time here."),
    "evaluate": ("evaluate", "Score forecasts against truth, persistence and climatology."),
    "track": ("track", "Track tropical cyclones, and verify the tracks against best tracks."),
    "plot": ("plot", "Plot maps, score curves and an animation of a forecast."),
    "view": ("view", "Show forecasts on a map in a browser, from one self-contained page."),
    "report": ("report", "Write one self-contained HTML page of scores and plots."),
    "doctor": ("doctor", "Show versions, devices, memory, and which commands lack a package."),
    "completion": ("completion", "Print a script that completes commands and options in a shell."),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status.

    0: done. 1: `data check` or `doctor` found a problem, or `initial --compare` a difference. 2: bad input. 70: a bug
    in airmass. 128 plus the signal's number: stopped (130 by Ctrl-C, 143 by SIGTERM); 130 by `train`, which saves.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    name, rest = _split(arguments)
    if name is None:
        return _without_command(arguments)
    try:
        with stoppable():
            _require_text(rest)
            status = _load(name)(rest) or 0
            sys.stdout.flush()
            return status
    except KeyboardInterrupt as stop:
        print(f"airmass {name}: {one_line(stop) or 'stopped; run the same command to resume'}", file=sys.stderr)
        return 128 + number_of(stop)
    except BrokenPipeError:  # the reader of the output has closed it, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        return _report_error(name, error)


def _report_error(name: str, error: Exception) -> int:
    """Print one line for an error in the input, a traceback for a bug; return the exit status."""
    if (words := _input_error(error)) is not None:
        print(f"airmass {name}: {one_line(words)}", file=sys.stderr)
        return 2
    traceback.print_exception(error)
    print(
        f"airmass {name}: this is a bug in airmass. Please report it, with the command and the lines above.",
        file=sys.stderr,
    )
    return 70


def _input_error(error: Exception) -> str | None:
    """Message of an error that the input or the machine caused; None for any other error."""
    match error:
        case InputError():
            return str(error)
        case OSError():
            names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
            return ": ".join([*names, error.strerror or str(error) or type(error).__name__])
        case MemoryError():
            return f"out of memory: {error}" if str(error) else "out of memory"
        case UnicodeError():
            return f"text that is not UTF-8: {error}"
        case RuntimeError() if str(error).startswith("RESOURCE_EXHAUSTED"):  # raised by JAX
            return f"out of memory: {str(error).partition(': ')[2]}"
        case RecursionError() if not _is_ours(error):
            return f"input is nested too deeply: {error}"
    return None


def _is_ours(error: Exception) -> bool:
    """True if an error was raised in this package itself, not in a library that it called."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and Path(frames[-1].filename).is_relative_to(Path(__file__).parents[1])


def _require_text(arguments: Sequence[str]) -> None:
    """Raise InputError unless all arguments are UTF-8, because names are written to files as text."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise InputError(f"{argument}: is not UTF-8 text") from None


def _without_command(arguments: list[str]) -> int:
    if arguments and arguments[0] == "--version":
        return _print_version()
    if not arguments or arguments[0] in ("-h", "--help"):
        return _print_help()
    words = " ".join(arguments[: 2 if arguments[0] == "data" else 1])
    near = difflib.get_close_matches(words, COMMANDS, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]!r}? " if near else ""
    print(f"airmass: unknown command {one_line(words)!r}; {hint}`airmass --help` lists them", file=sys.stderr)
    return 2


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
    for name, (_, summary) in COMMANDS.items():
        print(f"  {name:<{width}}  {summary}")
    return 0


def _print_version() -> int:
    import airmass

    print(f"airmass {airmass.__version__}")
    return 0
