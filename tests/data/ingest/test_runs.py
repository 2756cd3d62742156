"""Runs of ingest: the same bytes by any workers, shards of times, going on after a stop, later times."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from airmass.commands.main import main
from airmass.core.errors import InputError
from airmass.data.formats.store import open_store
from airmass.data.ingest.growing import checksum
from airmass.data.ingest.ingest import ingest
from airmass.data.ingest.request import IngestRequest
from airmass.data.loading.frames import Frames
from airmass.fields.channels import ChannelLayout
from airmass.fields.task import Task
from tests.data.ingest.test_ingest import archive, taken
from tests.layouts import LAYOUTS


def test_four_workers_and_a_cluster_write_the_bytes_of_one(tmp_path, monkeypatch):
    from distributed import LocalCluster

    files = LAYOUTS["IFS"](archive(["temperature", "2m_temperature"], days=1.5), tmp_path)
    request = IngestRequest(tuple(files), grid="8x4", shard=2)
    one = ingest(request, tmp_path / "1.zarr", workers=1)
    assert one == ingest(request, tmp_path / "4.zarr", workers=4)
    assert one == checksum(tmp_path / "4.zarr")
    monkeypatch.chdir(tmp_path)
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, processes=False) as cluster:
        words = [path.name for path in files]
        options = ["--out", "c.zarr", "--grid", "8x4", "--shard", "2", "--scheduler", cluster.scheduler_address]
        assert main(["data", "ingest", *words, *options]) == 0
    assert one == checksum(tmp_path / "c.zarr")


def test_an_absent_scheduler_is_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("airmass.core.cluster._CONNECT_SECONDS", 1)
    files = LAYOUTS["ARCO-ERA5"](archive(["2m_temperature"], days=1), tmp_path)
    words = ["data", "ingest", str(files[0]), "--out", str(tmp_path / "o.zarr"), "--scheduler", "tcp://127.0.0.1:1"]
    assert main(words) == 2
    told = capsys.readouterr().err
    assert "--scheduler tcp://127.0.0.1:1: cannot be reached" in told and len(told.splitlines()) == 1
    assert main([*words, "--workers", "2"]) == 2
    assert "has its own workers: --workers 2 has no effect" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [files[0].name]


def test_times_lie_in_shards_of_single_chunks(tmp_path):
    whole = archive(["temperature", "land_sea_mask"], days=3)
    files = LAYOUTS["ARCO-ERA5"](whole, tmp_path)
    ingest(IngestRequest(tuple(files), shard=5), tmp_path / "o.zarr")
    made = zarr.open_array(tmp_path / "o.zarr", path="temperature")
    assert made.shards == (5, 3, 8, 16) and made.chunks == (1, 3, 8, 16)
    held = [file.relative_to(tmp_path / "o.zarr" / "temperature" / "c") for file in _files(tmp_path / "o.zarr")]
    assert sorted(map(str, held)) == ["0/0/0/0", "1/0/0/0", "2/0/0/0"]
    task = Task(("temperature",), (), (), (), (300, 500, 850), history=1)
    expected = ChannelLayout.of(("temperature",), task.levels).pack(whole)
    np.testing.assert_array_equal(Frames(tmp_path / "o.zarr", task).at(whole.time.values[[7, 2]]), expected[[7, 2]])


def _files(store: Path) -> list[Path]:
    return [file for file in (store / "temperature" / "c").rglob("*") if file.is_file()]


@pytest.mark.parametrize("shard", [1, 3])
def test_a_stopped_run_goes_on(tmp_path, shard):
    files = tuple(LAYOUTS["ARCO-ERA5"](archive(["temperature", "2m_temperature"], days=2), tmp_path))
    whole = ingest(IngestRequest(files, shard=shard), tmp_path / "whole.zarr")

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    out = tmp_path / "out.zarr"
    with pytest.raises(KeyboardInterrupt):
        ingest(IngestRequest(files, shard=shard), out, progress=stop)
    assert not out.exists() and (tmp_path / "out.zarr.partial" / "done.jsonl").read_text().count("\n") == 3 // shard
    # A frame whose bytes are not those recorded is written again.
    chunk = tmp_path / "out.zarr.partial" / "out.zarr" / "temperature" / "c" / "0" / "0" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[:-1])
    with pytest.raises(InputError, match="was begun with method conservative, now bilinear; remove it"):
        ingest(IngestRequest(files, method="bilinear", shard=shard), out)
    steps: list[int] = []
    request = IngestRequest(files, shard=shard)
    assert ingest(request, out, progress=lambda done, total: steps.append(done)) == whole
    assert steps == (list(range(3, 9)) if shard == 1 else [3, 6, 8]) and not (tmp_path / "out.zarr.partial").exists()


@pytest.mark.parametrize("shard", [1, 2, 5, 32])
def test_later_times_are_appended(tmp_path, shard):
    whole = archive(["temperature", "land_sea_mask"], days=2)
    for n, part in enumerate((slice(0, 5), slice(5, 8))):
        whole.isel(time=part).to_netcdf(tmp_path / f"{n}.nc", engine="h5netcdf")
    out = tmp_path / "out.zarr"
    taken([tmp_path / "0.nc"], out, shard=shard)
    before = {file: file.read_bytes() for file in _files(out)}
    with pytest.raises(
        InputError, match="ends at 2000-11-02T00:00, to append from 2000-11-01T00:00; expected later times"
    ):
        ingest(IngestRequest((tmp_path / "0.nc",)), out, append=True)
    with pytest.raises(InputError, match=f"has {shard} times a shard, to append 7; expected the same"):
        ingest(IngestRequest((tmp_path / "1.nc",), shard=7), out, append=True)
    # A run that is stopped leaves the old store as it was.
    with pytest.raises(KeyboardInterrupt):
        ingest(IngestRequest((tmp_path / "1.nc",)), out, append=True, progress=_stop)
    assert {file: file.read_bytes() for file in _files(out)} == before
    assert main(["data", "ingest", str(tmp_path / "1.nc"), "--out", str(out), "--append"]) == 0
    whole.to_netcdf(tmp_path / "whole.nc", engine="h5netcdf")
    taken([tmp_path / "whole.nc"], tmp_path / "at-once.zarr", shard=shard)
    pairs = zip(sorted(_files(out)), sorted(_files(tmp_path / "at-once.zarr")), strict=True)
    assert all(one.read_bytes() == two.read_bytes() for one, two in pairs)
    for path in (tmp_path / "whole.nc", tmp_path / "at-once.zarr"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    found = open_store(out, dask=False)
    xr.testing.assert_equal(
        found[list(whole.data_vars)].load(), whole.drop_vars("level").assign_coords(level=found.level)
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.nc", "1.nc", "out.zarr"]
    with pytest.raises(InputError, match=r"48 h before|expected 6 h"):
        later = whole.isel(time=slice(0, 1)).assign_coords(time=[np.datetime64("2000-11-05", "ns")])
        later.to_netcdf(tmp_path / "2.nc", engine="h5netcdf")
        ingest(IngestRequest((tmp_path / "2.nc",)), out, append=True)


def _stop(done: int, total: int) -> None:
    raise KeyboardInterrupt


@pytest.mark.slow
def test_ten_kills_end_in_the_same_checksum(tmp_path):
    files = tuple(LAYOUTS["ARCO-ERA5"](archive(days=60, n_latitude=32, n_longitude=64), tmp_path))
    whole = ingest(IngestRequest(files, grid="30x15", shard=2), tmp_path / "whole.zarr")
    words = [
        sys.executable,
        "-m",
        "airmass",
        "data",
        "ingest",
        *map(str, files),
        "--out",
        str(tmp_path / "o.zarr"),
        "--grid",
        "30x15",
        "--shard",
        "2",
    ]
    journal, kills, seen = tmp_path / "o.zarr.partial" / "done.jsonl", 0, 0
    while kills < 10:
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        while process.poll() is None:
            lines = journal.read_text().count("\n") if journal.exists() else 0
            if lines > seen + 3:
                seen = lines
                process.send_signal(signal.SIGKILL)
            time.sleep(0.002)
        assert process.returncode == -signal.SIGKILL, process.stderr.read()
        kills += 1
    subprocess.run(words, check=True)
    assert checksum(tmp_path / "o.zarr") == whole
