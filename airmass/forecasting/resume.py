"""Resumable output: an unfinished Zarr store in a folder beside its final path, and a record of the frames on disk.

`X.zarr.partial` holds the store and `progress.json`, which has the settings and the number of complete frames of each
initial time and member. A run that was stopped in any way resumes from there.
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
from airmass.core.files import made_parents, put, refuse_existing, remove_after_failure, sync, write_durably, writing
from airmass.core.locks import HELD_BY_ANOTHER, hold, holder
from airmass.core.strict_json import parse_json, read_json

# Attribute of a finished store with the settings that it was made with.
SETTINGS = "airmass_settings"

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class _Progress:
    """Contents of `progress.json`: the settings, and the number of complete frames of each initial time and member."""

    settings: dict[str, Any]
    whole: list[list[int]]


class ResumableOutput:
    """Output of a forecast to `out`, of `shape` (initial times, members), that can be resumed.

    With `add`, members are added to a finished store at `out`. Raises InputError, and changes nothing, if existing
    output was made with other settings (which are shown), and for a finished store without `add`.
    """

    def __init__(self, out: Path, settings: Settings, shape: tuple[int, int], steps: int, add: bool = False):
        self.out, self._shape, self._steps, self._add = out, shape, steps, add
        self._settings = json.loads(json.dumps(settings))  # as read back from JSON
        self.folder = folder_of(out)
        self.store = self.folder / out.name
        self._record = self.folder / "progress.json"
        self._written: Int[np.ndarray, "init_time member"] | None = None
        self._delete_if_done()
        self._read_existing()

    @property
    def begun(self) -> bool:
        """True if there is an unfinished store to resume."""
        return self._written is not None

    @property
    def done(self) -> int:
        """Number of frames that need not be computed."""
        return self._shape[0] * self._existing_members * self._steps if self._written is None else self._written_frames

    @property
    def _written_frames(self) -> int:
        return 0 if self._written is None else int(self._written.sum())

    def pending(self, row: int, most: int) -> Iterator[tuple[range, int]]:
        """Yield groups of at most `most` incomplete members of an initial time, and the number of frames they have."""
        assert self._written is not None
        counts, start = self._written[row].copy(), 0
        for end in range(1, len(counts) + 1):
            if end == len(counts) or counts[end] != counts[start] or end - start == most:
                if counts[start] < self._steps:
                    yield range(start, end), int(counts[start])
                start = end

    def record(self, row: int, members: range, frames: int) -> None:
        """Record that `frames` frames of these members are on disk."""
        assert self._written is not None
        self._written[row, members.start : members.stop] = frames
        self._write()

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Lock the folder for this run. If the run ends early, the folder stays unless it has no complete frame."""
        with writing(self.out), made_parents(self.out), locked(self.folder):
            try:
                self._read_existing()  # another run may have finished or resumed it meanwhile
                if not self.begun:
                    shutil.rmtree(self.store, ignore_errors=True)
                yield
            except BaseException:
                if self._written_frames <= self._shape[0] * self._existing_members * self._steps:
                    remove_after_failure(self.folder)
                raise

    def begin(self, names: Iterable[str]) -> None:
        """Start the record of a new store, and link the chunks of existing members of variables `names` into it."""
        if self._existing_members:
            for name in names:
                _link(self.out / name / "c", self.store / name / "c")
            os.sync()
        self._written = np.zeros(self._shape, int)
        self._written[:, : self._existing_members] = self._steps
        self._write()

    def finish(self) -> None:
        """Move the store to its final path.

        A store with added members replaces the old one, which is moved away first. If the run is killed in between, the
        complete new store is in the folder, and the same command moves it.
        """
        with writing(self.out):
            if self._existing_members:
                self.out.rename(self.folder / "replaced")
            put(self.store, self.out)
            sync(self.out.parent)
            shutil.rmtree(self.folder)

    def _read_existing(self) -> None:
        """Read the state of existing output. Raises InputError if this run cannot resume it."""
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
        """Complete frames by initial time and member; None if no store was started."""
        if not self._record.exists():
            return None
        record = read_json(self._record, _Progress)
        hint = "use the same options, or delete it to start over"
        _require_same(self.folder, record.settings, self._settings, "was started with", hint)
        rows, columns = self._shape
        counted = len(record.whole) == rows and all(len(row) == columns for row in record.whole)
        if not counted or not all(0 <= frames <= self._steps for row in record.whole for frames in row):
            raise InputError(f"{self._record}: has frame counts that do not fit this forecast; delete {self.folder}")
        return np.array(record.whole)

    def _members_to_add_to(self) -> int:
        if not self._add:
            refuse_existing(self.out)
        held = _settings_of(self.out)
        if held is None or not isinstance(held.get("members"), int):
            raise InputError(f"{self.out}: has no record of its settings, so members cannot be added")
        found, wanted = held["members"], self._settings["members"]
        _require_same(
            self.out, held | {"members": wanted}, self._settings, "was made with", "added members need the same options"
        )
        if found >= wanted:
            raise InputError(f"{self.out}: has {found} members already, so --members {wanted} adds none")
        return found

    def _delete_if_done(self) -> None:
        """Delete the folder left by a run that was stopped after it had moved its store to the final path."""
        if not (self._record.exists() and self.out.exists()):
            return
        if _settings_of(self.out) == read_json(self._record, _Progress).settings:
            with writing(self.out), locked(self.folder):
                shutil.rmtree(self.folder)


def folder_of(out: Path) -> Path:
    """Folder of the unfinished forecast to `out`."""
    return out.with_name(f"{out.name}.partial")


def _settings_of(path: Path) -> dict[str, Any] | None:
    """Settings that a finished store was made with; None if it has no record of them."""
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
    """Lock a folder for this process. The lock is released when the process ends, in any way."""
    lock = hold(folder, "lock")
    if lock is HELD_BY_ANOTHER:
        raise InputError(f"{folder}: another run is writing there ({holder(folder / 'lock')})")
    with nullcontext() if isinstance(lock, str) else lock:
        yield


def _link(old: Path, new: Path) -> None:
    """Hard-link the files of a folder into another one; copy them if the file system has no hard links."""
    for folder, _, names in os.walk(old):
        target = new / Path(folder).relative_to(old)
        target.mkdir(parents=True, exist_ok=True)
        for name in names:
            try:
                os.link(Path(folder, name), target / name)
            except OSError:
                shutil.copy2(Path(folder, name), target / name)


def require_room(path: Path, needed: int, what: str) -> None:
    """Raise InputError unless `needed` bytes and 2 % more fit on the disk of `path`."""
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    disk = shutil.disk_usage(folder)
    if disk.total and needed * 1.02 > disk.free:
        raise InputError(
            f"{path}: {what} to write need up to {needed / 1e9:,.2f} GB, but {disk.free / 1e9:,.2f} GB are free "
            f"in {folder}; free space, or use fewer --members, fewer --levels or a shorter --lead-time"
        )
