"""Station observations as truth: values that can be derived, and every kind of bad table."""

from io import StringIO

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from rich.console import Console

from airmass.commands.main import main
from airmass.evaluation.stations import LAPSE_RATE, bilinear
from airmass.fields.grid import LatLonGrid
from airmass.plots.station_maps import read_station_scores, station_figures
from tests.conftest import make_store
from tests.forecasts import ensemble_dataset, scored, truth_dataset, write_forecast

TRUTH = truth_dataset(days=8, names=("2m_temperature", "geopotential"))
PLACES = {"A": (51.3, 7.2, 120.0), "B": (-33.9, 151.2, 6.0), "C": (0.4, 179.9, 2300.0), "D": (40.0, -105.3, 1650.0),
          "E": (-60.0, 300.0, 55.0), "F": (10.0, 20.0, 400.0)}  # fmt: skip
T2M = ("2m_temperature", None)


def orography():
    """Model surface of 100 m times the number of the row."""
    rows = 100 * 9.80665 * np.arange(TRUTH.sizes["latitude"], dtype=np.float32)
    field = np.repeat(rows[:, None], TRUTH.sizes["longitude"], axis=1)
    return xr.DataArray(field, dims=("latitude", "longitude"), attrs={"units": "m2 s-2"})


def interpolated(field):
    """Fields at the stations by scipy, over a grid extended around the globe."""
    from scipy.interpolate import RegularGridInterpolator

    longitude = np.append(TRUTH.longitude.values, 360.0)
    values = np.concatenate([field, field[..., :1]], axis=-1)
    places = np.array([(latitude, longitude % 360) for latitude, longitude, _ in PLACES.values()])
    return np.stack([
        RegularGridInterpolator((TRUTH.latitude.values, longitude), one)(places) for one in values.astype(float)
    ])  # fmt: skip


