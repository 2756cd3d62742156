"""A store that grows time by time and can go on after a kill: beside its place, with a checksum of every frame.

`OUT.partial` holds the store, `plan.json` with what it is made of, and `done.jsonl` with a line for each whole time:
its index and the checksum of its chunks, held against the files when a run goes on.
"""

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from airmass.core.errors import InputError
from airmass.core.files import made_parents, put, remove_after_failure, sync, write_durably, writing
from airmass.core.locks import HELD_BY_ANOTHER, hold, holder
from airmass.core.reading import read_text
from airmass.core.strict_json import read_json
from airmass.data.formats.consolidation import consolidate

_STATIC = -1


class GrowingStore:
    """A Zarr store that is written beside `out`, and moved there when it is whole."""

    def __init__(self, out: Path, plan: Mapping[str, Any]):
        self.out, self.folder = out, out.with_name(f"{out.name}.partial")
        self.store = self.folder / out.name
        self._plan = json.loads(json.dumps(plan))
        self._journal = self.folder / "done.jsonl"
        self._lock = threading.Lock()
        self._whole: set[int] = set()

    @contextmanager
    def opened(self) -> Iterator[bool]:
        """Lock the folder, and tell whether there is a store to go on with.

        Raises InputError for one of another plan. On an error in the input, what this run began is removed; on a kill
        it stays.
        """
        with writing(self.out), made_parents(self.out):
            lock = hold(self.folder, "lock")
            if lock is HELD_BY_ANOTHER:
                raise InputError(f"{self.out}: another run is writing it ({holder(self.folder / 'lock')})")
            begun = (self.folder / "plan.json").exists()
            try:
                if begun:
                    self._require_same_plan()
                yield begun
            except InputError:
                if not begun:
                    remove_after_failure(self.folder)
                raise
            finally:
                if not isinstance(lock, str):
                    lock.close()

    def begin(self) -> None:
        """Record the plan of a store whose arrays have been made."""
        self._journal.write_text("")
        write_durably(self.folder / "plan.json", json.dumps(self._plan))

    def go_on(self, names: Sequence[str]) -> set[int]:
        """Indices of the times that are whole, after their checksums were held against the files."""
        for line in read_text(self._journal).splitlines():
            with_checksum = _parsed(line)
            if with_checksum is not None and self._checksum(names, with_checksum[0]) == with_checksum[1]:
                self._whole.add(with_checksum[0])
        return self._whole

    def record(self, names: Sequence[str], index: int) -> None:
        """Record that all variables of a time are on disk."""
        line = json.dumps([index, self._checksum(names, index)])
        with self._lock, self._journal.open("a") as journal:
            journal.write(line + "\n")
            self._whole.add(index)

    def finish(self) -> str:
        """Move the store to its place, and return its checksum.

        A store that was appended to replaces the old one, which is moved away first; if the run is killed in between,
        the same command moves the new one.
        """
        with writing(self.out):
            consolidate(self.store)
        digest = checksum(self.store)
        with writing(self.out):
            if self._plan.get("append"):
                if self.out.exists():
                    self.out.rename(self.folder / "replaced")
                self.store.rename(self.out)
            else:
                put(self.store, self.out)
            sync(self.out.parent)
            shutil.rmtree(self.folder)
        return digest

    def _require_same_plan(self) -> None:
        held = read_json(self.folder / "plan.json")
        if not isinstance(held, dict):
            raise InputError(f"{self.folder}: plan.json is no object; remove the folder")
        if different := [key for key in {**self._plan, **held} if self._plan.get(key) != held.get(key)]:
            key = different[0]
            raise InputError(
                f"{self.folder}: was begun with {key} {_short(held.get(key))}, now {_short(self._plan.get(key))}; "
                "remove it to begin again"
            )

    def _checksum(self, names: Sequence[str], index: int) -> str:
        digest = hashlib.sha256()
        for name in sorted(names):
            for file in _chunk_files(self.store / name / "c", index):
                digest.update(str(file.relative_to(self.store)).encode())
                digest.update(file.read_bytes())
        return digest.hexdigest()


def link_store(old: Path, new: Path, names: Sequence[str]) -> None:
    """A copy of a store whose chunks of the variables `names` are links to the old ones, which are never rewritten."""

    def copied(source: str, target: str) -> str:
        parts = Path(source).relative_to(old).parts
        linked = parts[0] in names and len(parts) > 2
        if not linked:
            return shutil.copy2(source, target)
        try:
            os.link(source, target)
        except OSError:  # a disk without hard links
            shutil.copy2(source, target)
        return target

    shutil.copytree(old, new, copy_function=copied)


def checksum(store: Path) -> str:
    """The SHA-256 of all files of a store and their names."""
    digest = hashlib.sha256()
    for file in sorted(path for path in store.rglob("*") if path.is_file()):
        digest.update(str(file.relative_to(store)).encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def write_frame(store: Path, name: str, index: int | None, values: np.ndarray) -> None:
    """Write one time of a variable, or the whole of one without times."""
    array = zarr.open_array(store, path=name, mode="r+", config={"write_empty_chunks": True})
    if index is None:
        array[...] = values
    else:
        array[index] = values


def _chunk_files(folder: Path, index: int) -> list[Path]:
    if index != _STATIC:
        folder = folder / str(index)
    if folder.is_file():
        return [folder]
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _parsed(line: str) -> tuple[int, str] | None:
    """A line of the journal, None for one that a kill cut off."""
    try:
        index, digest = json.loads(line)
        return int(index), str(digest)
    except (ValueError, TypeError):
        return None


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 100 else f"{text[:100]} ..."
