"""Every source of fields, found by itself: one archive written in each format reads as one dataset."""

import shutil
from collections.abc import Callable
from pathlib import Path

import icechunk
import numpy as np
import pytest
import xarray as xr

from airmass.core.errors import InputError
from airmass.data.formats.kind import Kind, kind_of
from airmass.data.formats.opening import open_unchecked
from airmass.data.sources import sources
from tests.conftest import make_store, synthetic_dataset
from tests.grib import messages, write

NAMES = {"geopotential": "z", "temperature": "t", "2m_temperature": "2t"}


def archive() -> xr.Dataset:
    return synthetic_dataset(days=1, names=tuple(NAMES))


def grib(path: Path) -> Path:
    return write(path, messages(archive(), NAMES))


def netcdf(engine: str) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        archive().to_netcdf(path, engine=engine)
        return path

    return make


def icechunk_repository(path: Path) -> Path:
    made = icechunk.Repository.create(icechunk.local_filesystem_storage(str(path)))
    session = made.writable_session("main")
    archive().chunk(time=1).to_zarr(session.store, zarr_format=3, consolidated=False)
    session.commit("fields of a day")
    return path


# A new source is tested once its format has a writer here, which must not be airmass's own.
WRITERS: dict[Kind, Callable[[Path], Path]] = {
    Kind.ZARR: lambda path: make_store(path, archive()),
    Kind.NETCDF4: netcdf("h5netcdf"),
    Kind.NETCDF3: netcdf("scipy"),
    Kind.GRIB: grib,
    Kind.ICECHUNK: icechunk_repository,
}


def test_every_kind_has_a_source_and_a_writer():
    assert set(sources()) == set(Kind) == set(WRITERS)


@pytest.fixture(scope="module", params=sorted(WRITERS, key=str), ids=lambda kind: kind.name)
def written(request, tmp_path_factory) -> tuple[Kind, Path]:
    return request.param, WRITERS[request.param](tmp_path_factory.mktemp("source") / "archive")


def as_ours(dataset: xr.Dataset) -> xr.Dataset:
    named = dataset.rename({short: name for name, short in NAMES.items() if short in dataset})
    return named.sortby("latitude")[list(NAMES)]


@pytest.mark.parametrize("dask", [False, True])
def test_fields_and_coordinates_are_those_written(written, dask):
    kind, path = written
    assert kind_of(path) is kind
    opened = as_ours(open_unchecked(path, dask))
    xr.testing.assert_equal(opened.load(), archive())
    assert all(field.dtype == np.float32 for field in opened.data_vars.values())


def test_a_part_is_the_part_of_the_whole(written):
    _, path = written
    opened = as_ours(open_unchecked(path, dask=False))
    part = {"time": [3, 1], "latitude": slice(1, 4), "longitude": 5}
    xr.testing.assert_equal(opened.isel(part).load(), archive().isel(part))
    point = opened.temperature.isel(time=2, level=1, latitude=-1, longitude=0)
    assert float(point) == float(archive().temperature[2, 1, -1, 0])


def test_an_absent_file_is_one_line(written, tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        open_unchecked(tmp_path / "absent")


def test_a_truncated_file_is_one_line(written, tmp_path):
    kind, path = written
    if kind is Kind.ZARR:
        shutil.copytree(path, tmp_path / "cut")
        (tmp_path / "cut" / "temperature" / "zarr.json").write_text('{"zarr_format"')
    elif kind is Kind.ICECHUNK:
        shutil.copytree(path, tmp_path / "cut")
        for file in (tmp_path / "cut" / "snapshots").iterdir():
            file.write_bytes(file.read_bytes()[:-50])
    else:
        (tmp_path / "cut").write_bytes(path.read_bytes()[: path.stat().st_size // 2 - 7])
    with pytest.raises(InputError, match=r"cut: .*(cannot be read|truncated)"):
        open_unchecked(tmp_path / "cut").load()
