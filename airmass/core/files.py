"""Reading whole files within bounds, and writing so that nothing is left half-written: aside, then renamed."""

import errno
import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np

from airmass.core.errors import InputError
from airmass.core.place import is_url, local_path

_REFUSALS = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR, errno.EFBIG}
_REFUSALS |= {errno.ENAMETOOLONG, errno.ELOOP, errno.EIO}

LOCK = ".airmass-lock"
# Of folders that more than one name is used for; what is cleared keeps them.
LOCKS = (LOCK, "lock")

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
    """Yield a path to write a file or folder to; on success it is renamed to `path`.

    It lies in a hidden folder beside `path`, `.NAME.partial-HOST`, that this process holds by a lock. On any error, and
    when the process is asked to stop, what was written is removed; what a killed process left, the next run to the same
    output clears, since the system gives its lock back. Folders of other hosts are left: some network disks keep locks
    to the host. Raises InputError when `path` exists or appears meanwhile (unless `replace`, for files and empty
    folders), another run is writing it, its folder cannot be written, or the disk is full.
    """
    path = local_path(path, "output")
    if not replace:
        refuse_existing(path)
    with writing(path), made_parents(path), _room(path, alone=not replace) as room:
        aside = room / path.name
        yield aside
        put(aside, path, replace)


@contextmanager
def _room(path: Path, alone: bool) -> Iterator[Path]:
    """A folder beside `path`, on the same disk, so that the rename at the end is one step; `alone` nobody else has."""
    room = path.with_name(f".{path.name}.partial-{os.uname().nodename}")
    held = hold(room)
    if held is HELD_BY_ANOTHER and alone:
        raise InputError(f"{path}: another run is writing it ({holder(room / LOCK)})")
    if held is NO_LOCKS:
        shutil.rmtree(room, ignore_errors=True)
    if isinstance(held, str):
        room = Path(tempfile.mkdtemp(prefix=f".{path.name}.partial-", dir=path.parent))
    with ExitStack() as stack:
        if not isinstance(held, str):
            stack.enter_context(held)
        try:
            _clear(room)
            yield room
        except BaseException:
            remove_after_failure(room)
            raise
        shutil.rmtree(room, ignore_errors=True)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep other runs from writing `path` meanwhile, for an output that grows in its place."""
    folder = path.with_name(f".{path.name}.lock-{os.uname().nodename}")
    held = hold(folder)
    if held is HELD_BY_ANOTHER:
        raise InputError(f"{path}: another run is writing it ({holder(folder / LOCK)})")
    with nullcontext() if isinstance(held, str) else held:
        try:
            yield
        finally:
            shutil.rmtree(folder, ignore_errors=True)


# In place of a held lock.
HELD_BY_ANOTHER, NO_LOCKS = "held by another", "no locks"


def hold(folder: Path, name: str = LOCK) -> BinaryIO | str:
    """Hold a folder, made where there is none, until the file returned is closed or the process ends in any way.

    HELD_BY_ANOTHER in place of it where another process holds the folder, NO_LOCKS where its disk knows no locks.
    """
    while True:
        folder.mkdir(exist_ok=True)
        try:
            lock = (folder / name).open("a+b")
        except FileNotFoundError:  # who held the folder removed it just now
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
    """Say in a lock who holds it."""
    with suppress(OSError):  # a full disk
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {os.uname().nodename}".encode())
        lock.flush()


def holder(lock: Path) -> str:
    """Who holds a lock, as it says."""
    with suppress(InputError):
        return read_text(lock, most=1000) or "held by another process"
    return "held by another process"


def _is_still(lock: BinaryIO, path: Path) -> bool:
    """Whether a lock was not removed, with its folder, between being opened and being held."""
    try:
        return os.path.samestat(os.fstat(lock.fileno()), path.stat())
    except FileNotFoundError:
        return False


@contextmanager
def made_parents(path: Path) -> Iterator[None]:
    """Make the folders above `path`; where the block fails, those that were made go again, if they are empty."""
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
    """Rename `new` to `path`; raises InputError where something is there, of which a file or an empty folder is
    replaced where `replace` says so, and nothing else."""
    try:
        if replace:
            new.replace(path)
        elif not new.is_dir():
            _put_file(new, path)
        elif os.path.lexists(path):  # rename would take the place of an empty folder, and of no other
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        else:
            new.rename(path)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            raise
        raise InputError(f"{path}: appeared while this run was writing it, and is left as it is") from None


def _put_file(new: Path, path: Path) -> None:
    try:
        os.link(new, path)  # unlike a rename, never in place of another file
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
        # A disk without hard links: the name is taken first.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        new.replace(path)
    else:
        new.unlink()


def remove_after_failure(room: Path) -> None:
    """Remove a folder that threads of a failed write may still fill, once nothing more appears in it."""
    quiet = 0
    for _ in range(50):
        _clear(room)
        time.sleep(0.05)
        quiet = 0 if _contents(room) else quiet + 1
        if quiet == 4:
            break
    shutil.rmtree(room, ignore_errors=True)


def _clear(room: Path) -> None:
    """Remove all but the lock."""
    for path in _contents(room):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _contents(room: Path) -> list[Path]:
    return [path for path in room.iterdir() if path.name not in LOCKS] if room.exists() else []


def refuse_existing(path: str | Path, *inputs: str | Path | None) -> None:
    """Raise InputError if `path` exists or lies in one of `inputs` that are local, before long work is started."""
    refuse_inside(path, *inputs)
    if os.path.lexists(local_path(path, "output")):
        raise InputError(f"{path}: already exists; remove it or name another output")


def refuse_inside(path: str | Path, *inputs: str | Path | None) -> None:
    """Raise InputError if the output `path` is one of `inputs`, lies in it or holds it, by whatever links or mounts."""
    path = local_path(path, "output")
    for given in inputs:
        if given is None or is_url(given):
            continue
        if _within(path, given):
            raise InputError(f"{path}: is or lies in {given}, which is read; name another output")
        if _within(given, path):
            raise InputError(f"{path}: holds {given}, which is read; name another output")


def _within(path: str | Path, folder: str | Path) -> bool:
    """Whether `path`, which need not exist, is `folder` or lies in it."""
    if "\0" in str(path):
        return False  # no name that a file can have; its reader says so
    resolved = Path(os.path.realpath(path))
    sought = _identity(folder)
    return sought is not None and any(_identity(place) == sought for place in (resolved, *resolved.parents))


def _identity(path: str | Path) -> tuple[int, int] | None:
    """What tells an existing file or folder from all others, however it is named."""
    try:
        about = os.stat(path)  # noqa: PTH116
    except (OSError, ValueError):
        return None
    return about.st_dev, about.st_ino


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
    """Whether an error met while `path` is written is about it, a folder above, or what is made beside it for it."""
    if not isinstance(error.filename, str | bytes):
        return True
    named, here = Path(os.fsdecode(error.filename)).absolute(), path.absolute()
    if here.is_relative_to(named):
        return True
    return named.is_relative_to(here.parent) and here.name in named.relative_to(here.parent).parts[0]


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
