"""Only regular text files up to a size are read; anything else is refused at once, in one line."""

import os
from pathlib import Path

import pytest

from airmass.core.errors import InputError
from airmass.core.reading import open_regular, read_text


def test_text_is_read_whole(tmp_path):
    (tmp_path / "a.json").write_text("zwölf")
    assert read_text(tmp_path / "a.json", most=6) == "zwölf"
    with open_regular(tmp_path / "a.json") as file:
        assert file.read() == "zwölf".encode()


@pytest.mark.parametrize(
    "kind, words",
    [
        ("absent", "no such file"),
        ("folder", "is a folder"),
        ("pipe", "is not a regular file"),
        ("device", "is not a regular file"),
        ("circle", "Too many levels of symbolic links"),
        ("under a file", "Not a directory"),
        ("too long a name", "File name too long"),
        ("nul", "not a valid file name"),
        ("large", "holds 11 bytes, expected at most 10"),
        ("binary", "is not UTF-8 text: byte 1 is 0xff"),
    ],
)
def test_only_regular_text_is_read(tmp_path, kind, words):
    """At once: neither a pipe that nobody writes to nor a device without an end is waited for."""
    path = tmp_path / "x"
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "device":
            path = Path("/dev/zero")
        case "circle":
            path.symlink_to(path)
        case "under a file":
            path.write_text("")
            path = path / "y"
        case "too long a name":
            path = tmp_path / ("x" * 300)
        case "nul":
            path = tmp_path / "a\0b"
        case "large":
            path.write_text("eleven char")
        case "binary":
            path.write_bytes(b"a\xff")
    with pytest.raises(InputError, match=words) as caught:
        read_text(path, most=10)
    assert str(caught.value).isprintable()
