"""Pictures: what they are made from is exact, nothing is downloaded, and what is not there is refused."""

import socket

import numpy as np
import pytest
from cartopy.crs import PlateCarree
from PIL import Image

from airmass.commands.main import main
from airmass.core.errors import InputError
from airmass.data.formats.climatology import open_climatology
from airmass.evaluation.scores import RankHistogram, Score, ScoreTable, Spectrum, to_json
from airmass.fields.grid import LatLonGrid
from airmass.fields.variables import VARIABLES
from airmass.plots.coastlines import coastlines
from airmass.plots.fields import open_plot_data
from airmass.plots.globe import PROJECTION, Globe, extent
from airmass.plots.plot import plot
from airmass.plots.plumes import plumes
from airmass.plots.style import colours, difference_colours, style_of, title_of
from tests.conftest import make_store
from tests.forecasts import ensemble_dataset, forecast_dataset, truth_dataset, write_climatology, write_forecast

TRUTH = truth_dataset()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("looking")
    make_store(folder / "truth.zarr", TRUTH)
    write_forecast(folder / "forecast.zarr", forecast_dataset(TRUTH, error=1.5))
    scores = [
        Score(system, name, level, hour, metric, 0.1 + 0.01 * hour)
        for system in ("graphcast", "persistence", "climatology")
        for name, level in (("geopotential", 500), ("2m_temperature", None))
        for hour in (6, 12, 24)
        for metric in ("rmse", "acc")
        if (system, metric) != ("climatology", "acc")
    ]
    (folder / "scores.json").write_text(ScoreTable(scores).to_json())
    return folder


@pytest.fixture
def offline(monkeypatch):
    """Any attempt to connect or to style up a name fails."""

    def refuse(*args, **kwargs):
        raise AssertionError(f"a picture reached for the network: {args}")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr("cartopy.io.Downloader.acquire_resource", refuse)


def test_everything_is_drawn_without_the_network(files, tmp_path, offline):
    coastlines.cache_clear()
    paths = plot(
        files / "forecast.zarr", files / "truth.zarr", tmp_path / "out", ["z500", "tp", "sst"],
        "2000-11-02T00", [6, 24], scores=files / "scores.json",
    )  # fmt: skip
    names = [path.name for path in paths]
    assert names == ["animation_z500.gif", "curves.png", "map_sst.png", "map_tp.png", "map_z500.png"]
    for path in paths:
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("RGB"))
            assert picture.width > 700 and len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20
            assert tuple(pixels[0, 0]) == (255, 255, 255)
    with Image.open(paths[0]) as animation:
        assert animation.n_frames == 3 and animation.info["loop"] == 0


def test_usual_fields_and_lead_times_are_chosen_where_none_is_named(files, tmp_path):
    paths = plot(files / "forecast.zarr", files / "truth.zarr", tmp_path / "out", animate=())
    assert [path.name for path in paths] == ["map_2t.png", "map_t850.png", "map_tp.png", "map_z500.png"]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"fields": ["z250"]}, r"forecast.zarr: missing level \[250\] hPa"),
        ({"fields": ["msl"]}, "forecast.zarr: missing variable mean_sea_level_pressure"),
        ({"fields": ["z"]}, "is on levels: add one"),
        ({"lead_times": [18]}, "no lead time of 18 h; it holds 6 to 24 h"),
        ({"init_time": "2001-01-01"}, "no initial time 2001-01-01T00:00; it holds 3 from 2000-11-01T12:00"),
        ({"init_time": "soon"}, "time 'soon': expected one such as"),
        ({"scores": "/nowhere/scores.json"}, "no such file"),
    ],
)
def test_what_is_not_there_is_refused(files, tmp_path, options, match):
    with pytest.raises(InputError, match=match):
        plot(files / "forecast.zarr", files / "truth.zarr", tmp_path / "out", **options)
    assert not any(tmp_path.iterdir())


def test_an_existing_output_and_another_grid_are_refused(files, tmp_path):
    with pytest.raises(InputError, match="already exists"):
        plot(files / "forecast.zarr", files / "truth.zarr", tmp_path)
    other = make_store(tmp_path / "t.zarr", truth_dataset(n_latitude=16, n_longitude=32))
    with pytest.raises(InputError, match=r"16 x 8.*32 x 16"):
        plot(files / "forecast.zarr", other, tmp_path / "out")


