"""Named arrays in a `.npz`: what they are is known, and held against what they should be, before any is read."""

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
from airmass.core.files import open_regular

_MOST_ENTRIES = 20_000
# Arrays of numbers hardly shrink; what grows more than this is made to fill the memory.
_MOST_GROWTH, _SMALL = 100, 16 * 2**20
_BROKEN = (
    BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, TypeError, KeyError, NotImplementedError,
    RuntimeError, OverflowError, MemoryError, RecursionError, SyntaxError, TokenError,
)  # fmt: skip


class NpzArray:
    """One array of a file: its dtype and shape; `np.asarray` reads it."""

    def __init__(self, held: "ArrayFile", info: ZipInfo):
        self._held, self._info = held, info
        with held.opened(info) as file:
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
        with self._held.broken(), self._held.opened(self._info) as file:
            values = np.lib.format.read_array(file, allow_pickle=False)
        return values if dtype is None else values.astype(dtype)


class ArrayFile(Mapping[str, NpzArray]):
    """The arrays of a `.npz` by name.

    Raises InputError for what is no such file, whole: another file, a cut or lengthened one, encrypted or strangely
    compressed entries, names that stand twice, arrays of anything but numbers and text, and sizes that do not agree.
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
        """Those whose names begin with a prefix, without it."""
        return {name.removeprefix(prefix): array for name, array in self.items() if name.startswith(prefix)}

    def text(self, name: str, most: int = 64 * 2**20) -> str:
        """A single text of at most `most` bytes."""
        array = self[name]
        if array.dtype.kind != "U" or array.shape or array.dtype.itemsize > most:
            raise InputError(f"{self.path}: {name} is {array.dtype} of shape {array.shape}, expected one text")
        return str(np.asarray(array))

    @contextmanager
    def broken(self) -> Iterator[None]:
        """Turn whatever a broken file raises into an InputError."""
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
    """An array read once it is seen to have the shape and dtype of `like`.

    Raises InputError that names both where it has not, and for NaN or infinity in it where it should be `finite`.
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
    """Without an array of truths beside it: NaN and infinity show in the least and the greatest value."""
    if np.iscomplexobj(values):
        return is_finite(values.real) and is_finite(values.imag)
    return not values.size or bool(np.isfinite(values.min()) and np.isfinite(values.max()))


def _require_whole(file) -> int:
    """The length of a file that is one archive from its first byte to its last."""
    start, length = file.read(4), file.seek(0, io.SEEK_END)
    file.seek(max(0, length - 22))
    end = file.read(22)
    file.seek(0)
    if start != b"PK\x03\x04":
        raise ValueError("not a .npz: it does not begin as one")
    if end[:4] != b"PK\x05\x06" or end[20:] != b"\0\0":
        raise ValueError("cut short, or something follows its end")
    return length


def _require_plain(infos: list[ZipInfo], length: int) -> None:
    if len(infos) > _MOST_ENTRIES:
        raise ValueError(f"{len(infos)} entries, expected at most {_MOST_ENTRIES}")
    seen: set[str] = set()
    for info in infos:
        name = info.filename
        if name in seen:
            raise ValueError(f"{name!r} stands twice in it")
        seen.add(name)
        if not name.endswith(".npy") or name.startswith("/") or ".." in name.split("/"):
            raise ValueError(f"{name!r} in it is no array")
        if info.flag_bits & 1:
            raise ValueError(f"{name} is encrypted")
        if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise ValueError(f"{name} is compressed in an unknown way, {info.compress_type}")
    packed, unpacked = (sum(getattr(info, size) for info in infos) for size in ("compress_size", "file_size"))
    if packed > length or unpacked > _MOST_GROWTH * length + _SMALL:
        raise ValueError(f"{unpacked} bytes said to be in a file of {length}")
