"""Stores on object storage or a web server, read through tensorstore by both of the ways a store is read here.

zarr-python alone would need a library more for each kind of storage; tensorstore knows them all.
"""

from pathlib import Path

import tensorstore
from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype

from airmass.core.place import is_url, located

# Half a minute in all: long enough for a busy server, short enough to tell a person of a wrong name.
_RETRIES = {"max_retries": 5, "initial_delay": "1s", "max_delay": "16s"}


def kvstore_spec(path: str | Path, name: str = "") -> dict:
    """tensorstore's description of the folder `name` in a store: a local folder, or s3://, gs://, http(s)://."""
    if not is_url(path):
        return {"driver": "file", "path": f"{Path(path).resolve() / name}/"}
    scheme, _, rest = str(located(path)).partition("://")
    place, _, folder = rest.strip("/").partition("/")
    inner = "".join(f"{part}/" for part in (folder, name) if part)
    match scheme:
        case "s3":
            return {"driver": "s3", "bucket": place, "path": inner, "s3_request_retries": _RETRIES}
        case "gs":
            return {"driver": "gcs", "bucket": place, "path": inner, "gcs_request_retries": _RETRIES}
        case "http" | "https":
            base = f"{scheme}://{place}"
            return {"driver": "http", "base_url": base, "path": f"/{inner}", "http_request_retries": _RETRIES}
    raise AssertionError(scheme)


class RemoteStore(Store):
    """A store behind the few words of zarr-python that reading needs. It cannot list what it holds: no web server can,
    and a listing of a large bucket takes minutes; so the store needs consolidated metadata."""

    supports_writes = False
    supports_deletes = False
    supports_listing = False

    def __init__(self, url: str | Path):
        super().__init__(read_only=True)
        self.url = str(located(url))
        self._values = tensorstore.KvStore.open(kvstore_spec(url)).result()

    def __eq__(self, other) -> bool:
        return isinstance(other, RemoteStore) and self.url == other.url

    def __str__(self) -> str:
        return self.url

    def __reduce__(self):
        return RemoteStore, (self.url,)

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        found = await self._values.read(key, byte_range=_slice(byte_range))
        if found.state == "missing":
            return None
        return (prototype or default_buffer_prototype()).buffer.from_bytes(found.value)

    async def get_partial_values(self, prototype, key_ranges) -> list[Buffer | None]:
        return [await self.get(key, prototype, byte_range) for key, byte_range in key_ranges]

    async def exists(self, key: str) -> bool:
        return await self.get(key) is not None

    async def set(self, key, value):
        raise NotImplementedError("read only")

    async def delete(self, key):
        raise NotImplementedError("read only")

    def list(self):
        raise NotImplementedError("cannot list")

    def list_prefix(self, prefix):
        raise NotImplementedError("cannot list")

    def list_dir(self, prefix):
        raise NotImplementedError("cannot list")


def _slice(byte_range: ByteRequest | None) -> slice | None:
    if byte_range is None:
        return None
    if isinstance(byte_range, RangeByteRequest):
        return slice(byte_range.start, byte_range.end)
    if isinstance(byte_range, OffsetByteRequest):
        return slice(byte_range.offset, None)
    return slice(-byte_range.suffix, None)
