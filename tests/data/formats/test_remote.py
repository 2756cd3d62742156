"""Where a store is: local folder, bucket or web server. Buckets are out of reach of a test, so only their specs are."""

import time
import warnings

import numpy as np
import pytest
import tensorstore
import xarray as xr
import zarr

from airmass.core.errors import InputError
from airmass.data.formats import remote
from airmass.data.formats.climatology import open_climatology
from airmass.data.formats.opening import open_unchecked
from airmass.data.formats.remote import kvstore_spec
from airmass.data.formats.store import open_store
from airmass.data.preparation.convert import convert
from airmass.data.preparation.statistics import compute_statistics
from tests.conftest import make_store, synthetic_dataset
from tests.served import served, stubborn


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("s3://bucket/era5/s.zarr", "s3://bucket/era5/s.zarr/temperature/"),
        ("gs://bucket/s.zarr/", "gs://bucket/s.zarr/temperature/"),
        ("https://host:8080/a/s.zarr", "https://host:8080/a/s.zarr/temperature/"),
        ("/data/s.zarr", "file:///data/s.zarr/temperature/"),
    ],
)
def test_only_the_spec_of_a_variable_in_a_store(path, url):
    """tensorstore takes the spec and gives the address it stands for; nothing is connected to."""
    assert tensorstore.KvStore.Spec(kvstore_spec(path, "temperature")).url == url


def test_the_spec_of_a_store_at_the_root_of_a_bucket():
    assert tensorstore.KvStore.Spec(kvstore_spec("s3://bucket")).url == "s3://bucket/"


def test_other_places_are_refused():
    with pytest.raises(InputError, match=r"ftp://host/s.zarr: cannot read from ftp://, expected a local path or s3://"):
        open_store("ftp://host/s.zarr")


@pytest.fixture
def web(tmp_path):
    with served(tmp_path) as address:
        yield address


@pytest.mark.parametrize("dask", [True, False])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_store_on_a_web_server_opens_as_a_local_one_does(tmp_path, web, zarr_format, dask):
    store = make_store(tmp_path / "s.zarr", synthetic_dataset(days=1), zarr_format=zarr_format)
    with warnings.catch_warnings(action="ignore"):
        zarr.consolidate_metadata(store)
    xr.testing.assert_identical(open_store(f"{web}/s.zarr", dask).load(), open_store(store).load())


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_store_without_consolidated_metadata_is_asked_for_known_names(tmp_path, web, zarr_format):
    dataset = synthetic_dataset(days=1).assign_coords(height=("column", [1.0, 2.0]))
    dataset["t2m"] = dataset["2m_temperature"].assign_coords(
        expver=7
    )  # a short name, and a coordinate without a dimension
    dataset["theirs"] = ("time", np.arange(4.0))
    dataset.to_zarr(tmp_path / "s.zarr", zarr_format=zarr_format, consolidated=False)
    found, expected = open_unchecked(f"{web}/s.zarr").load(), open_unchecked(tmp_path / "s.zarr").load()
    xr.testing.assert_identical(found, expected.drop_vars(["theirs", "height"]))


def test_a_remote_store_that_is_not_there(web):
    with pytest.raises(InputError, match=r"absent.zarr: no readable Zarr store"):
        open_store(f"{web}/absent.zarr")


@pytest.mark.parametrize("address", ["http://", "s3://", "https:///a", "http://[::bad/a", "http://host:99999/a"])
def test_addresses_without_a_server(address):
    with pytest.raises(InputError, match=r"names no (server|bucket)$"):
        open_store(address)


def test_an_address_may_have_a_query(tmp_path, web):
    store = make_store(tmp_path / "s.zarr", synthetic_dataset(days=1))
    xr.testing.assert_identical(open_store(f"{web}/s.zarr?key=value").load(), open_store(store).load())


def test_all_stores_that_airmass_writes_are_read_from_a_web_server(tmp_path, web, store):
    convert(store, tmp_path / "converted.zarr")
    compute_statistics(store, tmp_path / "stats", ("2000-11-01", "2000-11-03"))
    for opened, name in ((open_store, "converted.zarr"), (open_climatology, "stats/climatology.zarr")):
        xr.testing.assert_identical(opened(f"{web}/{name}").load(), opened(tmp_path / name).load())


@pytest.mark.parametrize("kind", ["silent", "dripping"])
def test_a_server_that_does_not_answer_is_given_up(kind, monkeypatch):
    monkeypatch.setattr(remote, "FIRST_ANSWER", 1.0)
    began = time.monotonic()
    with stubborn(kind) as address, pytest.raises(InputError, match=r"zarr.json: no complete response in 1 s"):
        open_store(f"{address}/s.zarr")
    assert time.monotonic() - began < 5
