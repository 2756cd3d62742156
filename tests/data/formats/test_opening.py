"""Broken stores and files: whatever the libraries raise, one line that names file and field, and no waiting."""

import json
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from airmass.core.errors import InputError
from airmass.data.formats.layout import problems
from airmass.data.formats.opening import open_unchecked
from airmass.data.formats.store import open_store, read
from airmass.data.preparation.convert import convert
from tests.conftest import make_store, synthetic_dataset

FIELD = "temperature"
BYTES = {
    "not JSON": b"{",
    "not UTF-8": b"\xff\xfe{}",
    "deep": b"[" * 100_000,
    "a list": b"[]",
    "null": b"null",
    "text": b'"x"',
    "NaN": b"NaN",
    "empty": b"",
}


def small() -> xr.Dataset:
    return synthetic_dataset(days=1, names=(FIELD, "2m_temperature"))


def refused(path: str | Path) -> str:
    """The line with which a store is refused, at the latest when it is read."""
    with warnings.catch_warnings(), pytest.raises(InputError) as caught:
        warnings.simplefilter("error")
        dataset = open_store(path, dask=False)
        for name in dataset.data_vars:
            read(dataset[name], path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind", BYTES)
@pytest.mark.parametrize(
    ("zarr_format", "file"),
    [
        (3, "zarr.json"),
        (3, f"{FIELD}/zarr.json"),
        (3, "latitude/zarr.json"),
        (2, ".zmetadata"),
        (-2, ".zgroup"),  # without consolidated metadata
        (-2, f"{FIELD}/.zarray"),
        (-2, f"{FIELD}/.zattrs"),
    ],
)
def test_broken_metadata(tmp_path, zarr_format, file, kind):
    if file.endswith(".zattrs") and kind in ("null", "NaN"):
        pytest.skip("zarr reads these as no attributes")
    path = tmp_path / "a.zarr"
    small().to_zarr(path, zarr_format=abs(zarr_format), consolidated=zarr_format == 2)
    (path / file).write_bytes(BYTES[kind])
    assert Path(file).parent.name in refused(path)


@pytest.mark.parametrize("file", ["zarr.json", f"{FIELD}/zarr.json"])
def test_metadata_that_are_no_regular_files(tmp_path, file):
    path = make_store(tmp_path / "a.zarr", small())
    (path / file).unlink()
    os.mkfifo(path / file)
    assert refused(path) == f"{path / file}: not a regular file"
    (path / file).unlink()
    (path / file).symlink_to(path / file)
    refused(path)


def changed(path: Path, name: str, **changes) -> Path:
    """A store with other metadata of one array; `attributes` are added to its own."""
    file = make_store(path, small()) / name / "zarr.json"
    about = json.loads(file.read_text())
    about["attributes"] |= changes.pop("attributes", {})
    file.write_text(json.dumps(about | changes))
    return path


def chunks(*shape: int) -> dict:
    return {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": shape}}}


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        (FIELD, chunks(0, 3, 8, 16), "has chunks of shape (0, 3, 8, 16), expected sizes of 1 or more"),
        ("latitude", chunks(0), "has chunks of shape (0,), expected sizes of 1 or more"),
        (FIELD, chunks(-1, 3, 8, 16), "cannot be read: "),
        (FIELD, chunks(1), "cannot be read: "),
        (FIELD, {"codecs": [{"name": "nope"}]}, "cannot be read: Unknown codec"),
        (FIELD, {"codecs": []}, "cannot be read: "),
        (FIELD, {"codecs": [{"name": "bytes", "configuration": {"endian": "little"}}]}, "cannot be read between"),
        ("latitude", {"codecs": [{"name": "bytes", "configuration": {"endian": "little"}}]}, "cannot be read: "),
        (FIELD, {"data_type": "float99"}, "cannot be read: "),
        (FIELD, {"fill_value": "zzz"}, "cannot be read: "),
        (FIELD, {"zarr_format": 99}, "cannot be read: "),
        (FIELD, {"shape": "x"}, "cannot be read: "),
        (FIELD, {"shape": [-1, 3, 8, 16]}, "cannot be read: "),
        ("latitude", {"shape": [10**12]}, "has 1000000000000 values, expected 20000000 at most along a dimension"),
        (FIELD, {"dimension_names": None}, "does not name its dimensions"),
        (FIELD, {"dimension_names": ["time", "level", "latitude", "latitude"]}, "expected each name once"),
        (FIELD, {"dimension_names": [1, 2, 3, 4]}, "cannot be read: "),
        (FIELD, {"attributes": {"scale_factor": "two"}}, "has scale_factor 'two', expected a number"),
        (FIELD, {"attributes": {"add_offset": [1, 2]}}, "has add_offset [1, 2], expected a number"),
        (FIELD, {"attributes": {"coordinates": 5}}, "cannot be read: "),
        (FIELD, {"attributes": {"units": 5}}, "has units 5, expected 'K'"),
        (FIELD, {"attributes": {"units": [1, 2]}}, "has units [1, 2], expected 'K'"),
        ("level", {"attributes": {"units": 5}}, "has units 5, expected 'hPa'"),
        ("time", {"attributes": {"units": "fortnights since when"}}, "cannot be read: unable to decode time units"),
        ("time", {"attributes": {"units": 5}}, "is int64, expected dates"),
        ("time", {"attributes": {"calendar": "mayan"}}, "cannot be read: unable to decode time units"),
        ("time", {"attributes": {"calendar": "noleap"}}, "is in the calendar 'noleap', expected dates"),
        ("time", {"attributes": {"units": "days since 99999-01-01"}}, "expected dates"),
    ],
)
def test_faults_of_one_array_name_it(tmp_path, name, changes, said):
    path = changed(tmp_path / "a.zarr", name, **changes)
    assert said in (line := refused(path)) and f" {name} " in line


