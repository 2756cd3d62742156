"""Local paths and addresses on the network, told apart in the same way by every command."""

import re
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

from airmass.core.errors import InputError

Place: TypeAlias = str | Path

# Schemes that stores are read from; all other input and all output is local.
SCHEMES = ("s3", "gs", "http", "https", "icechunk+s3", "icechunk+gs")
# A Path reduces `https://host` to one slash. Other words before `:/` are more likely folders with a colon in the name.
_ONE_SLASH = re.compile(
    rf"({'|'.join(map(re.escape, SCHEMES))}|ftp|sftp|file|gcs|az|abfs|abfss|hdfs):/(?!/)", re.IGNORECASE
)


def is_url(place: Place) -> bool:
    """True for an address, False for a local path; raises InputError for an address that cannot be read from."""
    scheme = _scheme(str(place))
    if scheme in SCHEMES and not _names_a_server(_rest(str(place))):
        raise InputError(f"{place}: names no {'server' if scheme.startswith('http') else 'bucket'}")
    if scheme is None or scheme in SCHEMES:
        return scheme is not None
    if scheme == "file":
        raise InputError(f"{place}: give the path of a local file without file://: /{_rest(str(place)).lstrip('/')}")
    raise InputError(f"{place}: cannot read from {scheme}://, expected a local path or {_listed()}")


def located(place: Place) -> Place:
    """A local place as a Path, an address as a normalised string; raises InputError as `is_url` does."""
    text = str(place)
    return f"{_scheme(text)}://{_rest(text)}" if is_url(place) else Path(place)


def local_path(place: Place, what: str) -> Path:
    """The local path of `what` ("output", "checkpoint"); raises InputError for an address and an invalid path."""
    if _scheme(str(place)) == "file" or _scheme(str(place)) is None:
        is_url(place)
        if "\0" in str(place):
            raise InputError(f"{str(place)!r}: a path cannot hold the character NUL")
        return Path(place)
    raise InputError(f"{_scheme(str(place))}://{_rest(str(place))}: {what} must be a local path")


def _scheme(text: str) -> str | None:
    scheme, found, _ = text.partition("://")
    if found and "/" not in scheme:
        return scheme.lower()
    return match[1].lower() if (match := _ONE_SLASH.match(text)) else None


def _rest(text: str) -> str:
    return text.partition(":")[2].lstrip("/") if "://" not in text else text.partition("://")[2]


def _names_a_server(rest: str) -> bool:
    """True for `host/path`, `host:port/path` and `bucket/path`, False where the first part is empty or malformed."""
    try:
        parts = urlsplit(f"//{rest}")
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def _listed() -> str:
    *most, last = (f"{scheme}://" for scheme in SCHEMES)
    return f"{', '.join(most)} or {last}"
