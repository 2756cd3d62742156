"""Damaged GRIB files, drawn: bytes changed, cut and put in. Whatever comes is one line, or fields."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airmass.core.errors import InputError
from airmass.data.formats.opening import open_unchecked
from tests.conftest import synthetic_dataset
from tests.grib import messages

NAMES = {"temperature": "t", "2m_temperature": "2t", "sea_surface_temperature": "sst"}


@pytest.fixture(scope="module")
def healthy() -> list[bytes]:
    dataset = synthetic_dataset(days=0.25, n_latitude=4, n_longitude=8, levels=(500,), names=tuple(NAMES))
    return [b"".join(messages(dataset, NAMES, edition=edition)) for edition in (1, 2)]


# A place among the bytes, most often in the first message's header, and what is done there.
CHANGE = st.tuples(
    st.one_of(st.integers(0, 200), st.integers(0, 5000)),
    st.sampled_from(["set", "cut", "put", "end"]),
    st.binary(min_size=1, max_size=4),
)


def damaged(data: bytes, changes: list[tuple[int, str, bytes]]) -> bytes:
    for place, kind, given_bytes in changes:
        at = place % max(len(data), 1)
        rest = {"set": at + len(given_bytes), "cut": at + len(given_bytes), "put": at, "end": len(data)}[kind]
        data = data[:at] + (given_bytes if kind in ("set", "put") else b"") + data[rest:]
    return data


def require_a_line_or_fields(path, data: bytes) -> None:
    path.write_bytes(data)
    try:
        open_unchecked(path, dask=False).load()
    except InputError as error:
        assert "\n" not in str(error) and str(path) in str(error)


@settings(max_examples=60, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(which=st.integers(0, 1), changes=st.lists(CHANGE, min_size=1, max_size=4))
def test_damage_is_one_line(healthy, tmp_path, which, changes):
    require_a_line_or_fields(tmp_path / "a.grib", damaged(healthy[which], changes))


@pytest.mark.slow
@settings(max_examples=20_000, suppress_health_check=list(HealthCheck))
@given(which=st.integers(0, 1), changes=st.lists(CHANGE, min_size=1, max_size=8))
def test_much_damage_is_one_line(healthy, tmp_path, which, changes):
    require_a_line_or_fields(tmp_path / "a.grib", damaged(healthy[which], changes))
