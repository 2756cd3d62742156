"""Errors of the libraries that read files, as one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airmass.core.errors import InputError

_LONGEST = 400


@contextmanager
def reading(path: str | Path, what: str = "") -> Iterator[None]:
    """Turn any exception of a library into an InputError that `what` of `path` cannot be read.

    xarray, zarr, h5netcdf, scipy and tensorstore do not document what they raise for broken bytes: it may be anything,
    from KeyError to RecursionError. So only calls of these libraries belong inside.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path}: {what}{' ' if what else ''}cannot be read: {error_line(error)}") from error


def error_line(error: BaseException) -> str:
    """The message of an error on one line, without control characters, shortened if very long."""
    text = " ".join(str(error).split()) or type(error).__name__
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
