"""What a file is, told from its first bytes: the right kind for what can be read, a word for what cannot."""

import gzip
import os
import socket
import zipfile
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from airmass.core.errors import InputError
from airmass.data.formats.kind import Kind, is_one_file, kind_of
from airmass.data.formats.store import open_store
from tests.conftest import make_store, synthetic_dataset

NAMES = ("2m_temperature",)


def small() -> xr.Dataset:
    return synthetic_dataset(days=1, names=NAMES)


def test_names_do_not_matter(tmp_path):
    make_store(tmp_path / "a.nc", small())
    make_store(tmp_path / "b", small(), zarr_format=2)
    small().to_netcdf(tmp_path / "c.zarr", engine="h5netcdf")
    small().to_netcdf(tmp_path / "d", engine="scipy")
    expected = {"a.nc": Kind.ZARR, "b": Kind.ZARR, "c.zarr": Kind.NETCDF4, "d": Kind.NETCDF3}
    for name, kind in expected.items():
        assert kind_of(tmp_path / name) is kind
        assert is_one_file(tmp_path / name) == (kind is not Kind.ZARR)
        xr.testing.assert_equal(open_store(tmp_path / name).load(), small())


def test_hdf5_after_a_user_block_is_one_file(tmp_path):
    (tmp_path / "a").write_bytes(bytes(2048) + b"\x89HDF\r\n\x1a\n")
    assert kind_of(tmp_path / "a") is Kind.NETCDF4


@pytest.mark.parametrize("form", ["NETCDF3_CLASSIC", "NETCDF3_64BIT"])
def test_packed_netcdf_3_is_decoded(tmp_path, form):
    packing = {"dtype": "i2", "scale_factor": 0.5, "add_offset": 280.0, "_FillValue": -32767}
    time = {"units": "hours since 1900-01-01", "dtype": "i4"}
    whole = small().map(lambda field: 280 + (field - 280).round()).assign_coords(small().coords)
    encoding = {"2m_temperature": packing, "time": time}
    whole.to_netcdf(tmp_path / "a.nc", engine="scipy", format=form, encoding=encoding)
    found = open_store(tmp_path / "a.nc", dask=False)
    assert found["2m_temperature"].encoding["scale_factor"] == 0.5
    np.testing.assert_array_equal(found["2m_temperature"], whole["2m_temperature"])
    np.testing.assert_array_equal(found.time, whole.time)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><html>Not found</html>", "a web page or XML, as a failed download leaves behind"),
        (b'\n{"error": "no licence"}', "JSON"),
        (b"please accept the licence\n", "text"),
        (b"CDF\x05\x00\x00\x00\x00", "64-bit data .CDF-5., which `nccopy -k nc4 IN OUT` makes readable"),
        (gzip.compress(b"CDF\x01", mtime=0), "compressed by gzip; decompress it first"),
        (b"\x0e\x03\x13\x01", "HDF 4"),
        (bytes(257) + b"ustar", "a tar archive"),
        (bytes(range(256)), "of an unknown format"),
    ],
)
def test_other_files_are_refused_by_what_they_are(tmp_path, content, said):
    (tmp_path / "a.nc").write_bytes(content)
    with pytest.raises(InputError, match=rf"a\.nc: .*{said}.*; expected a Zarr store, NetCDF or GRIB file$") as caught:
        open_store(tmp_path / "a.nc")
    assert "\n" not in str(caught.value)


def test_archives_are_told_apart(tmp_path):
    with zipfile.ZipFile(tmp_path / "zip.nc", "w") as archive:  # as the Climate Data Store sends
        archive.writestr("data_stream-oper.nc", b"CDF\x01")
    np.savez(tmp_path / "a.npz", a=np.zeros(3))
    for name, said in {"zip.nc": r"a zip archive \(of data_stream-oper.nc and", "a.npz": "an npz archive"}.items():
        with pytest.raises(InputError, match=said):
            kind_of(tmp_path / name)


def test_only_regular_files_and_folders_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "file").touch()
    with socket.socket(socket.AF_UNIX) as held:
        held.bind(str(tmp_path / "socket"))
    expected = {
        tmp_path / "pipe": "a named pipe, expected a file or folder",
        tmp_path / "socket": "a socket, expected a file or folder",
        Path("/dev/zero"): "a device, expected a file or folder",
        tmp_path / "a": "Too many levels of symbolic links",
        tmp_path / ("a" * 300): "File name too long",
        tmp_path / "file" / "inside": "no such file or folder",
        tmp_path / os.fsdecode(b"\xff.nc"): "no such file or folder",
    }
    for path, said in expected.items():
        with pytest.raises(InputError, match=said):
            open_store(path)
    with pytest.raises(InputError, match=r"'a\\x00b': a path cannot hold the character NUL"):
        open_store("a\0b")


def test_names_that_are_no_text_are_read(tmp_path):
    make_store(tmp_path / os.fsdecode(b"a\xff.zarr"), small())
    small().to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    (tmp_path / "a.nc").rename(tmp_path / os.fsdecode(b"a\xff.nc"))
    for name in (b"a\xff.zarr", b"a\xff.nc"):
        xr.testing.assert_equal(open_store(tmp_path / os.fsdecode(name)).load(), small())


def test_folders_that_are_no_store(tmp_path):
    store = make_store(tmp_path / "s.zarr", small())
    with pytest.raises(InputError, match=r"a folder without zarr.json or .zgroup, so no Zarr store; it holds s.zarr$"):
        kind_of(tmp_path)
    with pytest.raises(InputError, match=r"latitude cannot be read|2m_temperature: .*array|not a group|cannot be read"):
        open_store(store / "2m_temperature")
