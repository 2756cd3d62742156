"""The page as a file: what is in it is that of the stores, and bad input gives one line and no file."""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airmass.commands.main import main
from airmass.fields.variables import VARIABLES
from airmass.plots.style import style_of
from airmass.plots.viewer.colours import probability_scale, safe_style, spread_scale
from airmass.plots.viewer.packing import unpacked
from tests.conftest import make_store
from tests.forecasts import WINDS, ensemble_dataset, forecast_dataset, truth_dataset, write_forecast

NAMES = ("geopotential", "2m_temperature", "total_precipitation_6hr", "sea_surface_temperature", *WINDS)
TRUTH = truth_dataset(names=NAMES)
SINGLE = forecast_dataset(TRUTH, error=1.5)
ENSEMBLE = ensemble_dataset(TRUTH, members=3, spread=0.001)
HOSTILE = "</script><script>document.title='ran'</script>\"'<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("viewer")
    make_store(folder / "truth.zarr", TRUTH)
    write_forecast(folder / "single.zarr", SINGLE)
    write_forecast(folder / "ensemble.zarr", ENSEMBLE)
    write_tracks(folder / "tracks.parquet")
    return folder


def write_tracks(path: Path, **columns) -> Path:
    times = [np.datetime64("2000-11-01T18", "ns") + np.timedelta64(6 * step, "h") for step in range(3)]
    table = {
        "track_id": ["a"] * 3, "time": times, "lon": [140.0, 141, 142], "lat": [15.0, 16, 17], "wind": [30.0, 35, 40],
        "slp": [98000.0, 97000, 96000], "number": [1] * 3, "init_time": [np.datetime64("2000-11-01T12", "ns")] * 3,
        "lead_time": [np.timedelta64(6 * step, "h").astype("timedelta64[ns]") for step in range(1, 4)],
    }  # fmt: skip
    table |= columns
    pq.write_table(
        pa.table({name: pa.array(np.asarray(values)) for name, values in table.items() if values is not None}), path
    )
    return path


def about_of(page: str) -> dict:
    return json.loads(re.search(r'id="about">(.*?)</script>', page, re.DOTALL)[1])


def blocks_of(page: str, name: str) -> list[bytes]:
    found = re.search(rf'<script type="text/plain" id="{name}">(.*?)</script>', page, re.DOTALL)[1]
    return [base64.b64decode(line) for line in found.split("\n")]


def view(*words: object) -> int:
    return main(["view", *map(str, words)])


def test_the_page_holds_the_fields_of_the_stores(files, tmp_path):
    out = tmp_path / "view.html"
    words = (files / "single.zarr", files / "ensemble.zarr", "--truth", files / "truth.zarr", "--tracks",
             files / "tracks.parquet", "--init-times", "all", "--out", out)  # fmt: skip
    assert view(*words) == 0
    page = out.read_text()
    about = about_of(page)
    assert [source["name"] for source in about["sources"]] == ["graphcast", "gencast", "truth.zarr"]
    records = {record["key"]: record for record in about["fields"]}
    assert {"z500", "2t", "tp06", "sst", "10u", "10v", "wind10m"} <= records.keys()
    assert (
        records["z500"]["units"] == "dam" and records["2t"]["units"] == "°C" and records["tp06"]["units"] == "mm in 6 h"
    )
    for number, dataset in enumerate((SINGLE, ENSEMBLE)):
        for key, name, level in (
            ("z500", "geopotential", 500),
            ("2t", "2m_temperature", None),
            ("sst", "sea_surface_temperature", None),
        ):
            stored = dataset[name] if level is None else dataset[name].sel(level=level)
            if "number" not in stored.dims:
                stored = stored.expand_dims("number", 1)
            shown = style_of(VARIABLES[name]).shown(stored.values)  # [init, member, lead, latitude, longitude]
            found = [
                unpacked(block, shown.shape[2:], records[key]["step"]) for block in blocks_of(page, f"s{number}-{key}")
            ]
            found = np.reshape(found, shown.shape)
            assert np.array_equal(np.isnan(found), np.isnan(shown))
            assert np.nanmax(np.abs(found - shown)) <= records[key]["error"] * (1 + 1e-6) <= records[key]["step"] * 0.51
    assert (
        about["tracks"][0]["wind"] == [30, 35, 40]
        and about["tracks"][0]["times"][1] - about["tracks"][0]["times"][0] == 21600
    )


def test_nothing_in_the_page_asks_the_network_or_ends_its_element(files, tmp_path):
    hostile = SINGLE.copy()
    hostile.attrs["airmass_system"] = HOSTILE
    write_forecast(tmp_path / "hostile.zarr", hostile)
    out = tmp_path / "view.html"
    assert view(tmp_path / "hostile.zarr", "--fields", "2t", "--out", out) == 0
    page = out.read_text()
    assert page.count("<script>") == 1 and "<img" not in page and about_of(page)["sources"][0]["name"] == HOSTILE
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1].replace("&#x27;", "'")
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-") and "connect-src" not in policy


def test_one_time_one_field_and_no_truth(files, tmp_path):
    write_forecast(tmp_path / "one.zarr", SINGLE[["2m_temperature"]].isel(lead_time=[0], init_time=[0]))
    assert view(tmp_path / "one.zarr", "--out", tmp_path / "view.html") == 0


