"""Downloads of published checkpoints, statistics and samples, by name, which go on after a stop and are verified."""

import base64
import hashlib
import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from http.client import HTTPException
from importlib import resources
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, urlsplit

from airmass.core.csv_rows import read_rows
from airmass.core.errors import InputError
from airmass.core.files import made_parents, put, write_durably, writing
from airmass.core.locks import alone
from airmass.core.reading import read_text
from airmass.data.formats.reading import error_line

# Google's address of the bucket gs://dm_graphcast.
SERVER = "https://storage.googleapis.com/dm_graphcast"
_TIMEOUT, _TRIES, _BLOCK = 30.0, 5, 2**20

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class PublishedFile:
    """One file of a name; `megabytes` is about its size, which the server tells exactly."""

    name: str
    what: str
    path: str
    megabytes: int
    licence: str

    @property
    def file_name(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class Offered:
    """A file as a server offers it: bytes, version, and MD5 in hexadecimal, empty where the server tells none."""

    file: PublishedFile
    url: str
    length: int
    version: str
    md5: str


@cache
def published_files() -> tuple[PublishedFile, ...]:
    """The table of published files."""
    text = (resources.files("airmass") / "data/downloads.csv").read_text("utf-8")
    return tuple(
        PublishedFile(row["name"], row["what"], row["path"], int(row["megabytes"]), row["licence"])
        for _, row in read_rows(text, "downloads.csv")[1]
    )


def files_named(name: str) -> tuple[PublishedFile, ...]:
    """The files of a name; raises InputError, with the names that there are."""
    found = tuple(file for file in published_files() if file.name == name)
    if not found:
        known = ", ".join(dict.fromkeys(file.name for file in published_files()))
        raise InputError(f"unknown name {name!r}; known are {known}")
    return found


def offered(file: PublishedFile, server: str = SERVER) -> Offered:
    """Length and checksum that the server tells; raises InputError if it cannot be reached or has no such file."""
    url = f"{server.rstrip('/')}/{quote(file.path)}"
    headers = _headers(url)
    md5 = _md5(headers.get_all("x-goog-hash") or [])
    return Offered(file, url, int(headers["Content-Length"]), headers.get("ETag", ""), md5)


def told_length(url: str) -> int:
    """Bytes of a file, as its server tells them."""
    return int(_headers(url)["Content-Length"])


def _headers(url: str) -> Any:
    """Headers of a file on its server; raises InputError for none of its length."""
    require_http(url)
    with _answer(urllib.request.Request(url, method="HEAD")) as answer:
        headers = answer.headers
    if not headers.get("Content-Length", "").isdecimal():
        raise InputError(f"{url}: the server tells no length")
    return headers


def require_http(url: str) -> None:
    """Raise InputError for an address of another kind."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise InputError(f"{url}: expected an address that begins with https://")


def read_small(url: str, most: int = 2**22) -> str:
    """The text of a small file; raises InputError if it cannot be fetched, is no ASCII text, or is larger."""
    require_http(url)
    for attempt in range(_TRIES):
        try:
            with _answer(urllib.request.Request(url)) as answer:
                data = answer.read(most + 1)
        except (OSError, HTTPException) as error:
            broken = error_line(error)
            if isinstance(getattr(error.__cause__, "reason", None), ConnectionRefusedError | socket.gaierror):
                break  # nobody is there
            _wait(attempt)
            continue
        if len(data) > most or not data.isascii():
            raise InputError(f"{url}: expected text of at most {most} bytes")
        return data.decode("ascii")
    raise InputError(f"{url}: cannot be reached: {broken}")


def download_parts(url: str, parts: Sequence[tuple[int, int]], path: Path) -> None:
    """Write parts of a file, (offset, length) in bytes, one after another to `path`; what it holds is gone on with.

    Raises InputError, and keeps what came, where the connection breaks again and again.
    """
    whole = sum(length for _, length in parts)
    for attempt in range(_TRIES):
        held = path.stat().st_size if path.exists() else 0
        if held > whole:
            path.unlink()
        if _fetch_parts(url, _left(parts, held if held <= whole else 0), path):
            return
        _wait(attempt)
    held = path.stat().st_size if path.exists() else 0
    raise InputError(f"{url}: stopped after {held} of {whole} bytes; run the same command to go on")


def _left(parts: Sequence[tuple[int, int]], held: int) -> Iterator[tuple[int, int]]:
    """The parts without their first `held` bytes."""
    for offset, length in parts:
        skipped = min(held, length)
        held -= skipped
        if skipped < length:
            yield offset + skipped, length - skipped


def _fetch_parts(url: str, parts: Iterator[tuple[int, int]], path: Path) -> bool:
    """Append parts to a file; returns False if the connection broke."""
    try:
        with path.open("ab") as out:
            for offset, length in parts:
                request = urllib.request.Request(url, headers={"Range": f"bytes={offset}-{offset + length - 1}"})
                with _answer(request) as answer:
                    told = answer.headers.get("Content-Range", "") if answer.status == 206 else ""
                    if not told.startswith(f"bytes {offset}-"):
                        raise InputError(f"{url}: the server sends no parts of files, expected bytes {offset} and on")
                    if _copied(answer, out, length) < length:
                        return False
    except (OSError, HTTPException) as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise  # the disk, not the network
        return False
    return True


def _copied(answer: Any, out: BinaryIO, most: int) -> int:
    """Bytes that were copied, at most `most`."""
    left = most
    while left and (block := answer.read(min(_BLOCK, left))):
        out.write(block)
        left -= len(block)
    return most - left


def _wait(attempt: int) -> None:
    """Wait before another try, longer each time; not after the last."""
    time.sleep(min(2.0**attempt, 8) * (attempt < _TRIES - 1))


def download(offer: Offered, folder: Path, progress: Progress | None = None) -> bool:
    """Download a file to a folder; returns False if it is there already, whole.

    What a stopped run left in `NAME.part` is kept and gone on with, if the server has the same version still. Raises
    InputError, and leaves no file of that name, for a wrong checksum or length.
    """
    path = folder / offer.file.file_name
    if path.exists():
        if _is_whole(path, offer):
            return False
        raise InputError(f"{path}: exists, and is not the file that the server has; remove it")
    with writing(path), made_parents(path), alone(path):
        part, note = path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.part.json")
        if not (part.exists() and note.exists() and _same_version(note, offer)):
            part.unlink(missing_ok=True)
            write_durably(note, json.dumps([offer.url, offer.length, offer.version]))
        for attempt in range(_TRIES):
            if _fetch(offer, part, progress):
                break
            _wait(attempt)
        held = part.stat().st_size if part.exists() else 0
        if held < offer.length:
            raise InputError(
                f"{offer.url}: stopped after {held} of {offer.length} bytes; run the same command to go on"
            )
        if not _is_whole(part, offer):
            part.unlink()
            note.unlink()
            raise InputError(f"{offer.url}: {held} bytes of another checksum than the server's, {offer.md5}; try again")
        put(part, path)
        note.unlink()
    return True


def _fetch(offer: Offered, part: Path, progress: Progress | None) -> bool:
    """Read what is missing of a file; returns False if the connection broke."""
    held = part.stat().st_size if part.exists() else 0
    if held >= offer.length:
        return True
    request = urllib.request.Request(offer.url)
    if held:
        request.add_header("Range", f"bytes={held}-")
        if offer.version:
            request.add_header("If-Range", offer.version)
    try:
        with _answer(request) as answer, part.open("ab" if answer.status == 206 else "wb") as out:
            for block in _blocks(answer):
                if out.tell() + len(block) > offer.length:
                    raise InputError(f"{offer.url}: the server sends more than its {offer.length} bytes")
                out.write(block)
                if progress is not None:
                    progress(offer.file.file_name, out.tell(), offer.length)
    except (OSError, HTTPException):
        return False
    return part.stat().st_size >= offer.length


def _blocks(answer: Any) -> Iterator[bytes]:
    while block := answer.read(_BLOCK):
        yield block


def _answer(request: urllib.request.Request) -> Any:
    """The server's answer; raises InputError for what no further try mends, OSError for a broken connection."""
    try:
        return urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        raise InputError(f"{request.full_url}: the server answers {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        if request.get_method() == "HEAD":
            raise InputError(f"{request.full_url}: cannot be reached: {error_line(error)}") from None
        raise OSError(error_line(error)) from error


def _same_version(note: Path, offer: Offered) -> bool:
    try:
        return json.loads(read_text(note, most=2**16)) == [offer.url, offer.length, offer.version]
    except ValueError:
        return False


def _is_whole(path: Path, offer: Offered) -> bool:
    if not path.is_file() or path.stat().st_size != offer.length:
        return False
    if not offer.md5:
        return True
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest() == offer.md5


def _md5(headers: list[str]) -> str:
    """The MD5 in Google's header `x-goog-hash: crc32c=...,md5=...`, in hexadecimal; empty if there is none."""
    for entry in ",".join(headers).split(","):
        kind, _, value = entry.strip().partition("=")
        if kind == "md5":
            try:
                return base64.b64decode(value, validate=True).hex()
            except ValueError:
                return ""
    return ""
