"""What an initial state needs of a service, the files that are kept of it, and what is refused."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from airmass.core.errors import InputError
from airmass.core.files import made_parents, write_durably, writing
from airmass.core.locks import alone
from airmass.core.reading import read_text
from airmass.data.formats.layout import minute
from airmass.data.formats.reading import error_line
from airmass.data.ingest.formulas import formulas_for
from airmass.data.ingest.pieces import Reading, pieces_of
from airmass.fields.names import known_names
from airmass.fields.task import Task
from airmass.fields.variables import VARIABLES

SUMMED = "total_precipitation"
_HOUR = np.timedelta64(1, "h")

T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True)
class Wanted:
    """A variable of an initial state, at `times` and on `levels`, hPa, () off levels.

    `ways` are the sets of quantities that give it, the preferred first; `hours` is the window of a sum, else 0.
    """

    variable: str
    ways: tuple[tuple[str, ...], ...]
    levels: tuple[int, ...]
    times: tuple[np.datetime64, ...]
    hours: int = 0


def wanted_fields(names: Sequence[str], task: Task, times: np.ndarray) -> list[Wanted]:
    """Each variable at the times of a history; static ones at the last."""
    found = []
    for name in names:
        known = VARIABLES[name]
        summed = name.startswith(SUMMED)
        ways = ((SUMMED,),) if summed else ((name,), *(formula.inputs for formula in formulas_for(name)))
        hours = (known.accumulation_hours or 0) if summed else 0
        levels = tuple(task.levels) if known.on_levels else ()
        found.append(Wanted(name, ways, levels, tuple(times[-1:] if known.static else times), hours))
    return found


class Absent(Exception):
    """A field that a service does not have, in words."""


class Service(ABC):
    """A service, by its word on the command line; `centre` is WMO's name of who makes the analyses."""

    name: str
    title: str
    centre: str
    licence: str
    # Hours over which precipitation is summed where its files do not tell.
    accumulation: int | None = None

    @abstractmethod
    def require(self) -> None:
        """Raise InputError, with the extra that brings it, for a missing package."""

    @abstractmethod
    def files(self, wanted: Sequence[Wanted], downloads: "Downloads") -> list[Path]:
        """Download the fields, and nothing else; raises InputError for what the service lacks."""


class FieldService(Service, Generic[T]):
    """A service whose files are forecasts from a time, from which single fields are read."""

    # Its names of quantities.
    params: dict[str, str]

    @abstractmethod
    def take(self, field: "Field", downloads: "Downloads") -> Iterable[T]:
        """Parts of files that give one quantity; raises Absent where the service lacks it at a time or level."""

    @abstractmethod
    def fetch(self, taken: Sequence[T], downloads: "Downloads") -> list[Path]:
        """The files of all that was taken."""

    def files(self, wanted: Sequence[Wanted], downloads: "Downloads") -> list[Path]:
        self._require_times(wanted)
        every = [(one, time) for one in wanted for time in one.times]
        taken: dict[T, None] = {}
        for done, (one, time) in enumerate(every):
            downloads.tell(done, len(every), f"{one.variable} {minute(time)}")
            taken |= dict.fromkeys(self._any_way(one, time, downloads))
        return self.fetch(list(taken), downloads)

    def _require_times(self, wanted: Sequence[Wanted]) -> None:
        for one in wanted:
            for time in one.times:
                if (time - np.datetime64("2000-01-01")) % (6 * _HOUR) or one.hours % 6:
                    raise InputError(
                        f"{self.name}: {one.variable} at {minute(time)}; it has analyses at 00, 06, 12 and 18 UTC"
                    )

    def _any_way(self, one: Wanted, time: np.datetime64, downloads: "Downloads") -> list[T]:
        """Parts of files that give a variable, by the first way that the service has."""
        lacking = []
        for way in one.ways:
            if not all(quantity in self.params for quantity in way):
                continue
            fields = [Field(quantity, one.levels, time - one.hours * _HOUR, one.hours) for quantity in way]
            try:
                return [part for field in fields for part in self.take(field, downloads)]
            except Absent as error:
                lacking.append(str(error))
        raise InputError(
            f"{self.name}: has no {one.variable} at {minute(time)}{''.join(f': {words}' for words in lacking[:1])}; "
            f"give a file that has it beside {self.name}"
        )


@dataclass(frozen=True)
class Field:
    """One quantity of a forecast from `start` at `lead` hours; an analysis has lead 0."""

    quantity: str
    levels: tuple[int, ...]
    start: np.datetime64
    lead: int

    @property
    def valid(self) -> np.datetime64:
        return self.start + self.lead * _HOUR

    def __str__(self) -> str:
        at = f" {self.lead} h" if self.lead else ""
        return f"{self.quantity} of {minute(self.start)}{at}"


@dataclass(frozen=True)
class Downloads:
    """A folder in which downloaded files are kept: a file that is there, whole, is not fetched again.

    `tell` gets what is done, how much there is, and words; `server` replaces the service's own address.
    """

    folder: Path
    server: str | None = None
    tell: Callable[[int, int, str], None] = lambda done, whole, words: None

    def keep(self, name: str, request: object, fetch: Callable[[Path], None], check: Callable[[Path], None]) -> Path:
        """The file of a request; `fetch` writes it to a path that may hold the first part, `check` raises InputError.

        `name` is for people: a hash of the request makes it unique.
        """
        text = json.dumps([request, self.server], default=str)
        stem, dot, suffix = name.rpartition(".")
        path = self.folder / f"{stem}-{hashlib.sha256(text.encode()).hexdigest()[:8]}{dot}{suffix}"
        note = path.with_name(f"{path.name}.json")
        if path.is_file() and note.is_file() and _digest_of(note) == digest(path):
            return path
        with writing(path), made_parents(path), alone(path):
            part = path.with_name(f"{path.name}.part")
            fetch(part)
            try:
                check(part)
            except InputError:
                part.unlink(missing_ok=True)
                raise
            write_durably(note, json.dumps({"request": request, "sha256": digest(part)}, default=str))
            part.replace(path)
        return path


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest_of(note: Path) -> object:
    try:
        held = json.loads(read_text(note, most=2**20))
    except ValueError:
        return None
    return held.get("sha256") if isinstance(held, dict) else None


def require_fields(service: str, path: Path, asked: Mapping[str, Sequence[int]], times: Sequence) -> None:
    """Raise InputError unless a file holds the quantities asked for, at their levels (hPa), at every time."""
    try:
        pieces = pieces_of(path, Reading(known_names()))
    except InputError as error:
        raise InputError(f"{service}: what the server sent cannot be used: {error_line(error)}") from None
    for quantity, levels in asked.items():
        for time in map(np.datetime64, times):
            held = [p for p in pieces if p.quantity.name == quantity and (not p.has_time or time in p.times)]
            missing = [level for level in levels if not any(p.has_levels(time, [float(level)]) for p in held)]
            if not held or missing:
                at = f" at {missing[0]} hPa" if missing else ""
                there = ", ".join(sorted({p.quantity.name for p in pieces}))
                raise InputError(
                    f"{service}: the server sent {there} without {quantity}{at} at {minute(time)}, which was asked for"
                )