def test_a_truth_without_some_of_it_says_so(files, tmp_path):
    make_store(tmp_path / "part.zarr", TRUTH.drop_vars("2m_temperature").isel(time=slice(0, 4)))
    assert view(files / "single.zarr", "--truth", tmp_path / "part.zarr", "--out", tmp_path / "view.html") == 0
    assert about_of((tmp_path / "view.html").read_text())["notes"] == [
        "The truth has no 2t.", "The truth lacks 2 of 3 valid times."
    ]  # fmt: skip


BAD_TRACKS = {
    "lat is 95 in track a at 2000-11-02 00:00:00, expected -90 to 90": {"lat": [1.0, 95, 3]},
    "missing column wind": {"wind": None},
    "cannot be read": {"time": ["a", "b", "c"]},
}


@pytest.mark.parametrize("expected", BAD_TRACKS)
def test_bad_tracks_are_refused(files, tmp_path, capsys, expected):
    tracks = write_tracks(tmp_path / "bad.parquet", **BAD_TRACKS[expected])
    assert_refused((files / "single.zarr", "--tracks", tracks), expected, tmp_path, capsys)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("{f}/single.zarr", "--fields", "t850"), "no field t850 (Temperature at 850 hPa); the forecast holds z300"),
        (("{f}/single.zarr", "--fields", "nonsense"), "unknown variable 'nonsense'"),
        (("{f}/single.zarr", "--init-times", "2001-01-01"), "no initial time 2001-01-01T00:00; it holds 3 from"),
        (("{f}/single.zarr", "{f}/single.zarr"), "is of the system 'graphcast' as another forecast is"),
        (("{f}/single.zarr", "--truth", "{f}/nothing.zarr"), "nothing.zarr"),
        (("{f}/single.zarr", "--tracks", "{f}/nothing.parquet"), "no such file"),
        (("{f}/single.zarr", "--tracks", "{f}/truth.zarr"), "is a folder, expected a file"),
        (("{f}/single.zarr", "--max-size", "0.2"), "would have about"),
        (("{f}/single.zarr", "--serve"), "expected either --out view.html or --serve, not both"),
        (("{f}/truth.zarr",), "so not a forecast"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(files, tmp_path, capsys, words, expected):
    assert_refused(tuple(word.format(f=files) for word in words), expected, tmp_path, capsys)


def assert_refused(words, expected, tmp_path, capsys):
    out = tmp_path / "refused.html"
    assert view(*words, "--out", out) == 2
    said = capsys.readouterr().err
    assert expected in said and said.count("\n") == 1 and not out.exists()


def test_grids_that_differ_are_refused(files, tmp_path, capsys):
    other = truth_dataset(names=NAMES, n_latitude=16, n_longitude=32)
    make_store(tmp_path / "fine.zarr", other)
    assert_refused((files / "single.zarr", "--truth", tmp_path / "fine.zarr"), "grid is 32 x 16", tmp_path, capsys)


def test_a_store_of_100_gb_is_refused_by_its_size(tmp_path, capsys):
    """Of metadata only: no chunk is written, and none is read."""
    import zarr

    from airmass.fields.grid import LatLonGrid

    grid = LatLonGrid.equiangular(721, 1440, poles=True)
    store = zarr.open_group(tmp_path / "huge.zarr", mode="w")
    dims = ("init_time", "number", "lead_time", "latitude", "longitude")
    sizes = {"init_time": 1, "number": 50, "lead_time": 60, "latitude": 721, "longitude": 1440}
    for name in NAMES[1:]:
        array = store.create_array(name, shape=tuple(sizes.values()), chunks=(1, 1, 1, 721, 1440), dtype="f4",
                                   fill_value=np.nan, dimension_names=dims)  # fmt: skip
        array.attrs["units"] = VARIABLES[name].units
    axes = {
        "init_time": (np.array([0]), {"units": "hours since 2020-01-01"}),
        "number": (np.arange(50), {}), "lead_time": (np.arange(60) * 6, {"units": "hours"}),
        "latitude": (grid.latitude, {}), "longitude": (grid.longitude, {}),
    }  # fmt: skip
    for name, (values, attributes) in axes.items():
        array = store.create_array(name, shape=values.shape, dtype=values.dtype, dimension_names=(name,))
        array[:] = values
        array.attrs.update(attributes)
    assert_refused((tmp_path / "huge.zarr",), "would have about 10.9 GB, expected at most 300 MB", tmp_path, capsys)


def test_the_bundle_is_small_and_has_no_address():
    folder = Path(__file__).parents[3] / "airmass" / "plots" / "viewer"
    script, style = ((folder / name).read_text() for name in ("viewer.js", "viewer.css"))
    assert len(script) + len(style) < 500_000
    assert "</script" not in script.lower() and not re.findall(
        r"(?:https?:)?//[a-z]", re.sub(r"http://www.w3.org/\S+", "", style)
    )


def test_scales_are_told_apart_by_lightness_alone():
    """So that they are read under every colour blindness, and in grey."""
    for scale in (spread_scale(3.2), probability_scale()):
        rgb = np.array([[int(text[at : at + 2], 16) for at in (1, 3, 5)] for text in scale["colours"]])
        assert len(rgb) == len(scale["edges"]) + 1
        assert np.all(np.diff((rgb @ [0.2126, 0.7152, 0.0722])[1:-1]) < 0)


def test_no_field_is_drawn_in_red_beside_green():
    assert not {safe_style(variable).colours for variable in VARIABLES.values()} & {
        "Spectral_r",
        "jet",
        "RdYlGn",
        "turbo",
    }
