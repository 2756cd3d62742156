"""Grids: what is refused, and weights against exact areas on the sphere."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airmass.core.errors import InputError
from airmass.fields.grid import LatLonGrid, latitude_weights

sizes = st.integers(2, 90)


def band_areas(latitude: np.ndarray) -> np.ndarray:
    """Exact area of each row: from half a spacing below it to half above, cut at the poles; unit mean."""
    half = abs(latitude[1] - latitude[0]) / 2
    edges = np.deg2rad(np.clip([latitude - half, latitude + half], -90, 90))
    areas = np.sin(edges[1]) - np.sin(edges[0])
    return areas / areas.mean()


@given(sizes, sizes, st.booleans())
def test_weights_are_exact_areas(rows, columns, poles):
    grid = LatLonGrid.equiangular(rows, columns, poles)
    np.testing.assert_allclose(latitude_weights(grid.latitude), band_areas(grid.latitude), rtol=1e-9)
    assert grid.area_weights.shape == (grid.size,)
    np.testing.assert_allclose(grid.area_weights.mean(dtype=np.float64), 1, rtol=1e-6)


def test_weights_integrate_over_the_sphere():
    """The mean of sin^2(latitude) over a sphere is 1/3."""
    grid = LatLonGrid.equiangular(181, 4, poles=True)
    sines = np.sin(np.deg2rad(grid.nodes[0])) ** 2
    assert np.mean(sines * grid.area_weights) == pytest.approx(1 / 3, abs=1e-4)


def test_nodes_run_row_by_row():
    grid = LatLonGrid.equiangular(2, 4)
    latitude, longitude = grid.nodes
    assert latitude.tolist() == [-45] * 4 + [45] * 4
    assert longitude.tolist() == [0, 90, 180, 270] * 2


@pytest.mark.parametrize(
    ("latitude", "longitude", "said"),
    [
        ([45, -45], [0, 180], "north to south .45 to -45., expected south to north .-45 to 45."),
        ([-60, 0, 50], [0, 180], "unevenly spaced: steps from 50 to 60"),
        ([-40, 0, 40], [0, 180], "runs from -40 to 40 in 3 rows"),
        ([0, 90, 180, 270], [-45, 45], "swapped"),
        ([-45, np.nan], [0, 180], "finite"),
        ([-45, 45], [0, np.nan], "finite"),
        ([-45, 45], [-180, 0], "longitude runs -180 to 0 in 2 columns, expected 0 to 180"),
        ([-45, 45], [0, 180, 360], "expected 0 to 240"),
        ([-45, 45], [], "two columns or more, found shape .0,."),
        ([-45, 45], [[0, 180]], "found shape .1, 2."),
    ],
)
def test_other_grids_are_refused(latitude, longitude, said):
    with pytest.raises(InputError, match=said):
        LatLonGrid(np.array(latitude, float), np.array(longitude, float))


@pytest.mark.parametrize("values", [np.array([-45, 45j]), np.array(["-45", "45"]), np.array([False, True])])
def test_grids_of_anything_but_numbers_are_refused(values):
    with pytest.raises(InputError, match=rf"latitude is {values.dtype}, expected numbers"):
        LatLonGrid(values, np.array([0, 180]))


def test_equality_forgives_float32_coordinates():
    grid = LatLonGrid.equiangular(721, 1440, poles=True)
    assert grid == LatLonGrid(np.float32(grid.latitude), np.float32(grid.longitude))
    assert grid != LatLonGrid.equiangular(720, 1440)
    assert str(LatLonGrid.equiangular(32, 64)) == "64 x 32 (latitude -87.1875 to 87.1875, longitude 0 to 354.375)"
