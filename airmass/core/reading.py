"""Regular files, read up to a maximal size."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from airmass.core.errors import InputError

# Far more than any JSON file that airmass writes; a larger file is something else.
_MOST_TEXT = 256 * 2**20


def open_regular(path: str | Path, most: int | None = None) -> BinaryIO:
    """Open a file to read its bytes.

    Raises InputError if it is absent, unreadable, not a regular file (a folder, a pipe, a device), or has more than
    `most` bytes.
    """
    try:
        # Without O_NONBLOCK, opening a pipe waits until somebody writes to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError:  # a NUL, or a character that the file system cannot encode
        raise InputError(f"{path}: is not a valid file name") from None
    if problem := _unreadable(os.fstat(descriptor), most):
        os.close(descriptor)
        raise InputError(f"{path}: {problem}")
    return os.fdopen(descriptor, "rb")


def _unreadable(status: os.stat_result, most: int | None) -> str:
    if stat.S_ISDIR(status.st_mode):
        return "is a folder, expected a file"
    if not stat.S_ISREG(status.st_mode):
        return "is not a regular file"
    if most is not None and status.st_size > most:
        return f"holds {status.st_size} bytes, expected at most {most}"
    return ""


def read_text(path: str | Path, most: int = _MOST_TEXT) -> str:
    """The text of a regular UTF-8 file of at most `most` bytes; raises InputError for anything else."""
    with open_regular(path, most) as file:
        try:
            # Bounded again: the file may have grown since it was opened.
            return file.read(most).decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path}: is not UTF-8 text: byte {error.start} is {error.object[error.start]:#04x}"
            ) from None
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from None
