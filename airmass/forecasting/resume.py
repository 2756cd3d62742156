"""A forecast in the making: a Zarr store that grows in a folder beside its place, and a record of what is whole.

`X.zarr.partial` holds the store and `progress.json`: the settings, and how many frames of each initial time and member
are on disk. A run that was stopped in any way is continued from there.
"""

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from jaxtyping import Int

from airmass.core.errors import InputError
from airmass.core.files import (
    HELD_BY_ANOTHER,
    hold,
    holder,
    made_parents,
    put,
    refuse_existing,
    remove_after_failure,
    sync,
    write_durably,
    writing,
)
from airmass.core.strict_json import parse_json, read_json

# The attribute of a finished store that says what made it.
SETTINGS = "airmass_settings"

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class _Progress:
    """The record: what a forecast is made with, and how many frames are whole of each initial time and member."""

    settings: dict[str, Any]
    whole: list[list[int]]


class ResumableOutput:
    """What is there of a forecast to `out`, of `shape` (initial times, members).

    With `add`, a finished store at `out` is to gain members. Raises InputError, with nothing changed, where what is
    there was made with other settings, showing the difference, and for a finished store without `add`.
    """

    def __init__(self, out: Path, settings: Settings, shape: tuple[int, int], steps: int, add: bool = False):
        self.out, self._shape, self._steps, self._add = out, shape, steps, add
        self._settings = json.loads(json.dumps(settings))  # as it is when read again
        self.folder = folder_of(out)
        self.store = self.folder / out.name
        self._record = self.folder / "progress.json"
        self._written: Int[np.ndarray, "init_time member"] | None = None
        self._forget_if_done()
        self._look()

    @property
    def begun(self) -> bool:
        """Whether there is a store to go on with."""
        return self._written is not None

    @property
    def done(self) -> int:
        """How many frames need not be computed."""
        return self._shape[0] * self._existing_members * self._steps if self._written is None else self._written_frames

    @property
    def _written_frames(self) -> int:
        return 0 if self._written is None else int(self._written.sum())

    def pending(self, row: int, most: int) -> Iterator[tuple[range, int]]:
        """Members of an initial time that are not whole, at most `most` at once, and the frames they all have."""
        assert self._written is not None
        counts, start = self._written[row].copy(), 0
        for end in range(1, len(counts) + 1):
            if end == len(counts) or counts[end] != counts[start] or end - start == most:
                if counts[start] < self._steps:
                    yield range(start, end), int(counts[start])
                start = end

    def record(self, row: int, members: range, frames: int) -> None:
        """Remember that so many frames of these members are on the disk."""
        assert self._written is not None
        self._written[row, members.start : members.stop] = frames
        self._write()

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Keep the folder to this run; what is in it stays when the run ends early, unless no frame is whole yet."""
        with writing(self.out), made_parents(self.out), locked(self.folder):
            try:
                self._look()  # another run may have finished, or gone on, meanwhile
                if not self.begun:
                    shutil.rmtree(self.store, ignore_errors=True)
                yield
            except BaseException:
                if self._written_frames <= self._shape[0] * self._existing_members * self._steps:
                    remove_after_failure(self.folder)
                raise

    def begin(self, names: Iterable[str]) -> None:
        """Record the new store, into which the chunks of variables `names` of members to add to are linked."""
        if self._existing_members:
            for name in names:
                _link(self.out / name / "c", self.store / name / "c")
            os.sync()
        self._written = np.zeros(self._shape, int)
        self._written[:, : self._existing_members] = self._steps
        self._write()

    def finish(self) -> None:
        """Put the store in its place. One that gained members is moved away first: a run that is killed just then
        leaves the new one whole in the folder, and the same command puts it there."""
        with writing(self.out):
            if self._existing_members:
                self.out.rename(self.folder / "replaced")
            put(self.store, self.out)
            sync(self.out.parent)
            shutil.rmtree(self.folder)

    def _look(self) -> None:
        """See what is there. Raises InputError for what this run may not go on with."""
        self._existing_members = 0
        if os.path.lexists(self.out):
            self._existing_members = self._members_to_add_to()
        elif self._add and not self._record.exists():
            raise InputError(f"{self.out}: no such forecast to add members to")
        self._written = self._read()

    def _write(self) -> None:
        assert self._written is not None
        write_durably(self._record, json.dumps({"settings": self._settings, "whole": self._written.tolist()}))

    def _read(self) -> Int[np.ndarray, "init_time member"] | None:
        """Frames by initial time and member, None where no store was begun."""
        if not self._record.exists():
            return None
        begun = read_json(self._record, _Progress)
        hint = "give those, or remove it to start anew"
        _require_same(self.folder, begun.settings, self._settings, "was begun with", hint)
        rows, columns = self._shape
        counted = len(begun.whole) == rows and all(len(row) == columns for row in begun.whole)
        if not counted or not all(0 <= frames <= self._steps for row in begun.whole for frames in row):
            raise InputError(f"{self._record}: counts other frames than this forecast has; remove {self.folder}")
        return np.array(begun.whole)

    def _members_to_add_to(self) -> int:
        if not self._add:
            refuse_existing(self.out)
        held = _settings_of(self.out)
        if held is None or not isinstance(held.get("members"), int):
            raise InputError(f"{self.out}: does not say what made it, so no members can be added")
        found, wanted = held["members"], self._settings["members"]
        _require_same(self.out, held | {"members": wanted}, self._settings, "was made with", "members need the same")
        if found >= wanted:
            raise InputError(f"{self.out}: holds {found} members already, and --members {wanted} adds none")
        return found

    def _forget_if_done(self) -> None:
        """Remove what a run left that was stopped after its store had come into place."""
        if not (self._record.exists() and self.out.exists()):
            return
        if _settings_of(self.out) == read_json(self._record, _Progress).settings:
            with writing(self.out), locked(self.folder):
                shutil.rmtree(self.folder)


def folder_of(out: Path) -> Path:
    """Where a forecast to `out` grows."""
    return out.with_name(f"{out.name}.partial")


def _settings_of(path: Path) -> dict[str, Any] | None:
    """What made a finished store, None where it does not say."""
    try:
        text = zarr.open_group(path, mode="r").attrs.get(SETTINGS)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: cannot be read as a Zarr store: {error}") from error
    return parse_json(text, dict[str, Any], f"{path}: attribute {SETTINGS}") if isinstance(text, str) else None


def _require_same(path: Path, held: Settings, wanted: Settings, words: str, hint: str) -> None:
    differ = [
        f"{name} {held.get(name)}, now {wanted.get(name)}"
        for name in dict.fromkeys([*held, *wanted])
        if held.get(name) != wanted.get(name)
    ]
    if differ:
        raise InputError(f"{path}: {words} {'; '.join(differ)}; {hint}")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder to this process; the lock goes with it, however it ends."""
    lock = hold(folder, "lock")
    if lock is HELD_BY_ANOTHER:
        raise InputError(f"{folder}: another run is writing there ({holder(folder / 'lock')})")
    with nullcontext() if isinstance(lock, str) else lock:
        yield


def _link(old: Path, new: Path) -> None:
    """The files of a folder under another one too, without a second copy where the disk allows that."""
    for folder, _, names in os.walk(old):
        target = new / Path(folder).relative_to(old)
        target.mkdir(parents=True, exist_ok=True)
        for name in names:
            try:
                os.link(Path(folder, name), target / name)
            except OSError:
                shutil.copy2(Path(folder, name), target / name)


def require_room(path: Path, needed: int, what: str) -> None:
    """Raise InputError where `needed` bytes and a fiftieth more do not fit on the disk of `path`."""
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    disk = shutil.disk_usage(folder)
    if disk.total and needed * 1.02 > disk.free:
        raise InputError(
            f"{path}: {what} still to come take up to {needed / 1e9:,.2f} GB, but {disk.free / 1e9:,.2f} GB are free "
            f"in {folder}; free some, or ask for fewer --members, fewer --levels or a shorter --lead-time"
        )
