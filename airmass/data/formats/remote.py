"""Stores on object storage or a web server, read through tensorstore, also when zarr-python opens them.

zarr-python alone would need one more library for each kind of storage; tensorstore supports all of them.
"""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import tensorstore
from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype

from airmass.core.errors import InputError
from airmass.core.memory import resident
from airmass.core.place import is_url, located
from airmass.data.formats.climatology import DRY, EXTREMES, quantiles_name, seeps_names
from airmass.fields.variables import spellings

# Half a minute in all: long enough for a busy server, short enough for a user with a wrong name.
_RETRIES = {"max_retries": 5, "initial_delay": "1s", "max_delay": "16s"}
# For the first request, so that a wrong address fails soon.
_FEW_RETRIES = {"max_retries": 2, "initial_delay": "1s", "max_delay": "2s"}
# Read by tensorstore when it first connects: requests to a silent or very slow server are given up.
os.environ.setdefault("TENSORSTORE_CURL_CONNECT_TIMEOUT_SECONDS", "10")
os.environ.setdefault("TENSORSTORE_CURL_LOW_SPEED_TIME_SECONDS", "10")
os.environ.setdefault("TENSORSTORE_CURL_LOW_SPEED_LIMIT_BYTES", "256")
# Seconds for the first response of a server, and for later metadata documents, including retries.
FIRST_ANSWER, PATIENCE = 8.0, 40.0
# Metadata are small, but tensorstore accepts a body of any length; a response is too long if memory grows by this.
_MOST_BYTES = 512 * 2**20

_DOCUMENTS = ("zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata")
# Names of coordinates in stores, forecasts, climatologies and published files.
_COORDINATES = (
    "time", "level", "latitude", "longitude", "init_time", "lead_time", "valid_time", "number", "prediction_timedelta",
    "hour", "dayofyear", "quantile", "quantile_day", "lat", "lon", "batch", "datetime", "step", "pressure_level",
    "isobaricInhPa", "plev", "expver", "member", "realization",
)  # fmt: skip


def kvstore_spec(path: str | Path, name: str = "", retries: dict = _RETRIES) -> dict:
    """The tensorstore spec of the folder `name` in a store: a local folder, or s3://, gs://, http(s)://."""
    if not is_url(path):
        return {"driver": "file", "path": f"{Path(path).resolve() / name}/"}
    scheme, _, rest = str(located(path)).partition("://")
    rest, mark, query = rest.partition("?") if scheme.startswith("http") else (rest, "", "")
    place, _, folder = rest.strip("/").partition("/")
    inner = "".join(f"{part}/" for part in (folder, name) if part)
    match scheme:
        case "s3":
            return {"driver": "s3", "bucket": place, "path": inner, "s3_request_retries": retries}
        case "gs":
            return {"driver": "gcs", "bucket": place, "path": inner, "gcs_request_retries": retries}
        case "http" | "https":
            base = f"{scheme}://{place}{mark}{query}"
            return {"driver": "http", "base_url": base, "path": f"/{inner}", "http_request_retries": retries}
    raise AssertionError(scheme)


