"""Change detection: the state of a store's files when it was opened, compared later."""

import hashlib
import itertools
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from airmass.core.errors import InputError
from airmass.core.place import is_url
from airmass.data.formats.kind import Kind, is_one_file, kind_of
from airmass.data.formats.reading import error_line, reading

_METADATA = ("zarr.json", ".zarray", ".zattrs")
# Largest number of chunks of a variable to compare: a local one takes microseconds, a remote one is read.
_LOCAL_CHUNKS, _REMOTE_CHUNKS = 1024, 3


class ChangeDetector:
    """Metadata of arrays, with sizes and modification times (remotely: contents) of a sample of their chunks."""

    def __init__(self, path: str | Path, dataset: xr.Dataset, names: Iterable[str], rows: slice):
        """Record the arrays `names` of the store at `path`, with chunks that contain `rows` of time."""
        self._path = path
        if is_one_file(path):
            # A snapshot of Icechunk never changes.
            self._files: _Local | _Remote = _Local(path)
            self._metadata: dict[str, bytes | None] = {}
            self._chunks = {} if kind_of(path) is Kind.ICECHUNK else {"": self._files.stamp("")}
            return
        self._files = _Remote(path) if is_url(path) else _Local(path)
        keys = [f"{name}/{file}" for name in names for file in _METADATA]
        self._metadata = {key: self._files.read(key) for key in keys}
        sampled: list[str] = []
        for key, text in self._metadata.items():
            if text and ".zattrs" not in key:
                with reading(path, key):
                    sampled += self._sample(key, json.loads(text), dataset, rows)
        self._chunks = {key: self._files.stamp(key) for key in sampled}

    def require_same(self) -> None:
        """Raise InputError with the first file that was changed, created or deleted."""
        for key, before in self._metadata.items():
            if (text := self._files.read(key)) != before:
                raise InputError(f"{self._path}: changed since it was opened: {key} {_difference(before, text)}")
        for key, stamp in self._chunks.items():
            if (now := self._files.stamp(key, stamp)) != stamp:
                what = f"{key or 'the file'} {_described(stamp)}, now {_described(now)}"
                raise InputError(f"{self._path}: changed since it was opened: {what}")

    def _sample(self, key: str, about: dict, dataset: xr.Dataset, rows: slice) -> Iterator[str]:
        """Keys of evenly spaced chunks among those of an array that contain `rows`."""
        name = key.rsplit("/", 1)[0]
        sizes = about["chunk_grid"]["configuration"]["chunk_shape"] if "chunk_grid" in about else about["chunks"]
        counts = [range(-(-n // size)) for n, size in zip(about["shape"], sizes, strict=True)]
        dims = about.get("dimension_names") or self._attributes(name).get("_ARRAY_DIMENSIONS", ())
        if "time" in dims and name in dataset.data_vars:
            size = sizes[at := dims.index("time")]
            counts[at] = range(rows.start // size, -(-rows.stop // size))
        total = math.prod(map(len, counts))
        last = min(total, self._files.chunks) - 1
        for place in range(last + 1):
            yield f"{name}/{_chunk_key(about, _cell(counts, (total - 1) * place // max(last, 1)))}"

    def _attributes(self, name: str) -> dict:
        return json.loads(self._metadata[f"{name}/.zattrs"] or b"{}")


def _cell(counts: Sequence[range], place: int) -> list[int]:
    """The index of chunk number `place`, counted along the last axis first."""
    cell: list[int] = []
    for count in reversed(counts):
        place, i = divmod(place, len(count))
        cell.insert(0, count[i])
    return cell


def _chunk_key(about: dict, cell: list[int]) -> str:
    if "chunk_key_encoding" not in about:
        return about.get("dimension_separator", ".").join(map(str, cell)) or "0"
    encoding = about["chunk_key_encoding"]
    default = encoding["name"] == "default"
    separator = encoding.get("configuration", {}).get("separator", "/" if default else ".")
    return separator.join(map(str, [*(["c"] if default else []), *cell])) or "0"


class _Local:
    chunks = _LOCAL_CHUNKS

    def __init__(self, path: str | Path):
        self._root = Path(path).resolve()

    def read(self, key: str) -> bytes | None:
        try:
            return (self._root / key).read_bytes()
        except OSError:
            return None

    def stamp(self, key: str, before: tuple | None = None) -> tuple | None:
        """Size and modification time, which reading does not change."""
        try:
            about = (self._root / key).stat()
        except OSError:
            return None
        return f"{about.st_size} bytes", f"written at {np.datetime64(about.st_mtime_ns, 'ns')}"


class _Remote:
    chunks = _REMOTE_CHUNKS

    def __init__(self, path: str | Path):
        import tensorstore

        from airmass.data.formats.remote import kvstore_spec

        self._values = tensorstore.KvStore.open(kvstore_spec(path)).result()

    def read(self, key: str) -> bytes | None:
        found = self._get(key)
        return None if found.state == "missing" else found.value

    def stamp(self, key: str, before: tuple | None = None) -> tuple | None:
        """Digest and generation; a server with generations does not send an unchanged value again."""
        # A server without ETags gives every value the same generation of a single byte.
        known = before[1] if before and len(before[1]) > 1 else None
        found = self._get(key, known)
        if found.state == "unspecified":
            return before
        return None if found.state == "missing" else (hashlib.sha256(found.value).hexdigest(), found.stamp.generation)

    def _get(self, key: str, known: bytes | None = None):
        try:
            return self._values.read(key, if_not_equal=known).result()
        except Exception as error:
            raise InputError(f"{self._values.url}{key}: cannot be read: {error_line(error)}") from error


def _described(stamp: tuple | None) -> str:
    if stamp is None:
        return "is not there"
    return ", ".join(part if isinstance(part, str) else f"generation {part.hex()}" for part in stamp)


def _difference(before: bytes | None, now: bytes | None) -> str:
    if before is None or now is None:
        return "has appeared" if before is None else "is gone"
    try:
        old, new = json.loads(before), json.loads(now)
    except ValueError:
        return "is no longer JSON"
    for key in dict.fromkeys(itertools.chain(old, new)):
        if old.get(key) != new.get(key):
            return f"had {key} {old.get(key)}, now {new.get(key)}"
    return "was rewritten"
