import pytest

from tests.conftest import make_store


@pytest.fixture(scope="session")
def small_store(tmp_path_factory):
    """Five healthy days."""
    return make_store(tmp_path_factory.mktemp("small") / "store.zarr", days=5)
