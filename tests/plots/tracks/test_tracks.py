"""Pictures of tracks: places are where they are, across the date line and over a pole; the folder and the report."""

import numpy as np
import pandas as pd
import pytest

from airmass.commands.main import main
from airmass.evaluation.tracks.best_tracks import read_best_tracks
from airmass.evaluation.tracks.scores import read_track_scores
from airmass.evaluation.tracks.sphere import destination, distance
from airmass.evaluation.tracks.table import write_tracks
from airmass.plots.png import render
from airmass.plots.report.cyclones import cyclone_section
from airmass.plots.report.pictures import read_picture
from airmass.plots.tracks.cone import QUANTILES, inside_cone, mean_track
from airmass.plots.tracks.region import Region
from airmass.plots.tracks.storm import StormForecast, storm_figure
from tests.evaluation.tracks.test_verification import FILE, HAGIBIS, INIT, displaced


@pytest.mark.parametrize(
    ("lat", "lon"),
    [
        (np.array([10.0, 20, 30]), np.array([170.0, 180, 195])),
        (np.array([80.0, 88, 85, 78]), np.array([10.0, 100, 190, 280])),
        (np.array([-15.0, -20]), np.array([355.0, 5])),
    ],
)
def test_a_region_holds_its_points_undistorted(lat, lon):
    region = Region(lat, lon, 1.4)
    x, y = region.project(lat, lon)
    west, east, south, north = region.extent
    assert ((x > west) & (x < east) & (y > south) & (y < north)).all()
    assert (east - west) / (north - south) == pytest.approx(1.4)
    flat = np.hypot(np.diff(x), np.diff(y)) / 1000
    np.testing.assert_allclose(flat, distance(lat[1:], lon[1:], lat[:-1], lon[:-1]), rtol=0.03)
    back = region.pixels
    column, row = ((x - west) / (east - west) * 360).astype(int), ((y - south) / (east - west) * 360).astype(int)
    pixel = (east - west) / 1000 / 360
    assert distance(back[0][row, column], back[1][row, column], lat, lon).max() < pixel


def test_the_cone_holds_its_share_of_the_members():
    rng = np.random.default_rng(0)
    times = np.datetime64("2019-10-08", "ns") + np.arange(3) * np.timedelta64(6, "h")
    lat, lon = destination(20.0, 179.0, rng.uniform(0, 360, (60, 3)), 300 * np.sqrt(rng.uniform(0, 1, (60, 3))))
    members = pd.DataFrame(
        {"track_id": np.repeat(np.arange(60), 3).astype(str), "time": np.tile(times, 60), "lat": lat.ravel()}
    ).assign(lon=lon.ravel())
    mean = mean_track(members)
    assert distance(mean.lat, mean.lon, 20.0, 179.0).max() < 60
    for quantile in QUANTILES:
        assert inside_cone(mean, f"radius_{quantile}", lat, lon).mean() >= quantile - 0.02
    assert not inside_cone(mean, f"radius_{QUANTILES[0]}", *destination(20.0, 179.0, np.array([90.0]), 500.0)).any()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Hagibis and four copies beside it, verified and drawn by the command."""
    place = tmp_path_factory.mktemp("tracks")
    tracks = displaced(read_best_tracks(FILE), [(0.0, k * 60.0) for k in range(-2, 3)])
    write_tracks(place / "copies.parquet", tracks, {})
    words = ["track", place / "copies.parquet", "--best-tracks", FILE, "--plots", place / "plots"]
    assert main([str(word) for word in words]) == 0
    return place / "plots"


def test_the_folder_of_a_verified_ensemble(folder):
    names = {path.name for path in folder.iterdir()}
    storm = f"cyclone_{HAGIBIS}_2019100800.png"
    assert names == {storm, "trackerrors.png", "tracks_2019100800.png", "track_scores.json"}
    assert all(read_picture(folder / name)[0] == "image/png" for name in names if name.endswith(".png"))
    made = read_track_scores(folder)
    assert made.storms == [HAGIBIS] and made.members == 5 and made.value("position_error", 48) == pytest.approx(72)
    shown = cyclone_section(folder)
    assert shown.count("<img") == 3 and "error of the mean position" in shown and HAGIBIS in shown


def test_the_best_track_is_drawn_where_it_was():
    """Across the date line: its black dots lie on the pixels of their positions."""
    times = INIT + np.arange(9) * np.timedelta64(12, "h")
    lat, lon = 15.0 + np.arange(9), 172.0 + 2 * np.arange(9)
    best = pd.DataFrame({"track_id": "s", "time": times, "lat": lat, "lon": lon})
    best = best.assign(wind=40.0, slp=97000.0)
    member = best.assign(lat=best.lat + 1, number=0, init_time=INIT, lead_time=times - INIT)
    figure = storm_figure(StormForecast("Storm", INIT, member, best, member, (0,), "planted"))
    picture = np.asarray(render(figure))
    axes = figure.axes[0]
    region = Region(np.append(best.lat, member.lat), np.append(best.lon, member.lon), 6.0 / 4.4)
    x, y = axes.transData.transform(np.stack(region.project(best.lat.values, best.lon.values), axis=1)).T
    for i in range(0, 9, 2):
        row, column = int(picture.shape[0] - y[i]), int(x[i])
        assert picture[row - 1 : row + 2, column - 1 : column + 2].mean() < 90
