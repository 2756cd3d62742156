"""Where a store is: local folder, bucket or web server. Buckets are out of reach of a test, so only their specs are."""

import warnings

import pytest
import tensorstore
import xarray as xr
import zarr

from airmass.core.errors import InputError
from airmass.data.formats.remote import kvstore_spec
from airmass.data.formats.store import open_store
from tests.conftest import make_store, synthetic_dataset
from tests.served import served


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


def test_a_remote_store_needs_consolidated_metadata_and_to_be_there(tmp_path, web):
    make_store(tmp_path / "s.zarr", days=1)
    with pytest.raises(InputError, match=r"s.zarr: has no consolidated metadata"):
        open_store(f"{web}/s.zarr")
    with pytest.raises(InputError, match=r"absent.zarr: cannot be read as a Zarr store"):
        open_store(f"{web}/absent.zarr")
