"""Files written to a temporary path that is then renamed, so never half-written."""

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np

from airmass.core.errors import InputError
from airmass.core.locks import HELD_BY_ANOTHER, LOCK, LOCKS, NO_LOCKS, hold, holder
from airmass.core.place import is_url, local_path

_REFUSALS = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EACCES,
    errno.EROFS,
    errno.EPERM,
    errno.ENOTDIR,
    errno.EFBIG,
}
_REFUSALS |= {errno.ENAMETOOLONG, errno.ELOOP, errno.EIO}


@contextmanager
def new_output(path: str | Path, replace: bool = False) -> Iterator[Path]:
    """Yield a path to write a file or folder to; on success it is renamed to `path`.

    The yielded path is in a hidden folder beside `path`, `.NAME.partial-HOST`, that this process locks. On any error or
    interrupt the partial output is removed. What a killed process left is cleared by the next run to the same output,
    since the system releases the lock. Folders of other hosts are left: on some network disks a lock holds on one host
    only. Raises InputError when `path` exists or appears meanwhile (unless `replace`, for files and empty folders),
    another run is writing it, its folder cannot be written, or the disk is full.
    """
    path = local_path(path, "output")
    if not replace:
        refuse_existing(path)
    with writing(path), made_parents(path), _temporary_folder(path, alone=not replace) as folder:
        aside = folder / path.name
        yield aside
        put(aside, path, replace)


@contextmanager
def _temporary_folder(path: Path, alone: bool) -> Iterator[Path]:
    """A temporary folder beside `path`: on the same disk, so that the rename at the end is atomic.

    With `alone`, raises InputError if another process has it; otherwise a second folder is made.
    """
    folder = path.with_name(f".{path.name}.partial-{os.uname().nodename}")
    lock = hold(folder)
    if lock is HELD_BY_ANOTHER and alone:
        raise InputError(f"{path}: another run is writing it ({holder(folder / LOCK)})")
    if lock is NO_LOCKS:
        shutil.rmtree(folder, ignore_errors=True)
    if isinstance(lock, str):
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.partial-", dir=path.parent))
    with ExitStack() as stack:
        if not isinstance(lock, str):
            stack.enter_context(lock)
        try:
            _clear(folder)
            yield folder
        except BaseException:
            remove_after_failure(folder)
            raise
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def made_parents(path: Path) -> Iterator[None]:
    """Make the folders above `path`; if the block fails, those that were made are removed again if empty."""
    absent = [parent for parent in path.parents if _identity(parent) is None]
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{path}: cannot write: {error.strerror} ({error.filename})") from error
        yield
    except BaseException:
        for parent in absent:
            with suppress(OSError):
                parent.rmdir()
        raise


def put(new: Path, path: Path, replace: bool = False) -> None:
    """Rename `new` to `path`; raises InputError if `path` exists.

    With `replace`, an existing file or empty folder is replaced.
    """
    try:
        if replace:
            new.replace(path)
        elif not new.is_dir():
            _put_file(new, path)
        elif os.path.lexists(path):  # rename would replace an empty folder
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        else:
            new.rename(path)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            raise
        raise InputError(f"{path}: was created by another process meanwhile, and is left as it is") from None


def _put_file(new: Path, path: Path) -> None:
    try:
        os.link(new, path)  # unlike a rename, never replaces a file
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
        # A disk without hard links: reserve the name first.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        new.replace(path)
    else:
        new.unlink()


def remove_after_failure(room: Path) -> None:
    """Remove a folder once nothing more appears in it: threads of a failed write may still be writing there."""
    quiet = 0
    for _ in range(50):
        _clear(room)
        time.sleep(0.05)
        quiet = 0 if _contents(room) else quiet + 1
        if quiet == 4:
            break
    shutil.rmtree(room, ignore_errors=True)


def _clear(room: Path) -> None:
    """Remove everything but the lock."""
    for path in _contents(room):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _contents(room: Path) -> list[Path]:
    return [path for path in room.iterdir() if path.name not in LOCKS] if room.exists() else []


def refuse_existing(path: str | Path, *inputs: str | Path | None) -> None:
    """Raise InputError if `path` exists or is inside one of the local `inputs`; for checks before long work."""
    refuse_inside(path, *inputs)
    if os.path.lexists(local_path(path, "output")):
        raise InputError(f"{path}: already exists; remove it or name another output")


def refuse_inside(path: str | Path, *inputs: str | Path | None) -> None:
    """Raise InputError if the output `path` is, contains or is inside one of `inputs`, through links and mounts too."""
    path = local_path(path, "output")
    for given in inputs:
        if given is None or is_url(given):
            continue
        if _within(path, given):
            raise InputError(f"{path}: is or lies in the input {given}; name another output")
        if _within(given, path):
            raise InputError(f"{path}: contains the input {given}; name another output")


def _within(path: str | Path, folder: str | Path) -> bool:
    """True if `path`, which need not exist, is `folder` or inside it."""
    if "\0" in str(path):
        return False  # not a name that a file can have: its reader raises for it
    resolved = Path(os.path.realpath(path))
    sought = _identity(folder)
    return sought is not None and any(_identity(parent) == sought for parent in (resolved, *resolved.parents))


def _identity(path: str | Path) -> tuple[int, int] | None:
    """Device and inode of an existing file or folder, the same for all of its names; None if absent."""
    try:
        status = os.stat(path)  # noqa: PTH116
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Turn a full disk or an unwritable folder into one InputError that names `path`."""
    try:
        yield
    except OSError as error:
        if error.errno not in _REFUSALS or not _concerns(error, Path(path)):
            raise
        raise InputError(f"{path}: cannot write: {os.strerror(error.errno)}") from error


def _concerns(error: OSError, path: Path) -> bool:
    """True if an error names `path`, a folder above it, or a temporary file beside it (or names no file)."""
    if not isinstance(error.filename, str | bytes):
        return True
    named, output = Path(os.fsdecode(error.filename)).absolute(), path.absolute()
    if output.is_relative_to(named):
        return True
    return named.is_relative_to(output.parent) and output.name in named.relative_to(output.parent).parts[0]


def write_arrays(path: str | Path, arrays: Mapping[str, np.ndarray], compress: bool = False) -> None:
    """Write named arrays as `.npz`, without pickle, to exactly `path`."""
    save = np.savez_compressed if compress else np.savez
    with Path(path).open("wb") as out:  # given a path, numpy would append .npz to it
        save(out, allow_pickle=False, **{str(name): np.asarray(array) for name, array in arrays.items()})


def write_durably(path: str | Path, text: str) -> None:
    """Replace a small text file atomically: after a power cut it has the old text or the new one."""
    path = Path(path)
    aside = path.with_name(f"{path.name}.new")
    with aside.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    sync(path.parent)


def sync(*paths: Path) -> None:
    """Flush files or folders to the disk."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