def test_frames_are_joined_by_valid_time(files):
    data = open_plot_data(files / "forecast.zarr", files / "truth.zarr")
    for frame in data.frames("t850", 1, [2, 0]):
        np.testing.assert_allclose(frame.forecast - frame.truth, 1.5, atol=1e-4)
        assert frame.rmse(data.grid) == pytest.approx(1.5, abs=1e-4)
    assert frame.init_text == "2000-11-02 00:00 UTC" and frame.valid_text == "2000-11-02 06:00 UTC"


def test_an_image_is_closed_at_the_seam_and_at_the_poles():
    globe = Globe(LatLonGrid.equiangular(8, 16), width=200)
    inside = ~globe.image(np.ones((8, 16))).mask
    west, east, south, north = extent()
    x, y = np.meshgrid(globe.x, globe.y)
    assert inside.mean() == pytest.approx(PROJECTION.domain.area / ((east - west) * (north - south)), abs=0.01)
    assert inside[:, :2].any() and inside[:, -2:].any() and inside[0].any() and inside[-1].any()
    assert not inside[(np.abs(x) > 0.97 * east) & (np.abs(y) > 0.9 * north)].any()


def test_an_image_interpolates_in_longitude_and_latitude():
    grid = LatLonGrid.equiangular(32, 64)
    latitude, longitude = (np.deg2rad(angle).reshape(grid.shape) for angle in grid.nodes)
    globe = Globe(grid, width=120)
    image = globe.image(np.cos(latitude) * np.cos(longitude - 1))
    i, j = np.argwhere(~image.mask)[::37].T
    for x, y, value in zip(globe.x[j], globe.y[i], image[i, j], strict=True):
        lon, lat = np.deg2rad(PlateCarree().transform_point(x, y, PROJECTION))
        assert value == pytest.approx(np.cos(lat) * np.cos(lon - 1), abs=0.03)


def test_missing_values_stay_missing_without_spreading():
    grid = LatLonGrid.equiangular(8, 16)
    field = np.ones(grid.shape)
    field[:, :8] = np.nan
    image = Globe(grid, width=200).image(field)
    everything = Globe(grid, width=200).image(np.ones(grid.shape))
    assert image.count() / everything.count() == pytest.approx(0.5, abs=0.04)
    assert np.all(image.compressed() == 1)


@pytest.mark.parametrize("resolution", ["c", "l"])
def test_coastlines_are_on_the_globe_and_do_not_cross_it(resolution):
    lines = coastlines(resolution)
    points = np.concatenate(lines)
    assert len(lines) > 100 and np.abs(points[:, 0]).max() <= 180 and np.abs(points[:, 1]).max() < 89
    assert max(np.abs(np.diff(line[:, 0])).max() for line in lines) < 30
    for lon, lat in ((-5.6, 36.0), (18.5, -34.3), (-68.0, -55.5)):  # Gibraltar, Cape of Good Hope, Tierra del Fuego
        assert np.hypot(*(points - (lon, lat)).T).min() < 2.0


def test_units_that_forecasters_use():
    assert style_of(VARIABLES["geopotential"]).shown(54000.0) == pytest.approx(550.65, abs=0.01)
    assert style_of(VARIABLES["2m_temperature"]).shown(273.15) == pytest.approx(0)
    assert style_of(VARIABLES["2m_temperature"]).shown_difference(2.0) == 2.0
    assert style_of(VARIABLES["total_precipitation_6hr"]).shown(0.002) == pytest.approx(2.0)
    assert title_of(VARIABLES["geopotential"], 500) == "Geopotential height at 500 hPa"


@pytest.mark.parametrize("name", [name for name, variable in VARIABLES.items() if not variable.static])
@pytest.mark.parametrize("scale", [0.0, 1e-6, 3.0, 5e4])
def test_every_variable_has_colours_for_any_values(name, scale):
    values = scale * np.random.default_rng(0).standard_normal((8, 16))
    cmap, norm = colours(style_of(VARIABLES[name]), values)
    assert np.all(np.diff(norm.boundaries) > 0) and len(norm.boundaries) < 200
    assert cmap(norm(values)).shape == (8, 16, 4)


@pytest.mark.parametrize("reach", [0.0, 3e-7, 0.4, 77.0, 4e3])
def test_differences_are_symmetric_with_white_in_the_middle(reach):
    cmap, norm = difference_colours(np.linspace(-reach, reach / 3, 50))
    np.testing.assert_allclose(norm.boundaries, -norm.boundaries[::-1], atol=1e-9 * reach)
    assert cmap(norm(0.0)) == pytest.approx((1, 1, 1, 1))


