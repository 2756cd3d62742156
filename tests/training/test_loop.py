"""A run that is stopped, killed or begun again goes on as if nothing had happened, or says why not."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from airmass.errors import InputError
from airmass.models.graphcast import GraphCastSettings
from airmass.saved import read_model
from airmass.training.loop import train
from airmass.training.run_folder import LOG_FILE
from tests.conftest import make_store
from tests.training.small import OPTIONS, SMALL

COMMAND = [sys.executable, "-m", "airmass", "train", "demo", *OPTIONS]
LONG = ["--training.updates", "150", "--training.checkpoint-minutes", "0.03"]


def _parameters(run) -> dict[str, bytes]:
    with np.load(run / "model.npz", allow_pickle=False) as stored:
        return {key: stored[key].tobytes() for key in stored.files if key.startswith("params:")}


def _losses(run) -> list[tuple[int, float]]:
    lines = [json.loads(line) for line in (run / LOG_FILE).read_text().splitlines()]
    return [(line["update"], line["loss"]) for line in lines]


def _wait_for_checkpoint(run, process, beyond: int = 0) -> int:
    for _ in range(30_000):
        saved = [int(path.name) for path in (run / "checkpoints").glob("*") if path.name.isdigit()]
        if saved and max(saved) > beyond:
            return max(saved)
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    raise AssertionError("no checkpoint within five minutes")


@pytest.fixture(scope="module")
def undisturbed(small_store, tmp_path_factory):
    run = tmp_path_factory.mktemp("run") / "undisturbed"
    command = [*COMMAND, *LONG, "--data", str(small_store), "--run", str(run)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return run


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_run_goes_on_to_the_bit(small_store, undisturbed, tmp_path, number):
    run = tmp_path / "run"
    command = [*COMMAND, *LONG, "--data", str(small_store), "--run", str(run)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    _wait_for_checkpoint(run, process)
    os.kill(process.pid, number)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
    if number == signal.SIGINT:
        assert "the same command goes on" in errors
    assert subprocess.run(command, capture_output=True).returncode == 0
    assert _parameters(run) == _parameters(undisturbed)
    assert _losses(run) == _losses(undisturbed)


def test_the_model_file_says_how_it_came_to_be(undisturbed, small_store):
    saved = read_model(undisturbed)
    assert saved.about["updates"] == 150
    assert saved.about["data"] == str(small_store)
    assert saved.recipe.model == GraphCastSettings(mesh_level=1, width=8, steps=2, recompute=False)


def test_the_curriculum_takes_its_stages_in_turn(small_store, tmp_path):
    train(SMALL, small_store, tmp_path / "run")
    lines = (tmp_path / "run" / LOG_FILE).read_text().splitlines()
    last = json.loads(lines[-1])
    assert last["update"] == 16 and last["rollout"] == 2
    assert last["terms"].keys() == set(SMALL.task.targets)


def test_other_settings_or_data_are_refused_and_nothing_changes(small_store, tmp_path):
    run = tmp_path / "run"
    train(SMALL, small_store, run)
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    wider = dataclasses.replace(SMALL, model=dataclasses.replace(SMALL.model, width=9))
    with pytest.raises(InputError, match=r"begun with model.width = 8, not 9"):
        train(wider, small_store, run)
    other = make_store(tmp_path / "other.zarr", days=5, seed=1)
    with pytest.raises(InputError, match="data_fingerprint"):
        train(SMALL, other, run)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


def test_a_folder_of_something_else_is_refused(small_store, tmp_path):
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(InputError, match="not a training run"):
        train(SMALL, small_store, tmp_path)


def test_training_dates_beyond_the_store_are_refused(small_store, tmp_path):
    settings = dataclasses.replace(SMALL.training, dates=("2000-11-01", "2000-12-30"))
    with pytest.raises(InputError, match="2000-12-30 are not covered; the store holds 2000-11-01"):
        train(dataclasses.replace(SMALL, training=settings), small_store, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"missing_variable": "temperature"}, "missing variable temperature"),
        ({"missing_level": 850}, r"missing level \[850\]"),
        ({"reversed_latitude": True}, "north to south"),
        ({"uneven_latitude": True}, "unevenly"),
        ({"swapped": True}, "dimensions"),
        ({"units": {"temperature": "degC"}}, "units 'degC', expected 'K'"),
        ({"nan": "temperature"}, r"temperature has 2 NaN.*first at 2000-11-01T06:00"),
    ],
)
def test_a_faulty_store_is_refused_by_name_and_nothing_is_written(tmp_path, fault, words):
    store = make_store(tmp_path / "store.zarr", days=5, **fault)
    with pytest.raises(InputError, match=words) as refused:
        train(SMALL, store, tmp_path / "run")
    assert str(store) in str(refused.value) and "\n" not in str(refused.value)
    assert not (tmp_path / "run" / "model.npz").exists()