def table_of(error=0.0, corrected=True, units="2m_temperature"):
    """Observations that are the truth at the stations, minus an `error`, at the stations' own height."""
    values = interpolated(TRUTH["2m_temperature"].values) - error
    if corrected:
        model = interpolated(orography().values[None])[0] / 9.80665
        values = values + LAPSE_RATE * (model - np.array([height for *_, height in PLACES.values()]))
    rows = [
        {"station": name, "time": str(time)[:19], "latitude": latitude, "longitude": longitude, "height": height,
         units: values[i, j]}
        for i, time in enumerate(TRUTH.time.values)
        for j, (name, (latitude, longitude, height)) in enumerate(PLACES.items())
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stations")
    make_store(folder / "truth.zarr", TRUTH.assign(geopotential_at_surface=orography()))
    write_forecast(folder / "e.zarr", ensemble_dataset(TRUTH, init_indices=range(2, 12), spread=1.0))
    return folder


def test_bilinear_shares():
    grid = LatLonGrid.equiangular(8, 16)
    rng = np.random.default_rng(0)
    latitude, longitude = rng.uniform(-78, 78, 200), rng.uniform(-180, 360, 200)
    nodes, shares = bilinear(grid, latitude, longitude)
    np.testing.assert_allclose(shares.sum(axis=0), 1)
    lat, lon = grid.nodes
    np.testing.assert_allclose((lat[nodes] * shares).sum(axis=0), latitude, atol=1e-9)  # linear fields are exact
    off = (lon[nodes] - longitude + 180) % 360 - 180
    np.testing.assert_allclose((off * shares).sum(axis=0), 0, atol=1e-9)
    beyond, _ = bilinear(grid, np.array([89.0]), np.array([0.0]))
    assert set(lat[beyond[:, 0]]) <= {grid.latitude[-1], grid.latitude[-2]}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_known_error_is_found_at_the_stations(files, tmp_path, kind):
    table = table_of(error=0.5)
    table.loc[3, "2m_temperature"] = np.nan  # a gap
    path = tmp_path / f"s.{kind}"
    table.to_csv(path, index=False) if kind == "csv" else table.to_parquet(path)
    found = scored(
        [files / "e.zarr"], None, tmp_path / "s", stations=path, maps=["24h"],
        orography=files / "truth.zarr", regions=["northern-hemisphere"],
    )  # fmt: skip
    assert found.systems == ("gencast",) and {s.variable for s in found.scores} == {"2m_temperature"}
    assert found.value("gencast", T2M, 24, "bias") == pytest.approx(0.5, abs=0.2)
    by_station = pd.read_csv(tmp_path / "s" / "stations.csv")
    figures = station_figures(read_station_scores(tmp_path / "s"))
    assert set(figures) == {"rmse_2t", "bias_2t"}
    drawn = [points for axes in figures["bias_2t"].axes for points in axes.collections if len(points.get_offsets()) > 1]
    assert any(len(points.get_offsets()) == len(PLACES) for points in drawn)
    bias = by_station[(by_station.metric == "bias")]
    assert len(bias) == len(PLACES) and bias.value.mean() == pytest.approx(found.value("gencast", T2M, 24, "bias"))
    north = bias[bias.latitude >= 20].value.mean()
    assert found.over(("northern-hemisphere", None)).value("gencast", T2M, 24, "bias") == pytest.approx(north)


def test_without_orography_heights_are_not_corrected_and_it_is_said(files, tmp_path):
    table_of(corrected=False).to_csv(tmp_path / "s.csv", index=False)
    screen = Console(file=StringIO(), width=300)
    found = scored([files / "e.zarr"], None, tmp_path / "s", console=screen, stations=tmp_path / "s.csv")
    assert abs(found.value("gencast", T2M, 24, "bias")) < 0.2 and "is not corrected" in screen.file.getvalue()


def test_gross_errors_are_left_out_and_counted(files, tmp_path):
    table = table_of(corrected=False)
    table.loc[50, "2m_temperature"] = 341.0  # possible somewhere, not at this station
    table.to_csv(tmp_path / "s.csv", index=False)
    screen = Console(file=StringIO(), width=300)
    found = scored([files / "e.zarr"], None, tmp_path / "s", console=screen, stations=tmp_path / "s.csv")
    assert "1 of 192 values are gross errors and left out" in screen.file.getvalue()
    assert found.value("gencast", T2M, 6, "rmse") < 1


def spoil(table, kind):
    changes = {
        "month first": lambda: table.assign(time="11/01/2000 00:00"),
        "numbers": lambda: table.assign(time=973036800),
        "twice": lambda: pd.concat([table, table[:1]]),
        "moved": lambda: table.assign(latitude=table.latitude.where(table.index != 7, 12.0)),
        "no height": lambda: table.drop(columns="height"),
        "no values": lambda: table.rename(columns={"2m_temperature": "snow"}),
        "another year": lambda: table.assign(time=table.time.str.replace("2000", "1999")),
        "words": lambda: table.assign(**{"2m_temperature": "warm"}),
        "time": lambda: table.assign(time="noon"),
        "empty": lambda: table[:0],
    }
    return changes[kind]()


def surface_of(latitude):
    """Height of the model's surface at a latitude."""
    return float(np.interp(latitude, TRUTH.latitude.values, 100 * np.arange(TRUTH.sizes["latitude"])))


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("month first", "time is '11/01/2000 00:00', expected one such as 2001-01-05T06:00, in UTC"),
        ("numbers", "time is 973036800, expected times such as 2001-01-05T06:00"),
        ("twice", "station A has two rows at 2000-11-01T00:00"),
        ("moved", "station B has more than one latitude"),
        ("no height", "missing column height; the table has station"),
        ("no values", "has no values of"),
        ("another year", "has no observation at a valid time of the forecasts; its times are 1999-11-01"),
        ("words", "Unable to parse string"),
        ("time", "time is 'noon', expected one such as"),
        ("empty", "has no rows"),
    ],
)
def test_bad_tables_are_one_line(files, tmp_path, capsys, kind, says):
    spoil(table_of(), kind).to_csv(tmp_path / "s.csv", index=False)
    words = ["evaluate", str(files / "e.zarr"), "--stations", str(tmp_path / "s.csv"), "--out", str(tmp_path / "o")]
    assert main([*words, "--orography", str(files / "truth.zarr")]) == 2
    err = capsys.readouterr().err
    assert says in err and "s.csv" in err and err.count("\n") == 1 and not (tmp_path / "o").exists(), err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("", "expected either --truth, a store, or --stations"),
        ("--truth truth.zarr --stations s.csv", "expected either --truth, a store, or --stations"),
        ("--stations s.csv --spectra 24h", "--spectra needs fields as truth"),
        ("--stations s.csv --regions land", "stations have none"),
        ("--stations s.csv --regions arctic", "region 'arctic' has no stations"),
        ("--stations s.txt", "s.txt: expected a table of stations ending in .csv or .parquet"),
        ("--stations absent.csv", "absent.csv: no such file"),
        ("--stations s.csv --against persistence", "no such system"),
    ],
)
def test_options_that_do_not_fit(files, tmp_path, capsys, monkeypatch, options, says):
    table_of().to_csv(files / "s.csv", index=False)
    monkeypatch.chdir(files)
    assert main(["evaluate", "e.zarr", *options.split(), "--out", str(tmp_path / "o")]) == 2
    err = capsys.readouterr().err
    assert says in err and err.count("\n") == 1