@pytest.mark.parametrize("name", [FIELD, "latitude"])
def test_metadata_that_are_lost(tmp_path, name):
    path = make_store(tmp_path / "a.zarr", small())
    (path / name / "zarr.json").unlink()
    assert f"{name} has no metadata file" in refused(path)


@pytest.mark.parametrize("engine", ["h5netcdf", "scipy"])
def test_cut_files(tmp_path, engine):
    small().to_netcdf(tmp_path / "a.nc", engine=engine)
    whole = (tmp_path / "a.nc").read_bytes()
    for length in (9, 60, 300, 1000, len(whole) // 2, len(whole) - 8):
        (tmp_path / "a.nc").write_bytes(whole[:length])
        refused(tmp_path / "a.nc")


def test_units_of_time_with_a_flipped_byte(tmp_path):
    small().to_netcdf(tmp_path / "a.nc", engine="scipy")
    content = (tmp_path / "a.nc").read_bytes()
    assert content.count(b"since 2000-11-01") == 1
    (tmp_path / "a.nc").write_bytes(content.replace(b"since 2000-11-01", b"since 2\x0000-11-01"))
    with warnings.catch_warnings(record=True) as said, pytest.raises(InputError, match="time cannot be read"):
        warnings.simplefilter("always")
        open_store(tmp_path / "a.nc", dask=False)
    assert not [warning for warning in said if "Ambiguous" in str(warning.message)]


def with_level(values, **attributes):
    return small().assign_coords(level=("level", np.asarray(values), attributes))


def with_time(values):
    return small().assign_coords(time=values)


def with_values(name, change):
    return small().assign_coords({name: change(small()[name].values)})


NAT = small().time.values.copy()
NAT[1] = np.datetime64("NaT")
CURVED = {"latitude": (("y", "x"), np.zeros((8, 16))), "longitude": (("y", "x"), np.zeros((8, 16)))}
# A dataset, the coordinate or field at fault, what is wrong with it.
ODD = {
    "level text": (with_level(["a", "b", "c"]), "level", "is <U1, expected numbers"),
    "level NaN": (with_level([300, np.nan, 850]), "level", "has 1 missing values of 3"),
    "level negative": (with_level([-5, 500, 850]), "level", "has -5, expected whole hPa above 0"),
    "level 50.5": (with_level([50.5, 500, 850]), "level", "has 50.5, expected whole hPa above 0"),
    "level twice": (with_level([300, 300, 850]), "level", "is [300.0, 300.0, 850.0], expected rising, each once"),
    "level in Pa": (with_level([30000, 50000, 85000]), "level", "runs to 85000, expected hPa: are these Pa?"),
    "level complex": (with_level(np.array([300, 500, 850j])), "level", "is complex128, expected numbers"),
    "level bool": (with_level([False, True, True]), "level", "is bool, expected numbers"),
    "level units": (with_level([300, 500, 850], units=np.array([1, 2])), "level", "has units array([1, 2])"),
    "level without values": (small().drop_vars("level"), "level", "is missing, a dimension without values"),
    "latitude complex": (with_values("latitude", lambda x: x * 1j), "latitude", "is complex128, expected numbers"),
    "latitude text": (with_values("latitude", lambda x: x.astype(str)), "latitude", "is <U32, expected numbers"),
    "latitude without values": (small().drop_vars("latitude"), "latitude", "is missing, a dimension without values"),
    "latitude infinite": (with_values("latitude", lambda x: np.where(x > 70, np.inf, x)), "latitude", "has 1 missing"),
    "latitude one": (small().isel(latitude=0), "latitude", "has dimensions (), expected ('latitude',)"),
    "longitude none": (small().isel(longitude=slice(0, 0)), "longitude", "is empty"),
    "curved": (small().drop_vars(CURVED).rename(latitude="y", longitude="x").assign_coords(CURVED), "latitude", "has"),
    "field complex": (small().astype(np.complex64), FIELD, "is complex64, expected numbers"),
    "field text": (small().astype("U3"), FIELD, "is <U3, expected numbers"),
    "field bool": (small().astype(bool), FIELD, "is bool, expected numbers"),
    "field int8": (small().astype(np.int8), FIELD, "is int8 without a scale_factor, expected floating point numbers"),
    "field dates": (small().astype(np.int64).astype("M8[ns]"), FIELD, "is datetime64[ns], expected numbers"),
    "field objects": (small().astype(object), FIELD, "is object, expected numbers"),
    "time empty": (small().isel(time=slice(0, 0)), "time", "is empty"),
    "time NaT": (with_time(NAT), "time", "has 1 missing values of 4"),
    "time numbers": (with_time([1, 2, 3, 4]), "time", "is int64, expected dates"),
    "time without values": (small().drop_vars("time"), "time", "is a dimension without values, expected dates"),
    "time alone": (small().isel(time=0), FIELD, "has dimensions ('level', 'latitude', 'longitude'), expected"),
    "one dimension more": (small().expand_dims("batch"), FIELD, "has dimensions ('batch', 'time', 'level',"),
    "nothing": (xr.Dataset(), "latitude", "is missing; coordinates found: none"),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_datasets_have_problems_and_nothing_is_raised(case):
    dataset, where, said = ODD[case]
    found = dict(reversed(list(problems(dataset))))
    assert said in found[where]
    assert not any("\n" in problem for problem in found.values())


def test_only_advice_that_can_be_followed(tmp_path):
    cases = {case: dataset for case, (dataset, *_) in ODD.items()}
    cases["another order"] = small().transpose(..., "longitude", "latitude")
    advised = [case for case, dataset in cases.items() if any("data convert" in said for _, said in problems(dataset))]
    assert "another order" in advised
    for case in advised:
        cases[case].to_zarr(tmp_path / f"{case}.zarr", zarr_format=3, consolidated=False)
        convert(tmp_path / f"{case}.zarr", tmp_path / f"{case} converted.zarr")
        assert FIELD in open_store(tmp_path / f"{case} converted.zarr")


@pytest.mark.parametrize("dtype", [np.float16, np.float64, ">f4"])
def test_unusual_numbers_are_read_right(tmp_path, dtype):
    wanted = small()[FIELD].astype(dtype)
    small().assign({FIELD: wanted}).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    small().assign({FIELD: wanted}).to_zarr(tmp_path / "a.zarr", zarr_format=2)
    for name in ("a.nc", "a.zarr"):
        np.testing.assert_array_equal(open_store(tmp_path / name)[FIELD], wanted)


def test_a_mask_of_whole_numbers_and_dates_of_cftime_are_read_right(tmp_path):
    times = xr.date_range("2000-02-28", periods=4, freq="6h", calendar="standard", use_cftime=True)
    dataset = with_time(times).assign(land_sea_mask=(("latitude", "longitude"), np.eye(8, 16, dtype=np.int8)))
    dataset.to_zarr(tmp_path / "a.zarr", zarr_format=3, consolidated=False)
    found = open_store(tmp_path / "a.zarr")
    assert found.time.values[0] == np.datetime64("2000-02-28")
    np.testing.assert_array_equal(found.land_sea_mask, np.eye(8, 16))


def test_one_level_beside_the_fields_stays_one(tmp_path):
    one = small().isel(level=0)
    assert float(open_unchecked(make_store(tmp_path / "a.zarr", one)).level) == 300


def test_other_things_in_the_folder_of_a_store_do_not_matter(tmp_path):
    path = make_store(tmp_path / "a.zarr", small())
    (path / "notes").mkdir()
    (path / "README").write_text("ours")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        xr.testing.assert_identical(open_store(path).load(), small())
