"""Pictures for the page, checked to be what their file names say."""

from pathlib import Path

from airmass.core.errors import InputError
from airmass.core.reading import open_regular

# Suffix -> (media type, first bytes, (offset of width and height, bytes of each, byte order)).
_KINDS = {
    ".png": ("image/png", (b"\x89PNG\r\n\x1a\n",), (16, 4, "big")),
    ".gif": ("image/gif", (b"GIF87a", b"GIF89a"), (6, 2, "little")),
}
SUFFIXES = tuple(_KINDS)
# An animation of 40 lead times at 0.25 degrees takes 20 MB; `airmass plot` never writes 20,000 pixels a side.
_MOST_BYTES, _MOST_PIXELS = 256 * 2**20, 20_000


def read_picture(path: Path) -> tuple[str, bytes]:
    """Read a PNG or GIF file; return its media type and bytes. Raises InputError for anything else, and for a link."""
    if path.suffix not in _KINDS:
        raise InputError(f"{path}: expected a picture ending in {' or '.join(SUFFIXES)}")
    if path.is_symlink():
        raise InputError(f"{path}: is a link to {path.readlink()}, expected the picture itself")
    kind, starts, (at, size, order) = _KINDS[path.suffix]
    with open_regular(path, _MOST_BYTES) as file:
        data = file.read(_MOST_BYTES)
    if not data.startswith(starts) or len(data) < at + 2 * size:
        raise InputError(
            f"{path}: is not a {path.suffix[1:].upper()} file: it begins with {data[:8].hex(' ') or 'nothing'}"
        )
    width, height = (int.from_bytes(data[i : i + size], order) for i in (at, at + size))  # type: ignore[arg-type]
    if not (0 < width <= _MOST_PIXELS and 0 < height <= _MOST_PIXELS):
        raise InputError(f"{path}: is {width} x {height} pixels, expected 1 to {_MOST_PIXELS} each way")
    return kind, data
