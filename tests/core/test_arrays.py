"""A file of arrays is read right, or refused from its directory and headers, before its arrays take any memory."""

import io
import struct
import zipfile

import numpy as np
import pytest

from airmass.core.arrays import ArrayFile, as_declared, is_finite
from airmass.core.errors import InputError

ARRAYS = {
    "params:a/~b:w": np.arange(6, dtype=np.float32).reshape(2, 3),
    "text": np.array("zwölf"),
    "complex": np.ones(2, np.complex64),
    "empty": np.empty((0, 3), np.float32),
}


@pytest.fixture(params=[np.savez, np.savez_compressed])
def good(request, tmp_path):
    request.param(tmp_path / "a.npz", **ARRAYS)
    return tmp_path / "a.npz"


def test_arrays_are_known_before_they_are_read_and_come_back(good):
    held = ArrayFile(good)
    assert list(held) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert (held[name].shape, held[name].dtype) == (array.shape, array.dtype)
        np.testing.assert_array_equal(np.asarray(held[name]), array)
    assert held.text("text") == "zwölf" and list(held.under("params:")) == ["a/~b:w"]


def test_arrays_that_are_not_as_declared_are_refused(good):
    held = ArrayFile(good)
    for like, words in ((np.empty((3, 2), np.float32), r"has shape \(2, 3\)"), (np.empty((2, 3)), "is float32, exp")):
        with pytest.raises(InputError, match=words):
            as_declared(held["params:a/~b:w"], like, good, "w")
    with pytest.raises(InputError, match="expected one text"):
        held.text("complex")


def header(shape: str, descr: str = "<f4") -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def zipped(entries, how=zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return out.getvalue()


def encrypted() -> bytes:
    data = bytearray(zipped([("a.npy", header("(1,)") + bytes(4))]))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def method(number: int) -> bytes:
    data = bytearray(zipped([("a.npy", header("(1,)") + bytes(4))]))
    data[8] = number
    data[data.index(b"PK\x01\x02") + 10] = number
    return bytes(data)


GOOD = zipped([("a.npy", header("(2,)") + bytes(8))])


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: b"", "not a .npz"),
        (lambda: b"no zip", "not a .npz"),
        (lambda: GOOD[:-30], "truncated, or with extra bytes"),
        (lambda: GOOD + b"more", "truncated, or with extra bytes"),
        (lambda: b"more" + GOOD, "not a .npz"),
        (lambda: zipped([("a.npy", header("(50_000_000_000,)") + bytes(8))]), "expected 200000000128 for"),
        (lambda: zipped([("a.npy", header("(1,)") + bytes(8))]), "expected 132 for"),
        (lambda: zipped([("a.npy", header("(-1,)") + bytes(8))]), "cannot be read|holds"),
        (lambda: zipped([("a.npy", header("(1,)", "|O") + bytes(8))]), "holds object, expected numbers or text"),
        (lambda: zipped([("a.npy", header("(" * 50))]), "cannot be read as a file of arrays"),
        (lambda: zipped([("a.npy", b"\x93NUMPY\x01\x00\xff\xff" + bytes(65535))]), "cannot be read as a file"),
        (lambda: zipped([("a.npy", b"\x93NUMPY\x09\x00" + bytes(200))]), "version"),
        (lambda: zipped([("a.npy", b"nothing")]), "cannot be read as a file of arrays"),
        (lambda: zipped(2 * [("a.npy", header("(1,)") + bytes(4))]), "'a.npy' occurs twice"),
        (lambda: zipped([("../a.npy", header("(1,)") + bytes(4))]), "is not an array"),
        (lambda: zipped([("/a.npy", header("(1,)") + bytes(4))]), "is not an array"),
        (lambda: zipped([("a.txt", b"text")]), "is not an array"),
        (lambda: zipped([("a.npy", header("(1,)") + bytes(4))], zipfile.ZIP_LZMA), "unknown compression 14"),
        (lambda: zipped([("a.npy", header("(50_000_000,)") + bytes(200_000_000))], zipfile.ZIP_DEFLATED), "declares"),
        (encrypted, "a.npy is encrypted"),
        (lambda: method(99), "unknown compression 99"),
    ],
)
def test_a_file_that_is_not_whole_and_plain_is_refused(make, words, tmp_path):
    (tmp_path / "a.npz").write_bytes(make())
    with pytest.raises(InputError, match=words) as raised:
        ArrayFile(tmp_path / "a.npz")
    assert str(raised.value).startswith(f"{tmp_path / 'a.npz'}: ") and "\n" not in str(raised.value)


def test_a_flipped_byte_is_noticed_when_the_array_is_read(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.ones(1000, np.float32))
    data = bytearray((tmp_path / "a.npz").read_bytes())
    data[2000] ^= 1
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(InputError, match="Bad CRC-32"):
        np.asarray(ArrayFile(tmp_path / "a.npz")["a"])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, complex(0, np.nan)])
def test_what_is_finite(bad):
    for values in (np.ones(5, type(bad)), np.empty(0), np.array(2.0)):
        assert is_finite(values)
        if values.size > 1:
            values[3] = bad
            assert not is_finite(values)
