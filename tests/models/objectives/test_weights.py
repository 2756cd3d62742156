"""Loss weights by latitude, level and variable."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airmass.core.errors import InputError
from airmass.fields.channels import ChannelLayout
from airmass.fields.grid import LatLonGrid
from airmass.models.objectives.losses.base import WeightedLoss
from airmass.models.objectives.settings import LossSettings
from airmass.models.objectives.weights import channel_weights, variable_weights

levels_of = st.lists(st.integers(1, 1000), min_size=1, max_size=20, unique=True).map(lambda x: tuple(sorted(x)))


@given(levels_of, st.integers(0, 2**32 - 1))
def test_mean_over_levels_with_unit_mean_weights_is_sum_with_weights_that_sum_to_one(levels, seed):
    grid, layout = LatLonGrid.equiangular(2, 4), ChannelLayout.of(("temperature",), levels)
    errors = np.random.default_rng(seed).normal(size=(grid.size, len(levels)))
    value, _ = WeightedLoss(LossSettings(), layout, grid)(errors[None], np.zeros_like(errors))
    pressure = np.array(levels, float)
    by_level = (grid.area_weights[:, None] * errors**2).mean(axis=0)
    np.testing.assert_allclose(value, np.sum(pressure / pressure.sum() * by_level), rtol=1e-5)
    np.testing.assert_allclose(value, np.mean(pressure / pressure.mean() * by_level), rtol=1e-5)


def test_published_weights_by_default_and_by_name():
    layout = ChannelLayout.of(("2m_temperature", "mean_sea_level_pressure", "temperature"), (500, 1000))
    np.testing.assert_allclose(variable_weights(LossSettings(), layout), [1, 0.1, 1])
    settings = LossSettings(variable={"mean_sea_level_pressure": 2.0, "temperature": 0.5})
    np.testing.assert_allclose(variable_weights(settings, layout), [1, 2, 0.5])
    np.testing.assert_allclose(channel_weights(LossSettings(), layout), [1, 1, 1 / 3, 2 / 3])
    np.testing.assert_allclose(channel_weights(LossSettings(level="uniform"), layout), [1, 1, 0.5, 0.5])


def test_uniform_latitude_weighs_poles_like_the_equator():
    grid, layout = LatLonGrid.equiangular(4, 8), ChannelLayout.of(("2m_temperature",), ())
    polar, tropical = np.zeros((2, grid.size, 1))
    polar[:8] = tropical[8:16] = 1
    uniform, area = (WeightedLoss(LossSettings(latitude=name), layout, grid) for name in ("uniform", "area"))
    zero = np.zeros_like(polar)
    np.testing.assert_allclose(uniform(polar[None], zero)[0], uniform(tropical[None], zero)[0])
    ratio = np.cos(np.deg2rad(67.5)) / np.cos(np.deg2rad(22.5))
    np.testing.assert_allclose(area(polar[None], zero)[0] / area(tropical[None], zero)[0], ratio, rtol=1e-5)


def test_unknown_names_are_refused():
    layout = ChannelLayout.of(("2m_temperature",), ())
    with pytest.raises(InputError, match=r"latitude weight 'aera'.*area, uniform"):
        LossSettings(latitude="aera")
    with pytest.raises(InputError, match="level weight 'presure'"):
        LossSettings(level="presure")
    with pytest.raises(InputError, match=r"variable weight 'temperature'.*2m_temperature"):
        variable_weights(LossSettings(variable={"temperature": 1.0}), layout)
