"""Writing so that nothing is ever left half-written: aside first, then renamed into place."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airmass.errors import InputError

_REFUSALS = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR, errno.EFBIG}


@contextmanager
def new_output(path: str | Path, replace: bool = False) -> Iterator[Path]:
    """Yield a path beside `path` to write a file or folder to; on success it is renamed to `path`.

    On any error, and on Ctrl-C, what was written is removed. Raises InputError when `path` exists (unless `replace`),
    its folder cannot be written, or the disk is full. `replace` swaps an existing output only once the new one is
    complete.
    """
    path = Path(path)
    if not replace:
        refuse_existing(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        room = Path(tempfile.mkdtemp(prefix=f".{path.name}.partial-", dir=path.parent))
        try:
            aside = room / path.name
            yield aside
            if replace and path.exists():
                os.replace(path, room / f"{path.name}.old")
            os.replace(aside, path)
        finally:
            shutil.rmtree(room, ignore_errors=True)


def refuse_existing(path: str | Path) -> None:
    """Raise InputError if `path` exists, so that a command can say so before it starts long work."""
    if Path(path).exists():
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
