"""The kind of a file or folder, from its first bytes: suffixes may be wrong, as after a failed download."""

import os
import stat
from collections.abc import Callable
from enum import Enum
from pathlib import Path

from airmass.core.errors import InputError
from airmass.core.place import Place, is_url, local_path
from airmass.core.reading import open_regular


class Kind(Enum):
    """Formats that fields are read from."""

    ZARR = "a Zarr store"
    NETCDF4 = "a NetCDF file"
    NETCDF3 = "a NetCDF 3 file"
    GRIB = "a GRIB file"
    ICECHUNK = "an Icechunk repository"


class TableKind(Enum):
    """Formats that tables of points are read from."""

    PARQUET = "a Parquet file"
    NETCDF4 = "a NetCDF file"
    NETCDF3 = "a NetCDF 3 file"
    TEXT = "text"


_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZARR_FILES = ("zarr.json", ".zgroup", ".zmetadata")
_SPECIAL: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
# First bytes of other formats, and what to do about them.
_OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"CDF\x05", "a NetCDF 3 file of 64-bit data (CDF-5), which `nccopy -k nc4 IN OUT` makes readable"),
    (b"\x1f\x8b", "compressed by gzip; decompress it first"),
    (b"BZh", "compressed by bzip2; decompress it first"),
    (b"\xfd7zXZ\x00", "compressed by xz; decompress it first"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd; decompress it first"),
    (b"ustar", "a tar archive; unpack it first"),
    (b"\x0e\x03\x13\x01", "HDF 4, the older format, which `h4toh5` makes readable"),
    (b"\x93NUMPY", "a numpy array"),
)


def kind_of(place: Place) -> Kind:
    """The kind of a store or file of fields; raises InputError, with what it is, for anything else.

    An address is assumed to be a Zarr store, unless its scheme tells another. Only regular files and folders are
    opened, since others may block.
    """
    if is_url(place):
        return Kind.ICECHUNK if str(place).startswith("icechunk+") else Kind.ZARR
    path = local_path(place, "store")
    mode = _mode(path)
    if stat.S_ISDIR(mode):
        return _kind_of_folder(path)
    for is_it, what in _SPECIAL:
        if is_it(mode):
            raise InputError(f"{path}: {what}, expected a file or folder")
    return _kind_of_file(path)


def is_one_file(place: Place) -> bool:
    """True for a NetCDF or GRIB file and an Icechunk snapshot, False for a Zarr store; raises InputError for others."""
    return kind_of(place) is not Kind.ZARR


def require_file(path: Path, most: int) -> None:
    """Raise InputError unless `path` is a regular file of at most `most` bytes; reading a pipe would block."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"{path}: not a regular file")
    if found.st_size > most:
        raise InputError(f"{path}: {found.st_size} bytes, expected {most} at most")


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path}: no such file or folder") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {os.strerror(error.errno or 0) if isinstance(error, OSError) else error}") from None


def kind_of_table(path: Path) -> TableKind:
    """The kind of a file of points, text such as CSV among them; raises InputError, with what it is, for others."""
    with open_regular(path) as file:
        first = file.read(512)
    for kind, start in (
        (TableKind.PARQUET, b"PAR1"),
        (TableKind.NETCDF4, _HDF5),
        (TableKind.NETCDF3, b"CDF\x01"),
        (TableKind.NETCDF3, b"CDF\x02"),
    ):
        if first.startswith(start):
            return kind
    what = Kind.GRIB.value if _is_grib(first) else _described(first)
    if what == "text" or (what == "of an unknown format" and _is_utf8(first)):
        return TableKind.TEXT
    raise InputError(f"{path}: {what}; expected CSV, NetCDF or Parquet")


def _is_utf8(first: bytes) -> bool:
    """True for text, whose last character may be cut."""
    try:
        text = first.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(first) - 3:
            return False
        text = first[: error.start].decode("utf-8")
    return all(character.isprintable() or character in "\t\r\n\f\ufeff" for character in text)


def _kind_of_folder(path: Path) -> Kind:
    try:
        held = set(os.listdir(path))  # noqa: PTH208  # lists names that are not valid text too
    except OSError as error:
        raise InputError(f"{path}: {os.strerror(error.errno or 0)}") from None
    if held.intersection(_ZARR_FILES):
        return Kind.ZARR
    if "snapshots" in held and held & {"refs", "repo"}:
        return Kind.ICECHUNK
    if ".zarray" in held:
        raise InputError(f"{path}: one Zarr array, expected the store that holds it")
    inside = sorted(name for name in held if name.endswith((".zarr", ".nc")))
    hint = f"; it holds {', '.join(inside[:3])}" if inside else ""
    raise InputError(f"{path}: a folder without zarr.json or .zgroup, so no Zarr store{hint}")


def _kind_of_file(path: Path) -> Kind:
    try:
        with path.open("rb") as file:
            first = file.read(512)
            at_powers = first[:8] == _HDF5 or any(_at(file, 512 << n) == _HDF5 for n in range(6))
    except OSError as error:
        raise InputError(f"{path}: {os.strerror(error.errno or 0)}") from None
    if first[:4] in (b"CDF\x01", b"CDF\x02"):
        return Kind.NETCDF3
    if at_powers:  # HDF5 allows a user block of 512 bytes times a power of two before it
        return Kind.NETCDF4
    if _is_grib(first):
        return Kind.GRIB
    raise InputError(f"{path}: {_described(first)}; expected a Zarr store, NetCDF or GRIB file")


def _is_grib(first: bytes) -> bool:
    """True for a GRIB message of any edition, at the start or after the heading of a WMO bulletin."""
    start = first.find(b"GRIB")
    return start == 0 or (0 < start < 100 and first[start + 7 : start + 8] in (b"\x01", b"\x02"))


def _at(file, offset: int) -> bytes:
    file.seek(offset)
    return file.read(len(_HDF5))


def _described(first: bytes) -> str:
    """A description, from its first bytes, of a file that is none of these."""
    if not first:
        return "an empty file"
    if first.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        name = first[30 : 30 + int.from_bytes(first[26:28], "little")]
        return "an npz archive of arrays" if name.endswith(b".npy") else f"a zip archive{_named(name)}; unzip it first"
    for start, what in _OTHERS:
        if first.startswith(start) or (start == b"ustar" and first[257:262] == start):
            return what
    text = first.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text[:1] == b"<":
        return "a web page or XML, as a failed download leaves behind"
    if text[:1] in (b"{", b"["):
        return "JSON"
    return "text" if _printable(first) else "of an unknown format"


def _named(name: bytes) -> str:
    return f" (of {name.decode()} and perhaps more)" if name and _printable(name) else ""


def _printable(data: bytes) -> bool:
    """True for ASCII text."""
    return all(32 <= byte < 127 or byte in b"\t\r\n\f" for byte in data)
