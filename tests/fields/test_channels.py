"""Channels: their order, and that packing and unpacking undo each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airmass.core.errors import InputError
from airmass.fields.channels import ChannelLayout
from airmass.fields.grid import LatLonGrid
from tests.conftest import LEVELS, NAMES, synthetic_dataset

CHANGING = tuple(n for n in NAMES if n not in ("geopotential_at_surface", "land_sea_mask"))
GRID = LatLonGrid.equiangular(8, 16)
DATASET = synthetic_dataset(days=0.5)


def test_published_order_is_by_name_with_levels_inside():
    layout = ChannelLayout.of(("temperature", "2m_temperature", "geopotential"), (500, 850))
    assert layout.channels == (
        ("2m_temperature", None), ("geopotential", 500), ("geopotential", 850), ("temperature", 500),
        ("temperature", 850),
    )  # fmt: skip
    assert layout.columns("geopotential") == slice(1, 3)
    assert layout.index(("temperature", 850)) == 4
    with pytest.raises(InputError, match="no channel for temperature at 300 hPa"):
        layout.index(("temperature", 300))


@settings(deadline=None, max_examples=20)
@given(
    st.lists(st.sampled_from(CHANGING), min_size=1, unique=True),
    st.lists(st.sampled_from(LEVELS), min_size=1, unique=True).map(sorted),
)
def test_unpack_undoes_pack(names, levels):
    layout = ChannelLayout.of(tuple(names), tuple(levels))
    packed = layout.pack(DATASET)
    assert packed.shape == (2, GRID.size, len(layout)) and packed.dtype == np.float32
    for name, values in layout.unpack(packed, GRID).items():
        field = DATASET[name].sel(level=levels) if "level" in DATASET[name].dims else DATASET[name]
        np.testing.assert_array_equal(values, field.values)


def test_static_fields_pack_without_time():
    packed = ChannelLayout.of(("land_sea_mask", "geopotential_at_surface"), ()).pack(DATASET)
    assert packed.shape == (GRID.size, 2)
    np.testing.assert_array_equal(packed[:, 1], DATASET.land_sea_mask.values.ravel())


def test_order_of_dimensions_in_the_dataset_does_not_matter():
    layout = ChannelLayout.of(("temperature",), LEVELS)
    turned = DATASET.transpose("longitude", "level", "latitude", "time")
    np.testing.assert_array_equal(
        layout.pack(turned.transpose("time", ...)), layout.pack(DATASET)
    )  # time leads; the rest is by name
