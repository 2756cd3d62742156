"""Named arrays in a `.npz` file; shape and dtype are checked before any values are read."""

import io
import math
import struct
import weakref
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np

from airmass.core.errors import InputError
from airmass.core.reading import open_regular

_MOST_ENTRIES = 20_000
# Arrays of numbers compress little; a file that expands more than this is a decompression bomb.
_MOST_GROWTH, _SMALL = 100, 16 * 2**20
_BROKEN = (
    BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, TypeError, KeyError, NotImplementedError,
    RuntimeError, OverflowError, MemoryError, RecursionError, SyntaxError, TokenError,
)  # fmt: skip


class NpzArray:
    """One array of a `.npz` file: its dtype and shape; `np.asarray` reads the values."""

    def __init__(self, archive: "ArrayFile", info: ZipInfo):
        self._archive, self._info = archive, info
        with archive.opened(info) as file:
            version = np.lib.format.read_magic(file)
            if version not in ((1, 0), (2, 0)):
                raise ValueError(f"{info.filename} has the header of another version, {version}")
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            self.shape, _, self.dtype = read(file, max_header_size=10_000)
            expected = file.tell() + math.prod(self.shape) * self.dtype.itemsize
        if self.dtype.hasobject or self.dtype.fields is not None or min(self.shape, default=0) < 0:
            raise ValueError(f"{info.filename} holds {self.dtype}, expected numbers or text")
        if info.file_size != expected:
            raise ValueError(f"{info.filename} holds {info.file_size} bytes, expected {expected} for {self.shape}")

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        with self._archive.broken(), self._archive.opened(self._info) as file:
            values = np.lib.format.read_array(file, allow_pickle=False)
        return values if dtype is None else values.astype(dtype)


class ArrayFile(Mapping[str, NpzArray]):
    """The arrays of a `.npz` by name.

    Raises InputError for any other file, a truncated or extended one, encrypted entries or an unknown compression,
    duplicate names, dtypes other than numbers and text, and sizes that do not agree.
    """

    def __init__(self, path: str | Path):
        self.path = path
        file = open_regular(path)
        weakref.finalize(self, file.close)
        with self.broken():
            length = _require_whole(file)
            self._zip = ZipFile(file)
            _require_plain(self._zip.infolist(), length)
            infos = {info.filename.removesuffix(".npy"): info for info in self._zip.infolist()}
            self._arrays = {name: NpzArray(self, info) for name, info in infos.items()}

    def __getitem__(self, name: str) -> NpzArray:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def under(self, prefix: str) -> dict[str, NpzArray]:
        """The arrays whose names begin with a prefix, by name without it."""
        return {name.removeprefix(prefix): array for name, array in self.items() if name.startswith(prefix)}

    def text(self, name: str, most: int = 64 * 2**20) -> str:
        """The value of a string scalar of at most `most` bytes."""
        array = self[name]
        if array.dtype.kind != "U" or array.shape or array.dtype.itemsize > most:
            raise InputError(f"{self.path}: {name} is {array.dtype} of shape {array.shape}, expected one text")
        return str(np.asarray(array))

    @contextmanager
    def broken(self) -> Iterator[None]:
        """Turn any exception of a damaged file into an InputError."""
        try:
            yield
        except InputError:
            raise
        except _BROKEN as error:
            words = " ".join(str(error).split())[:300] or type(error).__name__
            raise InputError(f"{self.path}: cannot be read as a file of arrays: {words}") from None

    @contextmanager
    def opened(self, info: ZipInfo) -> Iterator[io.BufferedIOBase]:
        with self._zip.open(info) as file:
            yield file  # type: ignore[misc]


def as_declared(stored: NpzArray | np.ndarray, like, source: str | Path, name: str, finite: bool = True) -> np.ndarray:
    """Values of an array that has the shape and dtype of `like`; these are checked before the values are read.

    Raises InputError with found and expected otherwise, and for NaN or infinity unless `finite` is False.
    """
    if stored.shape != like.shape:
        raise InputError(f"{source}: {name} has shape {stored.shape}, expected {like.shape}")
    if stored.dtype != like.dtype:
        raise InputError(f"{source}: {name} is {stored.dtype}, expected {like.dtype}")
    values = np.asarray(stored)
    if finite and not is_finite(values):
        raise InputError(f"{source}: {name} holds NaN or infinity, expected finite numbers")
    return values


def is_finite(values: np.ndarray) -> bool:
    """True if no value is NaN or infinite.

    Read from minimum and maximum, which NaN and infinity reach: no boolean array of the same size is needed.
    """
    if np.iscomplexobj(values):
        return is_finite(values.real) and is_finite(values.imag)
    return not values.size or bool(np.isfinite(values.min()) and np.isfinite(values.max()))


def _require_whole(file) -> int:
    """The length in bytes of a file that is one zip archive from start to end; raises ValueError for another."""
    start, length = file.read(4), file.seek(0, io.SEEK_END)
    file.seek(max(0, length - 22))
    end = file.read(22)
    file.seek(0)
    if start != b"PK\x03\x04":
        raise ValueError("not a .npz file: wrong first bytes")
    if end[:4] != b"PK\x05\x06" or end[20:] != b"\0\0":
        raise ValueError("truncated, or with extra bytes at its end")
    return length


def _require_plain(infos: list[ZipInfo], length: int) -> None:
    if len(infos) > _MOST_ENTRIES:
        raise ValueError(f"{len(infos)} entries, expected at most {_MOST_ENTRIES}")
    seen: set[str] = set()
    for info in infos:
        name = info.filename
        if name in seen:
            raise ValueError(f"{name!r} occurs twice")
        seen.add(name)
        if not name.endswith(".npy") or name.startswith("/") or ".." in name.split("/"):
            raise ValueError(f"entry {name!r} is not an array")
        if info.flag_bits & 1:
            raise ValueError(f"{name} is encrypted")
        if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise ValueError(f"{name} has the unknown compression {info.compress_type}")
    packed, unpacked = (sum(getattr(info, size) for info in infos) for size in ("compress_size", "file_size"))
    if packed > length or unpacked > _MOST_GROWTH * length + _SMALL:
        raise ValueError(f"declares {unpacked} bytes of arrays in a file of {length}")
