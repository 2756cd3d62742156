"""The direct tracker gives the rows of the published code on the golden cyclone fields."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from airmass.commands.main import main
from airmass.evaluation.tracks.base import Frame, Point
from airmass.evaluation.tracks.table import read_tracks
from airmass.evaluation.tracks.trackers.direct import QUADRANTS, RADII, SPEEDS, DirectTracker, consistent
from airmass.fields.grid import LatLonGrid
from airmass.fields.variables import VARIABLES
from tests.forecasts import write_forecast
from tests.golden_case import GOLDEN

FOLDER = GOLDEN.folder.parent / "fgn" / "tracker"
INIT = np.datetime64("2024-10-07", "ns")
KNOT = 1852 / 3600
NAMES = {
    "wind": "maximum_sustained_wind_speed_knots",
    "slp": "minimum_sea_level_pressure_hpa",
    "rmw": "radius_of_maximum_winds_km",
    "probability": "prob_cyclone_exists",
    **{f"r{speed}_{q}": f"radius_{speed}_knot_winds_{q}_km" for speed in SPEEDS for q in QUADRANTS},
}


@pytest.fixture(scope="module")
def fields():
    return xr.open_dataset(FOLDER / "fields.nc", decode_timedelta=True).load()


@pytest.fixture(scope="module")
def expected():
    rows = pd.read_csv(FOLDER / "tracks.csv", parse_dates=["valid_time"])
    return rows[rows.valid_time > INIT].set_index(["track_id", "valid_time"]).sort_index()


def test_rows_of_the_published_code(fields, expected):
    grid, tracker = LatLonGrid(fields.lat.values, fields.lon.values), DirectTracker()
    start = pd.read_csv(FOLDER / "start.csv", parse_dates=["valid_time"])
    observed = {
        name: tuple(Point(np.datetime64(t, "ns"), y, x, {}) for t, y, x in zip(r.valid_time, r.lat, r.lon, strict=True))
        for name, r in start.groupby("track_id")
    }
    frames = (
        Frame(INIT + lead, grid, {c: fields[c[0]].values[i + 1] for c in tracker.channels})
        for i, lead in enumerate(fields.time.values[1:])
    )
    tracks = tracker.tracks(frames, observed)
    found = {(track.name, pd.Timestamp(point.time)): point for track in tracks for point in track.points}
    assert sorted(found) == sorted(expected.index)
    for key, row in expected.iterrows():
        point = found[key]
        assert abs(point.lat - row.lat) < 1e-6 and abs(point.lon - row.lon) < 1e-6
        values = dict(point.values) | {"wind": point.values["wind"] / KNOT, "slp": point.values["slp"] / 100}
        np.testing.assert_allclose(
            [values[name] for name in NAMES], [row[name] for name in NAMES.values()], atol=1e-5, equal_nan=True
        )


def test_by_the_command_in_units_of_the_table(fields, expected, tmp_path):
    """A forecast file with the same fields: new storms, by number, are those of the published code."""
    store = fields.isel(time=slice(1, None)).rename(time="lead_time", lat="latitude", lon="longitude")
    store = store.expand_dims(init_time=[INIT]).transpose("init_time", "lead_time", ...)
    for name in store.data_vars:
        store[name].attrs = VARIABLES[name].attributes
    best = pd.read_csv(FOLDER / "start.csv").rename(
        columns={"valid_time": "time", NAMES["wind"]: "wind", NAMES["slp"]: "slp"}
    )
    best.assign(season=2024, basin="NA").to_csv(tmp_path / "best.csv", index=False)
    write_forecast(tmp_path / "f.zarr", store)
    words = ["--tracker", "direct", "--best-tracks", tmp_path / "best.csv", "--out", tmp_path / "t.parquet"]
    later = best.assign(time="2024-10-07 06:00:00", track_id="later")[:1].assign(season=2024, basin="NA")
    pd.concat([best.assign(season=2024, basin="NA"), later]).to_csv(tmp_path / "best.csv", index=False)
    assert main(["track", *map(str, [tmp_path / "f.zarr", *words])]) == 0
    table = read_tracks(tmp_path / "t.parquet")
    assert set(RADII) <= set(table.columns)
    assert set(table.track_id) == {f"2024100700_00_{name}" for name in expected.index.unique(0)}
    first = table[table.track_id == "2024100700_00_obs0"].iloc[0]
    assert first.wind == pytest.approx(expected.loc["obs0"].iloc[0][NAMES["wind"]] * KNOT, abs=1e-4)


def test_radii_fit_the_wind():
    values = {"wind": 55.0, "slp": 980.0, "rmw": 90.0, **dict.fromkeys(RADII, 40.0)}
    values |= {"r34_ne": 30.0, "r34_sw": np.nan, "r50_se": 70.0, "r64_nw": 120.0}
    made = consistent(values)
    assert all(made[f"r64_{q}"] == 0 for q in QUADRANTS)
    assert made["r50_se"] == 90 and made["r34_se"] == 90 and np.isnan(made["r34_sw"]) and made["r34_ne"] == 40
