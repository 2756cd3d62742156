"""Locks on folders, which the system releases when a process ends in any way."""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import BinaryIO

from airmass.core.errors import InputError
from airmass.core.reading import read_text

LOCK = ".airmass-lock"
# Lock files, which clearing a folder leaves in place.
LOCKS = (LOCK, "lock")
# Results of `hold` that are no lock.
HELD_BY_ANOTHER, NO_LOCKS = "held by another", "no locks"


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Lock `path` against other runs during the block, for an output that is written in place."""
    folder = path.with_name(f".{path.name}.lock-{os.uname().nodename}")
    lock = hold(folder)
    if lock is HELD_BY_ANOTHER:
        raise InputError(f"{path}: another run is writing it ({holder(folder / LOCK)})")
    with nullcontext() if isinstance(lock, str) else lock:
        try:
            yield
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def hold(folder: Path, name: str = LOCK) -> BinaryIO | str:
    """Lock a folder, created if absent, until the returned file is closed or the process ends.

    Returns HELD_BY_ANOTHER if another process has the lock, NO_LOCKS if the disk has no file locks.
    """
    while True:
        try:
            folder.mkdir(exist_ok=True)
        except FileNotFoundError as error:  # where no folder can be made, as in /proc
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(folder)) from error
        try:
            lock = (folder / name).open("a+b")
        except FileNotFoundError:  # the process that held the folder has just removed it
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still(lock, folder / name):
                _sign(lock)
                return lock
        except OSError as error:
            lock.close()
            return HELD_BY_ANOTHER if error.errno in (errno.EAGAIN, errno.EACCES) else NO_LOCKS
        lock.close()


def _sign(lock: BinaryIO) -> None:
    """Write process and host into a lock file."""
    with suppress(OSError):  # a full disk
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {os.uname().nodename}".encode())
        lock.flush()


def holder(lock: Path) -> str:
    """Process and host that hold a lock, as written in its file."""
    with suppress(InputError):
        return read_text(lock, most=1000) or "held by another process"
    return "held by another process"


def _is_still(lock: BinaryIO, path: Path) -> bool:
    """True unless the lock file was removed, with its folder, between being opened and being locked."""
    try:
        return os.path.samestat(os.fstat(lock.fileno()), path.stat())
    except FileNotFoundError:
        return False
