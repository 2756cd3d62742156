"""What the libraries that read files raise, turned into one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airmass.core.errors import InputError

_LONGEST = 400


@contextmanager
def reading(path: str | Path, what: str = "") -> Iterator[None]:
    """Raise InputError that names `path` and says `what` cannot be read, whatever a library raises inside.

    What xarray, zarr, h5netcdf, scipy and tensorstore raise for broken bytes is documented by none of them: anything,
    from KeyError to RecursionError. So only calls of theirs belong inside.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path}: {what}{' ' if what else ''}cannot be read: {error_line(error)}") from error


def error_line(error: BaseException) -> str:
    """The message of an error on one line, without control characters, cut where it is very long."""
    text = " ".join(str(error).split()) or type(error).__name__
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
