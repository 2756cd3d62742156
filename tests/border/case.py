"""One bad input: how it is made, the commands that could meet it, and what their one line must say."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.border.healthy import Home

# Makes a bad input in an empty folder and returns what a person would name on the command line.
Make = Callable[[Home, Path], Path | str]


@dataclass(frozen=True)
class Case:
    """A bad input and all that must be said of it.

    `ways` are commands, by their names in `commands.WAYS`. Besides the input's own name, the line must contain every
    one of `words`, in small letters; with `named` off the name may be missing. `options` go at the end of the command.
    In a process of its own runs what may wait for ever or take all memory (`alone`).
    """

    name: str
    make: Make
    ways: tuple[str, ...]
    words: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    named: bool = True
    alone: bool = False


def changed(kind: str, copy: Make, faults: Sequence[tuple], ways: tuple[str, ...]) -> list[Case]:
    """Cases of one kind: a copy of a healthy input, and a change to it.

    A fault is (name, change of the copy, words), and may name its own ways last.
    """
    return [
        Case(f"{kind}: {name}", _then(copy, change), *(own or (ways,)), words=words)
        for name, change, words, *own in faults
    ]


def _then(copy: Make, change: Callable[[Path], object]) -> Make:
    def make(home: Home, folder: Path) -> Path | str:
        bad = copy(home, folder)
        change(Path(bad))
        return bad

    return make
