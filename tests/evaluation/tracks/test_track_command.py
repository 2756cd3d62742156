"""`airmass track` as a person meets it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from airmass.commands.main import main
from airmass.evaluation.tracks.table import COLUMNS, read_tracks
from airmass.fields.grid import LatLonGrid
from tests.evaluation.tracks.planting import dataset, forecast, hourly, straight
from tests.evaluation.tracks.test_verification import FILE
from tests.forecasts import write_forecast

GRID = LatLonGrid.equiangular(60, 120)
INIT = np.datetime64("2019-10-08", "ns")
LEADS = tuple(range(6, 67, 6))
TIMES = hourly("2019-10-08T06", len(LEADS))


@pytest.fixture(scope="module")
def planted():
    members = [[straight(TIMES, (12, 170), (18 + i, -176), 7000, radius=90)] for i in range(2)]
    return forecast(GRID, INIT, LEADS, [*members, []])


@pytest.fixture(scope="module")
def ensemble(planted, tmp_path_factory):
    return write_forecast(tmp_path_factory.mktemp("forecast") / "f.zarr", planted)


def refused(words, capsys) -> str:
    assert main([str(word) for word in words]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    return told


def test_an_ensemble_in_every_format(ensemble, tmp_path):
    tables = []
    for suffix in (".parquet", ".csv", ".nc"):
        out = tmp_path / f"tracks{suffix}"
        assert main(["track", str(ensemble), "--out", str(out)]) == 0
        tables.append(read_tracks(out))
    first = tables[0]
    assert tuple(first.columns) == COLUMNS
    assert set(first.track_id) == {"2019100800_00_0", "2019100800_01_0"}
    assert (first.time - first.init_time == first.lead_time).all()
    assert set(first.lead_time / np.timedelta64(1, "h")) == set(LEADS)
    for other in tables[1:]:
        pd.testing.assert_frame_equal(first, other)


@pytest.mark.slow
def test_a_dask_cluster_gives_the_same_bytes(ensemble, tmp_path):
    """Also by one worker and by four, and by processes."""
    from distributed import LocalCluster

    words, tables = ["track", str(ensemble), "--out"], []
    for workers in (1, 4):
        tables += [tmp_path / f"processes-{workers}.parquet", tmp_path / f"dask-{workers}.parquet"]
        assert main([*words, str(tables[-2]), "--workers", str(workers)]) == 0
        with LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster:
            assert main([*words, str(tables[-1]), "--scheduler", cluster.scheduler_address]) == 0
    assert len({table.read_bytes() for table in tables}) == 1


def test_it_goes_on_with_the_runs_that_were_tracked(ensemble, tmp_path, monkeypatch, capsys):
    from airmass.evaluation.tracks import tracking

    out, done, plain = tmp_path / "t.parquet", [], tracking._track

    def stops(source, run, *rest):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(run.number)
        return plain(source, run, *rest)

    monkeypatch.setattr(tracking, "_track", stops)
    assert main(["track", str(ensemble), "--out", str(out)]) == 130
    parts = sorted(tmp_path.glob(".t.parquet.tracked-*/*.parquet"))
    assert done == [0, 1] and len(parts) == 2 and not out.exists()
    parts[0].write_bytes(b"damaged")  # is tracked again
    monkeypatch.setattr(
        tracking, "_track", lambda source, run, *rest: done.append(run.number) or plain(source, run, *rest)
    )
    capsys.readouterr()
    assert main(["track", str(ensemble), "--out", str(out)]) == 0
    assert "Going on: 1 of 3 runs" in capsys.readouterr().out and done == [0, 1, 0, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["t.parquet"]
    assert main(["track", str(ensemble), "--out", str(tmp_path / "u.parquet")]) == 0
    assert out.read_bytes() == (tmp_path / "u.parquet").read_bytes()


def test_other_settings_begin_anew(ensemble, tmp_path, monkeypatch, capsys):
    from airmass.evaluation.tracks import tracking

    plain = tracking._track

    def stops(source, run, *rest):
        if run.number == 1:
            raise KeyboardInterrupt
        return plain(source, run, *rest)

    words = ["track", str(ensemble), "--out", str(tmp_path / "t.csv")]
    monkeypatch.setattr(tracking, "_track", stops)
    assert main(words) == 130
    monkeypatch.setattr(tracking, "_track", plain)
    capsys.readouterr()
    assert main([*words, "--tropical.wind", "15"]) == 0
    assert "Going on" not in capsys.readouterr().out and [p.name for p in tmp_path.iterdir()] == ["t.csv"]


@pytest.mark.slow
@pytest.mark.parametrize(("suffix", "workers"), [(".nc", 1), (".parquet", 2)])
def test_a_killed_run_goes_on(planted, suffix, workers, tmp_path):
    """SIGKILL after the first run; the table has the bytes of an undisturbed one."""
    many = xr.concat(
        [planted.isel(number=[0, 1, 2]).assign_coords(number=[i, i + 1, i + 2]) for i in range(0, 24, 3)], "number"
    )
    forecast = write_forecast(tmp_path / "f.zarr", many)
    words = [sys.executable, "-m", "airmass", "track", forecast, "--workers", workers, "--out", tmp_path / f"t{suffix}"]
    words = [str(word) for word in words]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, start_new_session=True)
    while process.poll() is None and not list(tmp_path.glob(".t.*.tracked-*/*.parquet")):
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = len(list(tmp_path.glob(".t.*.tracked-*/*.parquet")))
    assert 0 < kept < 24 and not (tmp_path / f"t{suffix}").exists()
    again = subprocess.run(words, capture_output=True, text=True, check=True)
    assert f"Going on: {kept} of 24 runs" in again.stdout
    assert main(["track", str(forecast), "--out", str(tmp_path / f"u{suffix}")]) == 0
    assert (tmp_path / f"t{suffix}").read_bytes() == (tmp_path / f"u{suffix}").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"f.zarr", f"t{suffix}", f"u{suffix}"}


@pytest.mark.slow
def test_a_killed_worker_is_one_line_and_the_rest_goes_on(planted, tmp_path):
    many = xr.concat([planted.assign_coords(number=[i, i + 1, i + 2]) for i in range(0, 24, 3)], "number")
    forecast, out = write_forecast(tmp_path / "f.zarr", many), tmp_path / "t.csv"
    words = [str(w) for w in (sys.executable, "-m", "airmass", "track", forecast, "--workers", 2, "--out", out)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not list(tmp_path.glob(".t.csv.tracked-*/*.parquet")):
        time.sleep(0.005)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    workers = [int(pid) for pid in children if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]
    os.kill(workers[0], signal.SIGKILL)
    told = process.communicate()[1]
    assert process.returncode == 2 and "a worker process was killed" in told and told.count("\n") == 1
    again = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "Going on:" in again.stdout and out.exists()


@pytest.mark.parametrize("kind", ["turned", "packed", "netcdf"])
def test_the_layout_on_disk_changes_nothing(planted, ensemble, kind, tmp_path):
    """Latitudes and levels that fall, names and order as in WeatherBench2; packed numbers; another format."""
    assert main(["track", str(ensemble), "--out", str(tmp_path / "plain.csv")]) == 0
    other, encoding = planted, {}
    if kind == "turned":
        other = planted.isel(latitude=slice(None, None, -1), level=slice(None, None, -1))
        other = other.rename(init_time="time", lead_time="prediction_timedelta")
        other = other.transpose("prediction_timedelta", "time", "level", "number", "longitude", "latitude")
        chunks = {n: (3, 1, *([2] if "level" in other[n].dims else []), 2, 50, 60) for n in other.data_vars}
        encoding = {name: {"chunks": shape} for name, shape in chunks.items()}
        encoding["prediction_timedelta"] = {"units": "hours", "dtype": "int64"}
        other.to_zarr(tmp_path / "other", zarr_format=3, consolidated=False, encoding=encoding)
    elif kind == "packed":
        encoding = {"mean_sea_level_pressure": {"dtype": "int32", "scale_factor": 0.001, "_FillValue": -1}}
        encoding["lead_time"] = {"units": "hours", "dtype": "int64"}
        other.to_zarr(tmp_path / "other", zarr_format=2, consolidated=False, encoding=encoding)
    else:
        encoding["lead_time"] = {"units": "hours", "dtype": "int64"}
        other.to_netcdf(tmp_path / "other", engine="h5netcdf", encoding=encoding)
    assert main(["track", str(tmp_path / "other"), "--out", str(tmp_path / "other.csv")]) == 0
    plain, found = (read_tracks(tmp_path / f"{name}.csv") for name in ("plain", "other"))
    if kind == "packed":
        pd.testing.assert_frame_equal(found, plain, rtol=1e-4)
    else:
        assert (tmp_path / "other.csv").read_bytes() == (tmp_path / "plain.csv").read_bytes()


def test_a_store_is_one_run_without_initial_time(tmp_path, capsys):
    storm = straight(TIMES, (12, 170), (18, -176), 7000, radius=90)
    dataset(GRID, TIMES, [storm]).to_netcdf(tmp_path / "analysis.nc")
    assert main(["track", str(tmp_path / "analysis.nc"), "--out", str(tmp_path / "t.parquet")]) == 0
    table = read_tracks(tmp_path / "t.parquet")
    assert list(table.time) == list(TIMES) and table.init_time.isna().all() and (table.number == 0).all()
    words = ["track", tmp_path / "analysis.nc", "--out", tmp_path / "u.csv", "--best-tracks", FILE]
    assert "has no initial times; --best-tracks" in refused(words, capsys) and not (tmp_path / "u.csv").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.drop_vars("mean_sea_level_pressure"), "missing variable mean_sea_level_pressure"),
        (lambda d: d.sel(level=[300, 500]), "missing level [850] hPa"),
        (lambda d: _units(d, "10m_u_component_of_wind", "knots"), "has units 'knots', expected 'm s-1'"),
        (lambda d: _units(d, "mean_sea_level_pressure", "hPa"), "has units 'hPa', expected 'Pa'"),
        (lambda d: d.assign(mean_sea_level_pressure=d.mean_sea_level_pressure / 100), "are these hPa?"),
        (lambda d: d.assign_coords(longitude=d.longitude - 180), "longitude runs -180 to"),
        (lambda d: d.where(d.latitude < 80), "NaN or infinite values, first at 2019-10-08T06:00"),
    ],
)
def test_a_bad_forecast_is_one_line(planted, change, words, tmp_path, capsys):
    bad = write_forecast(tmp_path / "bad.zarr", change(planted.isel(number=[0]).copy(deep=True)))
    assert words in refused(["track", bad, "--out", tmp_path / "t.csv"], capsys)
    assert list(tmp_path.iterdir()) == [bad]


def _units(dataset: xr.Dataset, name: str, units: str) -> xr.Dataset:
    dataset[name].attrs["units"] = units
    return dataset


def test_bad_options_are_one_line(ensemble, tmp_path, capsys):
    out = tmp_path / "t.csv"
    assert "expected .parquet, .csv, .nc" in refused(["track", ensemble, "--out", tmp_path / "t.txt"], capsys)
    assert "no initial time 2020-01-01T00:00" in refused(
        ["track", ensemble, "--out", out, "--init-times", "2020-01-01"], capsys
    )
    assert "is also in" in refused(["track", ensemble, ensemble, "--out", out], capsys)
    negative = ["track", ensemble, "--out", out, "--tropical.contour", "-1"]
    assert "--tropical.contour is -1.0" in refused(negative, capsys)
    (tmp_path / "text").write_text("no table\n")
    assert "missing column track_id" in refused(["track", tmp_path / "text"], capsys)
    (tmp_path / "text").unlink()
    assert "--workers is 0" in refused(["track", ensemble, "--out", out, "--workers", "0"], capsys)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.drop(columns="slp"), "missing column slp"),
        (lambda t: t.assign(slp=t.slp / 100), "slp is 9"),
        (lambda t: pd.concat([t, t]), "twice, expected each time once"),
        (lambda t: t.assign(lat=np.nan), "row 1 has no lat"),
    ],
)
def test_a_bad_table_is_refused(ensemble, change, words, tmp_path):
    assert main(["track", str(ensemble), "--out", str(tmp_path / "t.parquet")]) == 0
    change(pd.read_parquet(tmp_path / "t.parquet")).to_parquet(tmp_path / "bad.parquet")
    from airmass.core.errors import InputError

    with pytest.raises(InputError, match=r"bad\.parquet") as raised:
        read_tracks(tmp_path / "bad.parquet")
    assert words in str(raised.value)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".nc"])
def test_huracanpy_reads_the_tables(ensemble, suffix, tmp_path):
    huracanpy = pytest.importorskip("huracanpy")
    out = tmp_path / f"tracks{suffix}"
    assert main(["track", str(ensemble), "--out", str(out)]) == 0
    ours, theirs = read_tracks(out), huracanpy.load(str(out))
    assert theirs.track_id.values.tolist() == ours.track_id.tolist()
    for name in ("lon", "lat", "wind", "slp"):
        np.testing.assert_allclose(theirs[name].values, ours[name])
    assert (theirs.time.values == ours.time.values).all()
