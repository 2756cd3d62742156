"""Storms planted on known paths are found where they are, and nothing else is."""

import numpy as np
import pytest

from airmass.data.shorelines import over_land
from airmass.evaluation.tracks.base import Point
from airmass.evaluation.tracks.frames import frames as read_frames
from airmass.evaluation.tracks.frames import open_source
from airmass.evaluation.tracks.neighbourhood import spacing
from airmass.evaluation.tracks.settings import ExtratropicalSettings, TropicalSettings
from airmass.evaluation.tracks.sphere import KM_PER_DEGREE, distance
from airmass.evaluation.tracks.trackers.extratropical import ExtratropicalTracker
from airmass.evaluation.tracks.trackers.tropical import TropicalTracker
from airmass.fields.grid import LatLonGrid
from tests.evaluation.tracks.planting import CHANNELS, Frame, Storm, frames, hourly, plant, straight

COARSE, MIDDLE, FINE = (
    LatLonGrid.equiangular(32, 64),
    LatLonGrid.equiangular(121, 240, poles=True),
    LatLonGrid.equiangular(721, 1440, poles=True),
)
TIMES = hourly("2000-08-01", 17)


def tracked(grid, storms, times=TIMES, settings=None, observed=None, seed=0):
    tracker = TropicalTracker(settings or TropicalSettings())
    return tracker.tracks(frames(grid, times, storms, seed), observed or {})


def errors(track, storm: Storm) -> np.ndarray:
    """Distances in km of a track's points from a storm."""
    places = [int(np.flatnonzero(storm.times == point.time)[0]) for point in track.points]
    lat, lon = (np.array([getattr(point, name) for point in track.points]) for name in ("lat", "lon"))
    return distance(lat, lon, storm.lat[places], storm.lon[places])


def check(tracks, storms, grid, least: int) -> None:
    """Each storm has one track of `least` points or more that is within a grid length of it; there are no others."""
    assert len(tracks) == len(storms)
    for storm in storms:
        nearest = min(tracks, key=lambda track: errors(track, storm).mean())
        assert errors(nearest, storm).max() < spacing(grid) * KM_PER_DEGREE
        assert len(nearest.points) >= least


def three(times, strength: float, **shape):
    """Storms that cross the date line both ways, one of them in the south, and one that goes ashore in China."""
    return [
        straight(times, (12, 170), (25, -165), strength, **shape),
        straight(times, (-12, -172), (-21, 168), strength, **shape),
        straight(times, (18, 127), (30, 112), strength, **shape),
    ]


@pytest.mark.parametrize("seed", [0, 1])
def test_planted_at_64_x_32(seed):
    """A grid of 5.6 degrees sees large storms of 70 hPa, averaged over its boxes."""
    storms = three(TIMES, 7000, radius=110, b=1.2)
    check(tracked(COARSE, storms, seed=seed), storms, COARSE, 9)


@pytest.mark.parametrize("seed", [0, 1])
def test_planted_at_1_5_degrees(seed):
    storms = three(TIMES, 3000)
    check(tracked(MIDDLE, storms, seed=seed), storms, MIDDLE, 17)


def test_planted_at_a_quarter_degree():
    times = TIMES[:9:4]
    storms = three(times, 2500)
    check(tracked(FINE, storms, times), storms, FINE, 3)


@pytest.mark.parametrize("core", ["thickness", "temperature", "none"])
def test_every_kind_of_warm_core(core):
    storms = three(TIMES, 4000)
    check(tracked(MIDDLE, storms, settings=TropicalSettings(warm_core=core)), storms, MIDDLE, 17)


@pytest.mark.parametrize("grid", [COARSE, MIDDLE, pytest.param(FINE, marks=pytest.mark.slow)])
def test_nothing_is_invented(grid):
    for seed in range(3):
        assert tracked(grid, [], hourly("2000-01-01", 9 if grid is FINE else 25), seed=seed) == []


EVERY_GRID = pytest.mark.parametrize("grid", [COARSE, MIDDLE, pytest.param(FINE, marks=pytest.mark.slow)])


@EVERY_GRID
def test_a_storm_below_the_thresholds_is_left_out(grid):
    times = TIMES[:9]
    deficit = 180 if grid is FINE else 700  # a fine grid shows more of a weak storm
    assert tracked(grid, [straight(times, (12, 170), (25, -165), deficit, radius=90)], times) == []


def test_a_weak_storm_is_found_by_lower_thresholds():
    weak = [straight(TIMES, (12, 170), (25, -165), 700, radius=90)]
    lenient = TropicalSettings(contour=1.0, follow=0.5, wind=4, thickness=1, vorticity=1e-5)
    check(tracked(MIDDLE, weak, settings=lenient), weak, MIDDLE, 12)


