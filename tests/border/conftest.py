import os

import pytest

from tests.border.healthy import Home, make_home


@pytest.fixture(scope="session")
def home(tmp_path_factory) -> Home:
    return make_home(tmp_path_factory.mktemp("healthy"))


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory):
    """A cache of our own, so that what is written there is seen apart."""
    old = os.environ.get("AIRMASS_CACHE")
    os.environ["AIRMASS_CACHE"] = old or str(tmp_path_factory.mktemp("cache"))
    yield
    if old is None:
        del os.environ["AIRMASS_CACHE"]
