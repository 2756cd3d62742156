"""Clock and sun, beside the published values and beside what follows from the orbit."""

import numpy as np
import pytest

from airmass.fields.clock import day_progress, year_progress
from airmass.fields.forcing import FORCING_SCALES, forcings
from airmass.fields.grid import LatLonGrid
from airmass.fields.solar import toa_incident_solar_radiation, total_solar_irradiance
from airmass.fields.variables import COMPUTED
from tests.golden_case import GOLDEN


def test_forcings_are_the_published_ones():
    task = GOLDEN.published.task
    ours = forcings(task.forcing, GOLDEN.times, GOLDEN.grid)
    for column, name in enumerate(task.forcing):
        expected = GOLDEN.forcings[..., column]
        np.testing.assert_allclose(ours[..., column], expected, atol=2e-5 * np.abs(expected).max(), err_msg=name)


def test_radiation_is_the_published_to_four_digits_at_the_terminator_too():
    name = "toa_incident_solar_radiation"
    expected = GOLDEN.forcings[..., GOLDEN.published.task.forcing.index(name)]
    ours = toa_incident_solar_radiation(GOLDEN.times, GOLDEN.grid)
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=0)


def test_rows_by_themselves_are_those_of_the_whole():
    grid = LatLonGrid.equiangular(19, 36, poles=True)
    whole = forcings(COMPUTED, GOLDEN.times, grid)
    np.testing.assert_array_equal(forcings(COMPUTED, GOLDEN.times, grid, slice(5, 11)), whole[:, 5 * 36 : 11 * 36])


def test_progress_at_moments_that_can_be_reckoned():
    times = np.array(["1970-01-01T00", "1970-01-01T12", "2001-06-01T18"], "datetime64[h]")
    np.testing.assert_allclose(day_progress(times, np.array([0.0, 90.0])), [[0, 0.25], [0.5, 0.75], [0.75, 0]])
    assert year_progress(times)[0] == 0
    np.testing.assert_allclose(year_progress(times)[1], 0.5 / 365.24219, rtol=1e-6)


def test_radiation_has_the_total_and_the_night_that_geometry_gives():
    grid = LatLonGrid.equiangular(32, 64)
    equinox = np.array(["2001-03-20T12:00"], "datetime64[m]")
    flux = toa_incident_solar_radiation(equinox, grid)[0]
    # A disc of one Earth's cross-section is lit, so the mean over the sphere is a quarter of the irradiance.
    mean = (flux * grid.area_weights).mean()
    np.testing.assert_allclose(mean, total_solar_irradiance(equinox)[0] * 3600 / 4, rtol=0.012)
    field = flux.reshape(grid.shape)
    assert np.all(field[:, 32] == 0)  # it is midnight at 180 E
    assert field[15:17, 62:].min() > 4.0e6  # and nearly noon just west of Greenwich


def test_polar_night_and_polar_day():
    grid = LatLonGrid.equiangular(32, 64)
    days = np.datetime64("2001-06-21T00") + np.arange(0, 24, 6).astype("timedelta64[h]")
    field = toa_incident_solar_radiation(days, grid).reshape(4, *grid.shape)
    assert np.all(field[:, 0] == 0)
    assert np.all(field[:, -1] > 1e6)


@pytest.mark.parametrize("name", COMPUTED)
def test_fixed_scales_are_those_of_a_whole_year(name):
    grid = LatLonGrid.equiangular(16, 32)
    times = np.datetime64("2001-01-01T00") + np.arange(0, 8766, 41).astype("timedelta64[h]")
    values = forcings((name,), times, grid)
    mean, spread = FORCING_SCALES[name]
    np.testing.assert_allclose(values.std(), spread, rtol=0.02)
    np.testing.assert_allclose(values.mean(), mean, atol=0.02 * spread)