def test_a_cold_low_of_the_tropics_is_no_tropical_cyclone():
    storm = straight(TIMES, (12, 170), (25, -165), 3000)

    def cold(made):
        for frame in made:
            calm = next(frames(MIDDLE, [frame.time], []))
            fields = {c: 2 * calm[c] - f if c[1] in (300, 500) else f for c, f in frame.fields.items()}
            yield Frame(frame.time, frame.grid, fields)

    assert TropicalTracker().tracks(cold(frames(MIDDLE, TIMES, [storm])), {}) == []


@EVERY_GRID
def test_a_storm_over_the_pole(grid):
    times = hourly("2000-08-01", 9)
    storm = straight(times, (74, 20), (78, 190), 6000, radius=110, b=1.2)
    tracker = ExtratropicalTracker(ExtratropicalSettings(warm_core="none"))
    nearest = min(tracker.tracks(frames(grid, times, [storm]), {}), key=lambda track: errors(track, storm).mean())
    assert len(nearest.points) == 9 and errors(nearest, storm).max() < spacing(grid) * KM_PER_DEGREE


@EVERY_GRID
def test_two_storms_that_merge_become_one_track_that_goes_on(grid):
    # A coarse grid shows large storms only.
    shape, east, strong, weak = (
        ({"radius": 110, "b": 1.2}, 182, 8000, 7000) if grid is COARSE else ({}, 168, 5000, 3000)
    )
    deep = straight(TIMES, (12, 150), (20, 130), strong, **shape)
    share = np.arange(15) / 14
    lat, lon = 26 + share * (deep.lat[14] - 26), east + share * (deep.lon[14] - east)
    shallow = Storm(TIMES[:15], lat, lon, np.linspace(weak, weak / 3, 15), **shape)
    tracks = tracked(grid, [deep, shallow])
    lengths = sorted(len(track.points) for track in tracks)
    assert lengths[-1] == 17 and len(tracks) == 2 and 9 <= lengths[0] < 15, lengths
    longest = max(tracks, key=lambda track: len(track.points))
    assert errors(longest, deep).max() < max(250, spacing(grid) * KM_PER_DEGREE)


def test_a_storm_is_followed_over_land_but_none_begins_there():
    across = straight(TIMES, (14, 132), (32, 102), 4000)
    assert over_land(across.lat, across.lon).sum() > 5
    check(tracked(MIDDLE, [across]), [across], MIDDLE, 17)
    inland = straight(TIMES, (14, 16), (18, 4), 4000)
    assert tracked(MIDDLE, [inland]) == []
    assert len(tracked(MIDDLE, [inland], settings=TropicalSettings(sea=False))) == 1


def test_a_weak_storm_that_was_observed_at_the_start_is_continued():
    weak = straight(TIMES, (12, 170), (25, -165), 700, radius=90)
    seen = tuple(Point(t, y, x, {}) for t, y, x in zip(TIMES[:2], weak.lat, weak.lon, strict=False))
    assert tracked(MIDDLE, [weak], TIMES[2:]) == []
    tracks = tracked(MIDDLE, [weak], TIMES[2:], observed={"seen": seen})
    assert [track.name for track in tracks] == ["seen"]
    check(tracks, [weak], MIDDLE, 12)


def test_a_gap_is_bridged_only_as_long_as_allowed():
    storm = straight(TIMES, (12, 170), (25, -165), 4000)
    gone = Storm(storm.times, storm.lat, storm.lon, np.where(np.isin(np.arange(17), (8,)), 1.0, storm.deficit))
    assert [len(track.points) for track in tracked(MIDDLE, [gone])] == [16]
    tracks = tracked(MIDDLE, [gone], settings=TropicalSettings(gap=0, duration=24))
    assert sorted(len(track.points) for track in tracks) == [8, 8]


@pytest.mark.slow
def test_sixty_days_of_simulated_climate(tmp_path):
    """None is found that was not planted; 70 hPa storms planted in it are all found, each within a grid length."""
    from airmass.commands.main import main

    store = tmp_path / "simulated.zarr"
    assert main(["simulate", str(store), "--days", "60", "--start", "2000-11-01"]) == 0
    source, tracker = open_source(store), TropicalTracker()
    simulated = list(read_frames(source, source.runs[0], CHANNELS))
    assert tracker.tracks(iter(simulated), {}) == []
    for start in (8, 88, 168):
        some = simulated[start : start + 17]
        storms = three(np.array([frame.time for frame in some]), 8000, radius=110, b=1.2)
        found = tracker.tracks(iter([_planted(frame, storms) for frame in some]), {})
        check(found, storms, COARSE, 9)


def _planted(frame: Frame, storms) -> Frame:
    fields = {channel: np.array(field, np.float64) for channel, field in frame.fields.items()}
    for storm in storms:
        i = int(np.flatnonzero(storm.times == frame.time)[0])
        plant(frame.grid, fields, storm.lat[i], storm.lon[i], storm.deficit[i], storm.radius, storm.b)
    return Frame(frame.time, frame.grid, {channel: field.astype(np.float32) for channel, field in fields.items()})