@pytest.fixture(scope="module")
def ensemble(files):
    """An ensemble beside the truth, and the scores of it beside those of a single forecast, as evaluate keeps them."""
    write_forecast(files / "ensemble.zarr", ensemble_dataset(TRUTH, 3, spread=1.5))
    write_climatology(files / "climatology.zarr", TRUTH)
    folder = files / "scores"
    folder.mkdir()
    t500, mslp = ("temperature", 500), ("mean_sea_level_pressure", None)
    metrics = ("rmse", "crps", "acc", "spread", "spread_skill")
    scores = [Score("gencast", *t500, hour, metric, 0.5) for hour in (6, 12, 24) for metric in metrics]
    scores += [Score("graphcast", *t500, hour, metric, 0.6) for hour in (6, 12, 24) for metric in metrics[:3]]
    scores += [
        Score("gencast", *mslp, hour, f"brier_skill_{q}", 0.1) for hour in (6, 24) for q in ("below_0.1", "below_0.05")
    ]
    (folder / "scores.json").write_text(to_json(scores))
    histograms = [RankHistogram("gencast", *t500, hour, [0.4, 0.1, 0.2, 0.3]) for hour in (6, 24)]
    (folder / "rank_histograms.json").write_text(to_json(histograms))
    power = [5.0, 4.0, 1.0, 0.1, 0.0]
    spectra = [
        Spectrum(system, *t500, 24, of_mean, power, [1.0, 1.0, 1.0, 1.0, None])
        for system, of_mean in (("truth", False), ("gencast", False), ("gencast", True), ("graphcast", False))
    ]
    (folder / "spectra.json").write_text(to_json(spectra))
    return files


def test_an_ensemble_gets_plumes_stamps_spaghetti_and_what_its_scores_hold(ensemble, tmp_path, offline):
    arguments = ["plot", str(ensemble / "ensemble.zarr"), "--truth", str(ensemble / "truth.zarr")]
    arguments += ["--scores", str(ensemble / "scores" / "scores.json"), "--fields", "z500", "sst", "--animate", "z500"]
    arguments += ["--climatology", str(ensemble / "climatology.zarr"), "--places", "52", "0", "-34", "151"]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [
        "animation_z500.gif", "curves.png", "extremes.png", "map_sst.png", "map_z500.png", "plume_sst.png",
        "plume_z500.png", "ranks.png", "spaghetti_z500.png", "spectra_24h.png", "spread.png", "stamps_sst.png",
        "stamps_z500.png",
    ]  # fmt: skip
    for name in names:
        with Image.open(tmp_path / "out" / name) as picture:
            pixels = np.asarray(picture.convert("RGB"))
            assert picture.width > 350 and len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20


def test_plumes_hold_every_member_the_truth_from_its_start_and_what_is_usual(ensemble):
    data = open_plot_data(ensemble / "ensemble.zarr", ensemble / "truth.zarr")
    (plume,) = plumes(data, "t850", 1, open_climatology(ensemble / "climatology.zarr"), [(60.0, 359.0)])
    assert (plume.latitude, plume.longitude) == (56.25, 0.0) and plume.lead_hours == [6, 12, 24]
    place = {"latitude": 56.25, "longitude": 0.0, "level": 850}
    members = data.forecast.temperature.isel(init_time=1).sel(place)
    np.testing.assert_array_equal(plume.members, members)
    np.testing.assert_array_equal(plume.truth, TRUTH.temperature.sel(place).values[[4, 5, 6, 8]])
    np.testing.assert_allclose(plume.climatology, TRUTH.temperature.sel(place).mean("time"), rtol=1e-6)


def test_maps_show_the_mean_and_the_animation_one_member(ensemble):
    data = open_plot_data(ensemble / "ensemble.zarr", ensemble / "truth.zarr")
    members = data.forecast.geopotential.sel(level=500).isel(init_time=0, lead_time=2).values
    (frame,) = data.frames("z500", 0, [2])
    np.testing.assert_allclose(frame.forecast, members.mean(axis=0), rtol=1e-6)
    assert frame.members.shape == (3, 8, 16) and frame.forecast_text == "Mean of 3 members"
    (one,) = data.frames("z500", 0, [2], members=1)
    np.testing.assert_array_equal(one.forecast, members[0])
    assert one.members is None


def test_a_climatology_that_lacks_the_field_or_is_not_there_is_refused(ensemble, tmp_path):
    for named, match in ((ensemble / "nowhere.zarr", "no such file"), (ensemble / "truth.zarr", "no coordinate hour")):
        with pytest.raises(InputError, match=match):
            plot(
                ensemble / "ensemble.zarr", ensemble / "truth.zarr", tmp_path / "out", ["z500"], climatology=named,
                animate=(),
            )  # fmt: skip
    assert not any(tmp_path.iterdir())
