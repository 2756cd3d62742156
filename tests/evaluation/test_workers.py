"""Scoring in pieces: equal however it is spread, and going on after a kill."""

import json
import os
import signal
import subprocess
import sys
import time
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from airmass.commands.main import main
from airmass.core.errors import InputError
from airmass.core.memory import resident
from airmass.evaluation.request import VerificationRequest
from airmass.evaluation.workers import memory_of, pieces, score_pieces
from tests.conftest import make_store
from tests.forecasts import ensemble_dataset, opened, scored, truth_dataset, write_climatology, write_forecast

NAMES = ("geopotential", "2m_temperature")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workers")
    truth = truth_dataset(days=12, names=NAMES)
    make_store(folder / "truth.zarr", truth)
    write_climatology(folder / "c.zarr", truth)
    forecast = ensemble_dataset(truth, init_indices=range(2, 32), climatology=folder / "c.zarr")
    write_forecast(folder / "e.zarr", forecast)
    scored([folder / "e.zarr"], folder / "truth.zarr", folder / "one")
    return folder


def quiet():
    return Console(file=StringIO())


def scores_of(folder):
    return {
        tuple(r[k] for k in r if k != "value"): r["value"] for r in json.loads((folder / "scores.json").read_text())
    }


def same(one, other):
    a, b = scores_of(one), scores_of(other)
    assert a.keys() == b.keys()
    np.testing.assert_allclose(list(a.values()), [b[key] for key in a], rtol=1e-12, atol=1e-12)


def test_pieces_cover_everything_once(files):
    data = opened([files / "e.zarr"], files / "truth.zarr")
    for workers in (1, 2, 5, 64):
        found = pieces(data, workers)
        for name in data.variables:
            times = [t for piece in found if piece.variable == name for t in range(piece.start, piece.stop)]
            assert times == list(range(len(data.init_times)))
        assert workers == 1 or len(found) >= min(4 * workers, 2 * 30)
    assert 256 << 20 < memory_of(data) - resident() < 1 << 30


@pytest.mark.slow
def test_workers_change_nothing(files, tmp_path):
    scored([files / "e.zarr"], files / "truth.zarr", tmp_path / "two", workers=2)
    same(files / "one", tmp_path / "two")


@pytest.mark.slow
def test_a_dask_cluster_changes_nothing(files, tmp_path):
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        scored(
            [files / "e.zarr"], files / "truth.zarr", tmp_path / "two",
            scheduler=cluster.scheduler_address,
        )  # fmt: skip
    same(files / "one", tmp_path / "two")


def test_an_absent_scheduler_is_one_line(files, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("airmass.core.cluster._CONNECT_SECONDS", 1)
    words = [files / "e.zarr", "--truth", files / "truth.zarr", "--out", tmp_path / "o"]
    assert main(["evaluate", *map(str, words), "--scheduler", "tcp://127.0.0.1:1"]) == 2
    assert "--scheduler tcp://127.0.0.1:1: cannot be reached" in capsys.readouterr().err
    assert main(["evaluate", *map(str, words), "--workers", "0"]) == 2
    assert "--workers is 0, expected 1 to 256" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_it_goes_on_with_what_was_scored_and_only_with_that(files, tmp_path, monkeypatch):
    request = VerificationRequest(forecasts=(files / "e.zarr",), truth=files / "truth.zarr")
    data, done = opened(request.forecasts, request.truth), []
    from airmass.evaluation import workers

    plain = workers.score_variable

    def stops(data, name, init_times):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(name)
        return plain(data, name, init_times)

    monkeypatch.setattr(workers, "pieces", lambda data, n: pieces(data, 3))
    monkeypatch.setattr(workers, "score_variable", stops)
    with pytest.raises(KeyboardInterrupt):
        score_pieces(data, request, quiet(), tmp_path / "o")
    assert len(list(tmp_path.glob(".o.scored-*/*.npz"))) == 2
    next(tmp_path.glob(".o.scored-*/*.npz")).write_bytes(b"broken")  # a damaged piece is scored again
    screen, total = Console(file=StringIO()), len(pieces(data, 3))
    monkeypatch.setattr(workers, "score_variable", lambda *a: done.append(a[1]) or plain(*a))
    score_pieces(data, request, screen, tmp_path / "o")
    assert f"Going on: 1 of {total} parts" in screen.file.getvalue() and len(done) == 2 + total - 1
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_killed_evaluation_goes_on(files, tmp_path):
    words = [sys.executable, "-m", "airmass", "evaluate", str(files / "e.zarr"), "--truth", str(files / "truth.zarr")]
    words += ["--out", str(tmp_path / "o"), "--workers", "2"]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, start_new_session=True)
    while process.poll() is None and not list(tmp_path.glob(".o.scored-*/*.npz")):
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = list(tmp_path.glob(".o.scored-*/*.npz"))
    assert kept and not (tmp_path / "o").exists()
    again = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "Going on:" in again.stdout
    same(files / "one", tmp_path / "o")
    assert [path.name for path in tmp_path.iterdir()] == ["o"]


def test_an_error_of_the_inputs_leaves_nothing(files, tmp_path):
    import xarray as xr

    forecast = xr.open_zarr(files / "e.zarr", consolidated=False).load()
    forecast["geopotential"][20, 0, 0, 0, 0, 0] = np.nan
    for variable in forecast.variables.values():
        variable.encoding = {}
    path = write_forecast(tmp_path / "bad.zarr", forecast)
    with pytest.raises(InputError, match=r"bad.zarr: geopotential has 1 NaN"):
        scored([path], files / "truth.zarr", tmp_path / "o")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.zarr"]