class RemoteStore(Store):
    """A read-only store with the interface of zarr-python.

    It does not list keys: web servers cannot, and listing a large bucket takes minutes. In a store without consolidated
    metadata, arrays are looked up by the names that airmass knows, and by those in the metadata of arrays found.
    """

    supports_writes = False
    supports_deletes = False
    supports_listing = True

    def __init__(self, url: str | Path):
        super().__init__(read_only=True)
        self.url = str(located(url))
        self._values = tensorstore.KvStore.open(kvstore_spec(url)).result()
        self._documents: dict[str, bytes | None] = {}
        self._names: list[str] | None = None

    def __eq__(self, other) -> bool:
        return isinstance(other, RemoteStore) and self.url == other.url

    def __str__(self) -> str:
        return self.url

    __repr__ = __str__

    def __reduce__(self):
        return RemoteStore, (self.url,)

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        if key.rpartition("/")[2] in _DOCUMENTS:
            value = await self._document(key)
        else:
            found = await self._values.read(key, byte_range=_slice(byte_range))
            value = None if found.state == "missing" else found.value
        return None if value is None else (prototype or default_buffer_prototype()).buffer.from_bytes(value)

    async def _document(self, key: str) -> bytes | None:
        """A metadata document; each is requested once."""
        if key not in self._documents:
            try:
                found = await asyncio.wait_for(self._values.read(key), PATIENCE)
            except TimeoutError:
                raise InputError(f"{self.url}/{key}: no complete response in {PATIENCE:g} s") from None
            self._documents[key] = None if found.state == "missing" else found.value
        return self._documents[key]

    def require_present(self) -> None:
        """Raise InputError if there is no Zarr store."""
        values = tensorstore.KvStore.open(kvstore_spec(self.url, retries=_FEW_RETRIES)).result()
        if not any(self._ask(["zarr.json", ".zgroup", ".zattrs", ".zmetadata"], values, FIRST_ANSWER).values()):
            raise InputError(f"{self.url}: no readable Zarr store; other formats are read from local files only")

    def members(self) -> list[str]:
        """Names of the store's arrays: known names, and names in the metadata of these arrays."""
        if self._names is None:
            of_climatologies = [*map(quantiles_name, EXTREMES), *(name for field in DRY for name in seeps_names(field))]
            found = self._present([*_COORDINATES, *spellings(), *of_climatologies])
            named = {name for about in found.values() for name in _named(about)} - found.keys()
            self._names = [*found, *self._present(sorted(named))]
        return self._names

    def _present(self, names: Sequence[str]) -> dict[str, dict]:
        """Metadata of the existing arrays among `names`."""
        if self._ask(["zarr.json"])["zarr.json"] is not None:
            texts = self._ask([f"{name}/zarr.json" for name in names])
            return {name: _parsed(text) for name in names if (text := texts[f"{name}/zarr.json"]) is not None}
        arrays = self._ask([f"{name}/.zarray" for name in names])
        held = [name for name in names if arrays[f"{name}/.zarray"] is not None]
        attributes = self._ask([f"{name}/.zattrs" for name in held])
        return {name: {"attributes": _parsed(attributes[f"{name}/.zattrs"])} for name in held}

    def _ask(self, keys: Sequence[str], values: Any = None, patience: float = PATIENCE) -> dict[str, bytes | None]:
        """Metadata documents by key, requested concurrently."""
        asked = {key: (values or self._values).read(key) for key in keys if key not in self._documents}
        began, memory = time.monotonic(), resident()
        for key, pending in asked.items():
            while not _waited(pending):
                if time.monotonic() - began > patience:
                    raise InputError(f"{self.url}/{key}: no complete response in {patience:g} s")
                if resident() - memory > _MOST_BYTES:
                    raise InputError(f"{self.url}/{key}: the response is too long to be metadata")
            self._documents[key] = _answer(pending)
        return {key: self._documents[key] for key in keys}

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

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        for name in [] if prefix.strip("/") else self.members():
            yield name


def _waited(pending: Any) -> bool:
    """True if there is a response or an error within a tenth of a second."""
    try:
        pending.exception(timeout=0.1)
    except TimeoutError:
        return False
    return True


def _answer(pending: Any) -> bytes | None:
    """The value of a key; None if absent, also where a bucket without list permission answers "forbidden"."""
    try:
        found = pending.result()
    except ValueError as error:
        if "PERMISSION_DENIED" not in str(error):
            raise
        return None
    return None if found.state == "missing" else found.value


def _parsed(text: bytes | None) -> dict:
    """A JSON object; empty if the text is not one, which opening the array then reports."""
    try:
        found = json.loads(text or b"{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _named(about: dict[str, Any]) -> set[str]:
    """Names of other arrays in an array's metadata: its dimensions and coordinates."""
    attributes = about.get("attributes")
    attributes = attributes if isinstance(attributes, dict) else {}
    dims = about.get("dimension_names") or attributes.get("_ARRAY_DIMENSIONS")
    coordinates = attributes.get("coordinates")
    words = [*(dims if isinstance(dims, list) else []), *(coordinates.split() if isinstance(coordinates, str) else [])]
    return {word for word in words if isinstance(word, str) and word and "/" not in word}


def _slice(byte_range: ByteRequest | None) -> slice | None:
    if byte_range is None:
        return None
    if isinstance(byte_range, RangeByteRequest):
        return slice(byte_range.start, byte_range.end)
    if isinstance(byte_range, OffsetByteRequest):
        return slice(byte_range.offset, None)
    return slice(-byte_range.suffix, None)
