"""Opening stores: each fault is refused in one line that names file, variable, found and expected."""

import shutil
import warnings

import numpy as np
import pytest
import xarray as xr

from airmass.core.errors import InputError
from airmass.data.formats.layout import grid_of
from airmass.data.formats.store import fingerprint, open_store, read, require, require_finite, require_times
from tests.conftest import LEVELS, NAMES, make_store, synthetic_dataset


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_healthy_store_opens_lazily_without_warnings(tmp_path, zarr_format):
    path = make_store(tmp_path / "a.zarr", zarr_format=zarr_format)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = open_store(path)
    assert dataset.temperature.chunks is not None
    assert open_store(path, dask=False).temperature.chunks is None
    assert grid_of(dataset, path).shape == (8, 16)
    require(dataset, path, NAMES, LEVELS)
    require_finite(dataset, path, NAMES)
    require_times(dataset, path, dataset.time.values[3:5])
    xr.testing.assert_equal(dataset.load(), synthetic_dataset()[list(dataset)])


def test_netcdf_opens_like_zarr(tmp_path):
    path = tmp_path / "a.nc"
    synthetic_dataset().to_netcdf(path, engine="h5netcdf")
    assert set(open_store(path).data_vars) == set(NAMES)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"reversed_latitude": True}, r"latitude runs north to south \(78.75 to -78.75\), expected .*data convert"),
        ({"swapped": True}, r"has dimensions \(.*'longitude', 'latitude'\), expected .*data convert"),
        ({"uneven_latitude": True}, "latitude is unevenly spaced: steps from 20.25 to 24.75"),
        ({"units": {"temperature": "C"}}, "temperature has units 'C', expected 'K'"),
        ({"units": {"level": "Pa"}}, "level has units 'Pa', expected 'hPa'"),
        ({"levels": (50000, 85000)}, "level runs to 85000, expected hPa"),
        ({"levels": (850, 500)}, r"level is \[850.0, 500.0\], expected rising"),
        ({"duplicate_time": 2}, "time 2000-11-01T12:00 appears twice"),
    ],
)
def test_faults_are_refused(tmp_path, fault, said):
    path = make_store(tmp_path / "a.zarr", **fault)
    with pytest.raises(InputError, match=said) as caught:
        open_store(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def test_what_is_not_a_store_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        open_store(tmp_path / "none.zarr")
    (tmp_path / "empty.zarr").mkdir()
    (tmp_path / "text.nc").write_text("not netcdf")
    for name in ("empty.zarr", "text.nc"):
        with pytest.raises(InputError, match=f"{name}: .*(no Zarr store|expected a Zarr store, NetCDF or GRIB file)"):
            open_store(tmp_path / name)


def test_missing_coordinate_and_backward_time(tmp_path):
    dataset = synthetic_dataset(names=("2m_temperature",))
    dataset.rename(latitude="lat").to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    with pytest.raises(InputError, match=r"latitude is missing; coordinates found: .*longitude"):
        open_store(tmp_path / "a.nc")
    dataset.isel(time=[1, 0, 2]).to_netcdf(tmp_path / "b.nc", engine="h5netcdf")
    with pytest.raises(InputError, match="time runs backwards after 2000-11-01T06:00"):
        open_store(tmp_path / "b.nc")


def test_zero_longitude_lost_to_a_zarr_v2_fill_value_is_explained(tmp_path):
    path = tmp_path / "a.zarr"
    dataset = synthetic_dataset(names=("2m_temperature",))
    dataset.to_zarr(path, zarr_format=2, encoding={"longitude": {"_FillValue": 0.0}})
    with pytest.raises(InputError, match=r"longitude has 1 missing values of 16 .*fill_value is 0"):
        open_store(path)


def test_require_says_what_is_held(tmp_path):
    path = make_store(tmp_path / "a.zarr", missing_variable="temperature", missing_level=500, missing_time=4)
    dataset = open_store(path)
    with pytest.raises(InputError, match="missing variable temperature; the store holds 10m_u"):
        require(dataset, path, ["temperature", "geopotential"])
    with pytest.raises(InputError, match=r"missing level \[500\] hPa; the store holds \[300, 850\]"):
        require(dataset, path, ["geopotential"], [500, 850])
    require(dataset, path, ["2m_temperature"], [500])
    wanted = np.datetime64("2000-11-02") + np.array([0, 6]) * np.timedelta64(1, "h")
    with pytest.raises(InputError, match="missing time 2000-11-02T00:00; the store holds 2000-11-01T00:00 to"):
        require_times(dataset, path, wanted)


def test_missing_values_are_counted_but_sst_may_have_them(tmp_path):
    path = make_store(tmp_path / "a.zarr", nan="temperature")
    dataset = open_store(path)
    require_finite(dataset, path, ["sea_surface_temperature", "geopotential"])
    with pytest.raises(InputError, match="temperature has 3 NaN or infinite values, first at 2000-11-01T06:00"):
        require_finite(dataset, path, ["temperature"])


def test_unreadable_chunk_is_named(tmp_path):
    path = make_store(tmp_path / "a.zarr", corrupt_chunk="temperature")
    dataset = open_store(path)
    assert read(dataset.temperature.isel(time=0), path).shape == (3, 8, 16)
    with pytest.raises(InputError, match=r"a.zarr: temperature cannot be read between 2000-11-01T06:00 and"):
        read(dataset.temperature.isel(time=slice(1, 3)), path)
    with pytest.raises(InputError, match="temperature cannot be read"):
        require_finite(dataset, path, ["temperature"])


def test_fingerprint_tells_data_apart_and_survives_a_copy(tmp_path, store):
    shutil.copytree(store, tmp_path / "copy.zarr")
    first = fingerprint(open_store(store), store)
    assert first == fingerprint(open_store(tmp_path / "copy.zarr", dask=False), tmp_path)
    dataset = synthetic_dataset()
    assert first == fingerprint(dataset, "memory")
    dataset["2m_temperature"][0, 3, 3] += 0.01
    assert first != fingerprint(dataset, "memory")
    assert first != fingerprint(synthetic_dataset().isel(time=slice(1, None)), "memory")
