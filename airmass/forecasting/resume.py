"""A forecast in the making: a Zarr store that grows in a folder beside its place, and a record of what is whole.

`X.zarr.partial` holds the store and `progress.json`: the settings, and how many frames of each initial time and member
are on disk. A run that was stopped in any way is continued from there.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from jaxtyping import Int

from airmass.core.errors import InputError
from airmass.core.files import exchange, refuse_existing, remove_after_failure, write_durably, writing

# The attribute of a finished store that says what made it.
SETTINGS = "airmass_settings"

Settings = Mapping[str, Any]


class Partial:
    """What is there of a forecast to `out`, of `shape` (initial times, members).

    With `add`, a finished store at `out` is to gain members. Raises InputError, with nothing changed, where what is
    there was made with other settings, showing the difference, and for a finished store without `add`.
    """

    def __init__(self, out: Path, settings: Settings, shape: tuple[int, int], steps: int, add: bool = False):
        self.out, self._shape, self._steps = out, shape, steps
        self._settings = json.loads(json.dumps(settings))  # as it is when read again
        self.folder = folder_of(out)
        self.store = self.folder / out.name
        self._record = self.folder / "progress.json"
        self._forget_if_done()
        self._held = self._members_to_add_to(add) if out.exists() else 0
        if add and not self._held and not self._record.exists():
            raise InputError(f"{out}: no such forecast to add members to")
        self._whole = self._read()

    @property
    def begun(self) -> bool:
        """Whether there is a store to go on with."""
        return self._whole is not None

    @property
    def done(self) -> int:
        """How many frames need not be computed."""
        return self._shape[0] * self._held * self._steps if self._whole is None else int(self._whole.sum())

    def pending(self, row: int, most: int) -> Iterator[tuple[range, int]]:
        """Members of an initial time that are not whole, at most `most` at once, and the frames they all have."""
        assert self._whole is not None
        counts, start = self._whole[row].copy(), 0
        for end in range(1, len(counts) + 1):
            if end == len(counts) or counts[end] != counts[start] or end - start == most:
                if counts[start] < self._steps:
                    yield range(start, end), int(counts[start])
                start = end

    def note(self, row: int, members: range, frames: int) -> None:
        """Remember that so many frames of these members are on the disk."""
        assert self._whole is not None
        self._whole[row, members.start : members.stop] = frames
        self._write()

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Keep the folder to this run; what is in it stays when the run ends early, unless no frame is whole yet."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{self.out}: cannot write: {error.strerror} ({error.filename})") from error
        with writing(self.out), _locked(self.folder):
            self._whole = self._read()
            if not self.begun:
                shutil.rmtree(self.store, ignore_errors=True)
            try:
                yield
            except BaseException:
                if self.done <= self._shape[0] * self._held * self._steps:
                    remove_after_failure(self.folder)
                raise

    def begin(self, names: Iterable[str]) -> None:
        """Record the new store, into which the chunks of variables `names` of members to add to are linked."""
        if self._held:
            for name in names:
                _link(self.out / name / "c", self.store / name / "c")
            os.sync()
        self._whole = np.zeros(self._shape, int)
        self._whole[:, : self._held] = self._steps
        self._write()

    def finish(self) -> None:
        """Put the store in its place; an older one that it holds goes."""
        with writing(self.out):
            exchange(self.store, self.out)
            shutil.rmtree(self.folder)

    def _write(self) -> None:
        assert self._whole is not None
        write_durably(self._record, json.dumps({"settings": dict(self._settings), "whole": self._whole.tolist()}))

    def _read(self) -> Int[np.ndarray, "init_time member"] | None:
        """Frames by initial time and member, None where no store was begun."""
        if not self._record.exists():
            return None
        held = json.loads(self._record.read_text())
        _require_same(
            self.folder, held["settings"], self._settings, "was begun with", "give those, or remove it to start anew"
        )
        return np.array(held["whole"])

    def _members_to_add_to(self, add: bool) -> int:
        if not add:
            refuse_existing(self.out)
        held = _settings_of(self.out)
        if held is None:
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
        begun = json.loads(self._record.read_text())["settings"]
        if _settings_of(self.out) == begun:
            with writing(self.out), _locked(self.folder):
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
    return json.loads(text) if isinstance(text, str) else None


def _require_same(path: Path, held: Settings, wanted: Settings, words: str, hint: str) -> None:
    differ = [
        f"{name} {held.get(name)}, now {wanted.get(name)}"
        for name in dict.fromkeys([*held, *wanted])
        if held.get(name) != wanted.get(name)
    ]
    if differ:
        raise InputError(f"{path}: {words} {'; '.join(differ)}; {hint}")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder to this process; the lock goes with it, however it ends."""
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{folder}: another run is writing there") from None
        except OSError:  # a disk that knows no locks
            pass
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
