"""Outputs of commands: of two runs one makes it and nothing is lost; refused or failed, a run leaves nothing."""

import subprocess
import sys

import pytest
import xarray as xr

from airmass.commands.main import main
from airmass.data.formats.opening import open_unchecked
from tests.conftest import make_store


@pytest.fixture(scope="module")
def reversed_store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("store") / "reversed.zarr", reversed_latitude=True)


@pytest.mark.parametrize("kind", ["convert", pytest.param("stats", marks=pytest.mark.slow)])
def test_one_of_two_wins(store, reversed_store, tmp_path, kind):
    out, alone = tmp_path / "out.zarr", tmp_path / "alone.zarr"
    words = {
        "convert": ["data", "convert", str(reversed_store)],
        "stats": ["data", "stats", str(store), "--dates", "2000-11-01", "2000-11-03", "--out"],
    }[kind]
    command = [sys.executable, "-m", "airmass", *words, str(out)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=120)[1] for process in both]
    codes = [process.returncode for process in both]
    assert sorted(codes) == [0, 2]
    refusal = told[codes.index(2)]
    assert refusal.count("\n") == 1 and str(out) in refusal
    assert list(tmp_path.iterdir()) == [out]
    assert main([*words, str(alone)]) == 0
    for name in ("",) if kind == "convert" else ("mean_by_level.nc", "climatology.zarr"):
        xr.testing.assert_equal(open_unchecked(out / name), open_unchecked(alone / name))


@pytest.mark.parametrize(
    "words",
    [
        "data convert {store} {store}/out.zarr",
        "data stats {store} --dates 2000-11-01 2000-11-03 --out {store}/../link/statistics",
        "evaluate f.zarr --truth {store} --out {store}/scores",
        "plot f.zarr --truth {store} --out {store}/scores",
        "forecast --checkpoint x.npz --initial {store} --out {store}/f.nc",
    ],
)
def test_no_command_writes_into_what_it_reads(words, tmp_path, capsys):
    store = make_store(tmp_path / "store.zarr", days=1)
    (tmp_path / "link").symlink_to(store)
    before = sorted(store.rglob("*"))
    assert main(words.format(store=store).split()) == 2
    told = capsys.readouterr().err
    assert "is or lies in" in told and told.count("\n") == 1
    assert sorted(store.rglob("*")) == before


_LIMITED = """
import resource, signal, sys
from airmass.commands.main import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2**9, 2**9))
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("kind", ["convert", pytest.param("stats", marks=pytest.mark.slow)])
def test_a_full_disk_leaves_nothing(tmp_path, kind):
    """As one is met: no file may grow beyond 512 bytes."""
    store = make_store(tmp_path / "store.zarr", days=1, reversed_latitude=kind == "convert")
    out = tmp_path / "deep" / "out.zarr"
    dates = ["--dates", "2000-11-01", "2000-11-01", "--out"]
    words = ["data", "convert", store, out] if kind == "convert" else ["data", "stats", store, *dates, out]
    run = subprocess.run([sys.executable, "-c", _LIMITED, *map(str, words)], capture_output=True, text=True)
    assert run.returncode == 2 and "File too large" in run.stderr, run.stderr
    assert run.stderr.count("\n") == 1 and str(out) in run.stderr
    assert list(tmp_path.iterdir()) == [store]
