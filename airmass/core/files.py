"""Reading whole files within bounds, and writing so that nothing is left half-written: aside, then renamed."""

import errno
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from airmass.core.errors import InputError
from airmass.core.place import local_path

_REFUSALS = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR, errno.EFBIG}

# Far more than any JSON file of ours; a file beyond it is not what it was taken for.
_MOST_TEXT = 256 * 2**20


def open_regular(path: str | Path, most: int | None = None) -> BinaryIO:
    """Open a file to read its bytes. Raises InputError for what is absent, cannot be read, is no regular file (a
    folder, a pipe, a device), or holds more than `most` bytes."""
    try:
        # Without O_NONBLOCK, opening a pipe waits until somebody writes to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError:  # a NUL, or what the file system's encoding lacks
        raise InputError(f"{path}: is no name that a file can have") from None
    if problem := _unfit(os.fstat(descriptor), most):
        os.close(descriptor)
        raise InputError(f"{path}: {problem}")
    return os.fdopen(descriptor, "rb")


def _unfit(about: os.stat_result, most: int | None) -> str:
    if stat.S_ISDIR(about.st_mode):
        return "is a folder, expected a file"
    if not stat.S_ISREG(about.st_mode):
        return "is not a regular file"
    if most is not None and about.st_size > most:
        return f"holds {about.st_size} bytes, expected at most {most}"
    return ""


def read_text(path: str | Path, most: int = _MOST_TEXT) -> str:
    """The text of a regular UTF-8 file of at most `most` bytes; raises InputError for anything else."""
    with open_regular(path, most) as file:
        try:
            # Not all that a file may have grown to meanwhile.
            return file.read(most).decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path}: is not UTF-8 text: byte {error.start} is {error.object[error.start]:#04x}"
            ) from None
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from None


@contextmanager
def new_output(path: str | Path, replace: bool = False) -> Iterator[Path]:
    """Yield a path beside `path` to write a file or folder to; on success it is renamed to `path`.

    On any error, and on Ctrl-C, what was written is removed. Raises InputError when `path` exists (unless `replace`),
    its folder cannot be written, or the disk is full. `replace` swaps an existing output only once the new one is
    complete.
    """
    path = local_path(path, "output")
    if not replace:
        refuse_existing(path)
    room = _room(path)
    with writing(path):
        try:
            aside = room / path.name
            yield aside
            _swap(aside, path, room / f"{path.name}.old")
        except BaseException:
            remove_after_failure(room)
            raise
        shutil.rmtree(room, ignore_errors=True)


def _swap(new: Path, path: Path, old: Path) -> None:
    """Put `new` at `path`; a folder that stood there goes to `old`, and back again if that fails."""
    if path.is_dir():
        path.replace(old)
    try:
        new.replace(path)
    except BaseException:
        if old.exists():
            old.replace(path)
        raise


def _room(path: Path) -> Path:
    """A new folder beside `path`, on the same disk, so that the rename at the end is one step."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f".{path.name}.partial-", dir=path.parent))
    except OSError as error:
        raise InputError(f"{path}: cannot write: {error.strerror} ({error.filename})") from error


def remove_after_failure(room: Path) -> None:
    """Remove a folder that threads of a failed write may still fill or create anew, until it stays away."""
    quiet = 0
    for _ in range(50):
        shutil.rmtree(room, ignore_errors=True)
        time.sleep(0.05)
        quiet = 0 if room.exists() else quiet + 1
        if quiet == 4:
            return


def refuse_existing(path: str | Path) -> None:
    """Raise InputError if `path` exists, so that a command can say so before it starts long work."""
    if local_path(path, "output").exists():
        raise InputError(f"{path}: already exists; remove it or name another output")


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Turn a full disk or an unwritable folder into one InputError that names `path`."""
    try:
        yield
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        raise InputError(f"{path}: cannot write: {os.strerror(error.errno)}") from error


def write_arrays(path: str | Path, arrays: Mapping[str, np.ndarray], compress: bool = False) -> None:
    """Write named arrays as `.npz`, without pickle, to exactly `path`."""
    save = np.savez_compressed if compress else np.savez
    with Path(path).open("wb") as out:  # given a name, numpy would append .npz to it
        save(out, allow_pickle=False, **{str(name): np.asarray(array) for name, array in arrays.items()})


def write_durably(path: str | Path, text: str) -> None:
    """Replace a small file so that after a power cut it holds the old text or the new one, whole."""
    path = Path(path)
    aside = path.with_name(f"{path.name}.new")
    with aside.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    sync(path.parent)


def sync(*paths: Path) -> None:
    """Wait until files or folders are on the disk itself."""
    for path in paths:
        held = os.open(path, os.O_RDONLY)
        try:
            os.fsync(held)
        finally:
            os.close(held)


def exchange(new: Path, path: Path) -> None:
    """Put `new` at `path` and what stood there, if anything, at `new`, in one step where the system can.

    Where it cannot (anything but Linux, some network disks), there is a moment in which nothing stands at `path`.
    """
    if not path.exists():
        new.replace(path)
    elif not _exchanged(new, path):
        old = new.with_name(f"{new.name}.old")
        _swap(new, path, old)
        old.replace(new)
    sync(path.parent)


def _exchanged(a: Path, b: Path) -> bool:
    """Swap two names by renameat2, which Python does not offer; False where that is not to be had."""
    import ctypes

    here, swap = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    return rename is not None and rename(here, os.fsencode(a), here, os.fsencode(b), swap) == 0
