"""Geometry of fields over the poles; extratropical cyclones and atmospheric rivers planted where they are found."""

import numpy as np
import pytest

from airmass.evaluation.tracks.base import Frame
from airmass.evaluation.tracks.lows import closed, minima
from airmass.evaluation.tracks.neighbourhood import disc, interpolate, vorticity
from airmass.evaluation.tracks.settings import RiverSettings
from airmass.evaluation.tracks.sphere import KM_PER_DEGREE, destination, distance, vectors
from airmass.evaluation.tracks.trackers.extratropical import ExtratropicalTracker
from airmass.evaluation.tracks.trackers.rivers import LEVELS, RiverTracker, regions, transport
from airmass.fields.grid import LatLonGrid
from tests.evaluation.tracks.planting import MSL_ONLY, frames, hourly, plant_low, straight

GRIDS = [LatLonGrid.equiangular(60, 120), LatLonGrid.equiangular(61, 120, poles=True)]


@pytest.mark.parametrize("grid", GRIDS)
def test_interpolation_over_the_poles_and_the_date_line(grid):
    """A linear function of the unit vector is smooth everywhere."""
    weights = np.array([0.3, -0.5, 0.8])
    field = vectors(*np.meshgrid(grid.latitude, grid.longitude, indexing="ij")) @ weights
    rng = np.random.default_rng(0)
    lat = np.concatenate([rng.uniform(-90, 90, 500), [90, -90, 89.5, -89.2]])
    lon = np.concatenate([rng.uniform(-180, 540, 500), [0, 0, 300, 10]])
    assert np.abs(interpolate(grid, field, lat, lon) - vectors(lat, lon) @ weights).max() < 2e-3


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("place", [(0.0, 0.0), (89.0, 77.0), (-90.0, 0.0), (45.0, 359.0), (83.0, 181.0)])
def test_a_disc_holds_the_nodes_within_its_radius(grid, place):
    lat, lon = grid.nodes
    away = distance(lat, lon, *place)
    for radius in (300.0, 900.0):
        assert set(disc(grid, *place, radius)[0]) == set(np.flatnonzero(away <= max(radius, away.min())))


@pytest.mark.parametrize("grid", GRIDS)
def test_vorticity_of_solid_rotation(grid):
    """zeta = 2 omega sin(lat) for u = omega a cos(lat)."""
    u = 20 * np.cos(np.deg2rad(grid.latitude))[:, None] * np.ones(grid.shape)
    expected = 2 * 20 / 6.371e6 * np.sin(np.deg2rad(grid.latitude))
    found = vorticity(grid, u, np.zeros(grid.shape), np.arange(grid.size)).reshape(grid.shape)
    np.testing.assert_allclose(found[2:-2].mean(axis=1), expected[2:-2], rtol=2e-3, atol=1e-9)


@pytest.mark.parametrize("grid", GRIDS)
def test_a_closed_low_at_the_pole(grid):
    lat, lon = np.meshgrid(grid.latitude, grid.longitude, indexing="ij")
    field = 100000 - 2000 * np.exp(-((distance(lat, lon, 89.0, 200.0) / 700) ** 2))
    rows, _ = minima(grid, field, 90)
    assert (grid.latitude[rows] > 80).any()
    at, value = np.array([[89.0], [200.0]]), np.array([98000.0])
    assert closed(grid, field, *at, value, 500, 6)[0] and not closed(grid, field, *at, value, 1990, 6)[0]


def test_an_extratropical_cyclone_across_the_date_line_and_over_the_pole():
    grid, times = LatLonGrid.equiangular(121, 240, poles=True), hourly("2001-01-01", 13)
    storms = [straight(times, (45, 160), (62, -155), 5000), straight(times, (76, 30), (79, 195), 5000)]

    def lows():
        for time in times:
            fields = {channel: np.full(grid.shape, base) for channel, base in MSL_ONLY.items()}
            for storm in storms:
                i = int(np.flatnonzero(storm.times == time)[0])
                plant_low(grid, fields, storm.lat[i], storm.lon[i], storm.deficit[i])
            yield Frame(time, grid, fields)

    tracks = ExtratropicalTracker().tracks(lows(), {})
    assert len(tracks) == 2 and all(len(track.points) == 13 for track in tracks)
    for storm in storms:
        errors = [
            max(distance(p.lat, p.lon, storm.lat[i], storm.lon[i]) for i, p in enumerate(track.points))
            for track in tracks
        ]
        assert min(errors) < 1.5 * KM_PER_DEGREE


def test_a_tropical_cyclone_is_no_extratropical_one():
    grid, times = LatLonGrid.equiangular(121, 240, poles=True), hourly("2000-08-01", 9)
    storm = straight(times, (21, 170), (28, 185), 5000)
    found = ExtratropicalTracker().tracks(frames(grid, times, [storm]), {})
    assert min(distance(t.points[0].lat, t.points[0].lon, storm.lat[0], storm.lon[0]) for t in found) > 1000


def river(grid, time, lat0: float, lon0: float, length: float) -> Frame:
    """Moist south-westerly flow within 250 km of a great circle to the north-east."""
    lat, lon = np.meshgrid(grid.latitude, grid.longitude, indexing="ij")
    along = [destination(lat0, lon0, 45.0, part) for part in np.arange(-length / 2, length / 2 + 1, 50.0)]
    away = np.min([distance(lat, lon, y, x) for y, x in along], axis=0)
    q = np.where(away < 250, 0.008, 0.001)
    fields = {("specific_humidity", level): q for level in LEVELS}
    fields |= {(f"{c}_component_of_wind", level): np.full(grid.shape, 12.0) for c in "uv" for level in LEVELS}
    return Frame(time, grid, fields)


def test_a_river_is_followed_across_the_date_line():
    grid, times = LatLonGrid.equiangular(121, 240, poles=True), hourly("2001-01-01", 5)
    tracks = RiverTracker().tracks((river(grid, t, 38.0, 176.0 + 2 * i, 3500.0) for i, t in enumerate(times)), {})
    assert len(tracks) == 1 and len(tracks[0].points) == 5
    for i, point in enumerate(tracks[0].points):
        assert distance(point.lat, point.lon, 38.0, 176.0 + 2 * i) < 250
        assert point.values["length"] == pytest.approx(4000, rel=0.1)
        assert point.values["width"] == pytest.approx(450, rel=0.2)
        # q times speed times mass of air between 300 and 1000 hPa
        assert point.values["transport"] == pytest.approx(0.008 * 12 * np.sqrt(2) * 70000 / 9.80665, rel=1e-6)


def test_short_regions_and_weak_transport_are_no_rivers():
    grid, times = LatLonGrid.equiangular(121, 240, poles=True), hourly("2001-01-01", 5)
    for length, settings in ((900.0, RiverSettings()), (3500.0, RiverSettings(transport=2000))):
        made = (river(grid, t, 38.0, 176.0, length) for t in times)
        assert RiverTracker(settings).tracks(made, {}) == []


def test_regions_join_across_the_date_line():
    inside = np.zeros((6, 8), bool)
    inside[2, [0, 7]] = inside[3, 6] = inside[5, 3] = True
    assert sorted(sorted(group.tolist()) for group in regions(inside)) == [[16, 23, 30], [43]]


def test_transport_is_the_integral_over_pressure():
    grid = LatLonGrid.equiangular(6, 12)
    frame = river(grid, hourly("2001-01-01", 1)[0], 38.0, 176.0, 100.0)
    east, north = transport(frame, LEVELS)
    np.testing.assert_allclose(east, north)
    assert east.min() == pytest.approx(0.001 * 12 * 70000 / 9.80665)
