"""A run that is stopped, killed or begun again goes on as if nothing had happened, or says why not."""

import dataclasses
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from airmass.commands.main import main
from airmass.core.errors import InputError
from airmass.core.locks import hold
from airmass.forecasting.checkpoints.model_file import read_model
from airmass.models.graphcast.settings import GraphCastSettings
from airmass.recipes.monitoring import MonitoringSettings
from airmass.recipes.settings import SafetySettings, TrainingSettings
from airmass.training import program as module
from airmass.training.loggers import LOG_FILE
from airmass.training.run_folder import WarmStart
from airmass.training.train import train
from airmass.training.update import make_update
from tests.conftest import make_store
from tests.training.small import OPTIONS, SMALL

# A rollout of two at the end: the curriculum, too, goes on where it was.
LONG = "--training.updates 130 20 --training.rollout 1 2 --safety.save-minutes 0.03 --safety.window 10".split()
LONG += "--safety.save-updates 50 --watch.every 10".split()


def _words(store, run, *options) -> list[str]:
    return ["train", "demo", *OPTIONS, *LONG, "--data", str(store), "--run", str(run), *options]


def _command(store, run, *options) -> list[str]:
    return [sys.executable, "-m", "airmass", *_words(store, run, *options)]


def _parameters(run) -> dict[str, bytes]:
    with np.load(run / "model.npz", allow_pickle=False) as stored:
        return {key: stored[key].tobytes() for key in stored.files if key.startswith("params:")}


def _losses(run) -> list[tuple[int, float]]:
    lines = [json.loads(line) for line in (run / LOG_FILE).read_text().splitlines()]
    return [(line["update"], line["loss"]) for line in lines]


def _saved(run) -> list[int]:
    found = [*(run / "checkpoints").glob("*"), *(run / "milestones").glob("*")]
    return [int(path.name) for path in found if path.name.isdigit()]


def _wait_for_checkpoint(run, process, beyond: int = 0) -> int:
    for _ in range(30_000):
        if max(_saved(run), default=0) > beyond:
            return max(_saved(run))
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    raise AssertionError("no checkpoint within five minutes")


@pytest.fixture(scope="module")
def undisturbed(small_store, tmp_path_factory):
    run = tmp_path_factory.mktemp("run") / "undisturbed"
    assert main(_words(small_store, run)) == 0
    return run


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_stopped_run_goes_on_to_the_bit(small_store, undisturbed, tmp_path, number):
    run = tmp_path / "run"
    process = subprocess.Popen(_command(small_store, run), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    _wait_for_checkpoint(run, process)
    os.kill(process.pid, number)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == (130 if number == signal.SIGTERM else -signal.SIGKILL)
    if number == signal.SIGTERM:
        assert "run the same command to resume" in errors
    assert main(_words(small_store, run)) == 0
    assert _parameters(run) == _parameters(undisturbed)
    assert _losses(run) == _losses(undisturbed)


@pytest.mark.slow
def test_twenty_kills_at_random_moments_change_nothing(small_store, undisturbed, tmp_path):
    """Also while saving, which this run does about every update."""
    run, draw = tmp_path / "run", random.Random(0)
    command = ["0" if word == "0.03" else word for word in _command(small_store, run)]
    for _ in range(20):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        reached = max(_saved(run), default=0)
        if reached < 140:
            _wait_for_checkpoint(run, process, reached)
        time.sleep(draw.uniform(0, 0.5))
        process.kill()
        process.communicate()
    assert subprocess.run(command, capture_output=True).returncode == 0
    assert _parameters(run) == _parameters(undisturbed)
    assert _losses(run) == _losses(undisturbed)


@pytest.mark.slow
def test_a_run_stops_before_its_time_is_over_and_goes_on(small_store, small_run, tmp_path):
    safety = dataclasses.replace(SMALL.safety, time_limit_minutes=1.0, margin_minutes=1.0)
    limited = dataclasses.replace(SMALL, safety=safety)
    with pytest.raises(KeyboardInterrupt, match="stopped after update 1;"):
        train(limited, small_store, tmp_path / "run")
    train(SMALL, small_store, tmp_path / "run")
    assert _parameters(tmp_path / "run") == _parameters(small_run)


def test_the_model_file_says_how_it_came_to_be(undisturbed, small_store):
    saved = read_model(undisturbed)
    assert saved.about["updates"] == 150
    assert saved.about["data"] == str(small_store)
    assert saved.recipe.model == GraphCastSettings(mesh_level=1, width=8, steps=2, recompute=0)


def test_the_curriculum_takes_its_stages_in_turn(small_run):
    lines = (small_run / LOG_FILE).read_text().splitlines()
    last = json.loads(lines[-1])
    assert last["update"] == 16 and last["rollout"] == 2
    assert last["terms"].keys() == set(SMALL.task.targets)
    assert {"geopotential/500/6h", "geopotential/500/12h", "2m_temperature/12h"} <= last["rmse"].keys()


def _risky(peak_rate: float, spike: float):
    optimiser = dataclasses.replace(SMALL.optimiser, peak_rate=peak_rate, warmup=20, clip_norm=1e9)
    safety = SafetySettings(save_updates=8, window=4, spike=spike, most_rollbacks=2)
    training = TrainingSettings(updates=(40,), rollout=(1,), batch=2)
    return dataclasses.replace(SMALL, training=training, optimiser=optimiser, safety=safety)


def test_a_spike_sends_the_run_back_and_it_moves_on(small_store, tmp_path, capsys):
    """At a rate that blows the loss up after a few updates."""
    train(_risky(3.0, 1.5), small_store, tmp_path / "run")
    assert "returning from update 8 to 0" in capsys.readouterr().out
    last = json.loads((tmp_path / "run" / LOG_FILE).read_text().splitlines()[-1])
    assert last["update"] == 40 and last["passed_over"] == 8


def test_other_settings_or_data_are_refused_and_nothing_changes(small_store, small_run, tmp_path):
    run = shutil.copytree(small_run, tmp_path / "run")
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.name != "lock"}
    other = dataclasses.replace(SMALL, model=dataclasses.replace(SMALL.model, width=9))
    other = dataclasses.replace(other, optimiser=dataclasses.replace(SMALL.optimiser, warmup=6))
    with pytest.raises(InputError, match=r"started with model.width = 8, not 9; optimiser.warmup = 5, not 6"):
        train(other, small_store, run)
    with pytest.raises(InputError, match="data_fingerprint"):
        train(SMALL, make_store(tmp_path / "other.zarr", days=5, seed=1), run)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.name != "lock"} == before


@pytest.mark.slow
def test_changes_are_accepted_when_told(small_store, small_run, tmp_path, capsys):
    run = shutil.copytree(small_run, tmp_path / "run")
    longer = dataclasses.replace(SMALL, training=dataclasses.replace(SMALL.training, updates=(12, 8)))
    train(longer, small_store, run, accept_changes=True)
    assert "training.updates = [12, 4], not [12, 8]" in " ".join(capsys.readouterr().out.split())
    assert read_model(run).about["updates"] == 20
    train(longer, small_store, run)  # and kept


def test_a_run_of_an_older_version_goes_on(small_store, small_run, tmp_path):
    """Settings that came later are at their defaults, and differ where they are not."""
    run = shutil.copytree(small_run, tmp_path / "run")
    settings = json.loads((run / "settings.json").read_text())
    for part, name in (("training", "rotate"), ("loss", "stages"), ("task", "nonnegative"), ("loader", "block")):
        del settings["recipe"][part][name]
    (run / "settings.json").write_text(json.dumps(settings))
    train(SMALL, small_store, run)
    turned = dataclasses.replace(SMALL, training=dataclasses.replace(SMALL.training, rotate=True))
    with pytest.raises(InputError, match=r"was started with training\.rotate = False, not True; choose another --run"):
        train(turned, small_store, run)


def test_two_runs_in_one_folder_are_refused(small_store, small_run, tmp_path):
    run = shutil.copytree(small_run, tmp_path / "run")
    before = (run / "settings.json").read_text()
    words = rf"another process trains in this folder \(process {os.getpid()} on .*\); choose another --run"
    longer = dataclasses.replace(SMALL, training=dataclasses.replace(SMALL.training, updates=(12, 8)))
    with hold(run, "lock"), pytest.raises(InputError, match=words):
        train(longer, small_store, run, accept_changes=True)
    assert (run / "settings.json").read_text() == before


@pytest.mark.slow
def test_of_two_runs_begun_together_one_trains(small_store, undisturbed, tmp_path):
    command = _command(small_store, tmp_path / "run")
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=300)[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 2]
    refusal = told[[process.returncode for process in both].index(2)]
    assert "another" in refusal and f"process {next(p.pid for p in both if p.returncode == 0)} on" in refusal
    assert _parameters(tmp_path / "run") == _parameters(undisturbed)
    assert list(tmp_path.iterdir()) == [tmp_path / "run"]


def test_refused_changes_change_nothing(small_store, small_run, tmp_path):
    """Also where they are accepted, and only the saved state tells that they do not fit."""
    run = shutil.copytree(small_run, tmp_path / "run")
    before = {path: path.read_bytes() for path in run.glob("*.*")}
    wider = dataclasses.replace(SMALL, model=dataclasses.replace(SMALL.model, width=9))
    with pytest.raises(InputError, match="cannot be read as a training state"):
        train(wider, small_store, run, accept_changes=True)
    assert {path: path.read_bytes() for path in run.glob("*.*")} == before


def test_a_refused_run_leaves_no_folder(small_store, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="is or lies in"):
        train(SMALL, small_store, small_store / "run")
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(InputError, match="wandb is not installed"):
        train(dataclasses.replace(SMALL, watch=MonitoringSettings(wandb="x")), small_store, tmp_path / "a" / "b")
    assert not any(tmp_path.iterdir()) and not (small_store / "run").exists()


@pytest.mark.slow
def test_a_run_starts_from_another_and_needs_it_no_longer(small_store, small_run, tmp_path):
    first, second = shutil.copytree(small_run, tmp_path / "first"), tmp_path / "second"
    small_steps = dataclasses.replace(SMALL.optimiser, peak_rate=1e-9, tail_rate=0.0, weight_decay=0.0, average=0.0)
    gentle = dataclasses.replace(SMALL, optimiser=small_steps)
    train(gentle, small_store, second, start=WarmStart(first))
    for name, leaf in _parameters(first).items():
        old, new = (np.frombuffer(x, np.float32) for x in (leaf, _parameters(second)[name]))
        np.testing.assert_allclose(new, old, atol=1e-6, err_msg=name)
    (first / "model.npz").unlink()
    train(gentle, small_store, second, start=WarmStart(first))  # done already


@pytest.mark.slow
def test_frozen_parts_stay_as_they_were(small_store, small_run, tmp_path):
    frozen = dataclasses.replace(SMALL, adaptation=dataclasses.replace(SMALL.adaptation, freeze=("encoder.*",)))
    train(frozen, small_store, tmp_path / "second", start=WarmStart(small_run))
    first, second = _parameters(small_run), _parameters(tmp_path / "second")
    assert all(
        (first[name] == second[name]) == name.startswith("params:encoder.")
        for name in first
        if "mesh_update" not in name
    )


@pytest.mark.slow
def test_a_disk_that_is_full_while_saving_ends_the_run_with_a_reason(small_store, tmp_path):
    """Files may not grow beyond 20 kB: the first state that is saved is larger."""
    run = tmp_path / "run"
    limit = "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)); "
    limit += "import airmass.commands.main; sys.exit(airmass.commands.main.main(sys.argv[1:]))"
    words = _words(small_store, run)
    at = words.index("--training.updates") + 1
    assert main([*words[:at], "1", "1", *words[at + 2 :]]) == 0
    command = [sys.executable, "-c", limit, *words, "--accept-changes"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    # The libraries' threads have their say besides.
    line = f"airmass train: {run}/milestones: the training state cannot be saved: File too large"
    assert line in done.stderr.splitlines()
    assert main([*words, "--accept-changes"]) == 0


def test_a_folder_of_something_else_is_refused(small_store, tmp_path):
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(InputError, match="not a training run"):
        train(SMALL, small_store, tmp_path)


def test_training_dates_beyond_the_store_are_refused(small_store, tmp_path):
    settings = dataclasses.replace(SMALL.training, dates=("2000-11-01", "2000-12-30"))
    with pytest.raises(InputError, match="2000-12-30 are not covered; the store holds 2000-11-01"):
        train(dataclasses.replace(SMALL, training=settings), small_store, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_validation_dates_that_overlap_are_refused_and_others_are_scored(small_store, tmp_path):
    settings = dataclasses.replace(SMALL.training, dates=("2000-11-01", "2000-11-03"))
    asked = {"validate_every": 8, "validation_starts": 2, "validation_lead_hours": 24}
    recipe = dataclasses.replace(SMALL, training=settings)
    overlapping = MonitoringSettings(**asked, validation_dates=("2000-11-03", "2000-11-05"))
    with pytest.raises(InputError, match="overlap"):
        train(dataclasses.replace(recipe, watch=overlapping), small_store, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    apart = MonitoringSettings(**asked, validation_dates=("2000-11-04", "2000-11-05"))
    train(dataclasses.replace(recipe, watch=apart), small_store, tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / LOG_FILE).read_text().splitlines()]
    scored = [line for line in lines if "validation" in line]
    assert [line["update"] for line in scored] == [8, 16]
    assert scored[0]["validation"]["geopotential/500/24h"] > 0
    assert list((tmp_path / "run" / "pictures").rglob("*.png"))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"missing_variable": "temperature"}, "missing variable temperature"),
        ({"missing_level": 850}, r"missing level \[850\]"),
        ({"reversed_latitude": True}, "north to south"),
        ({"uneven_latitude": True}, "unevenly"),
        ({"swapped": True}, "dimensions"),
        ({"units": {"temperature": "degC"}}, "units 'degC', expected 'K'"),
        ({"nan": "temperature"}, r"temperature has 2 NaN"),
    ],
)
def test_a_faulty_store_is_refused_by_name_and_nothing_is_written(tmp_path, fault, words):
    store = make_store(tmp_path / "store.zarr", days=5, **fault)
    with pytest.raises(InputError, match=words) as refused:
        train(SMALL, store, tmp_path / "run")
    assert str(store) in str(refused.value) and "\n" not in str(refused.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_nothing_is_compiled_after_the_first_update_of_a_stage(small_store, tmp_path, monkeypatch):
    """Neither the update nor what the loop does between updates."""
    compiled, before = [], {}
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, duration, **_: compiled.append(event) if event.endswith("backend_compile_duration") else None
    )

    def counted(*given):
        made = make_update(*given)

        def update(state, *rest):
            before[int(state.update)] = len(compiled)
            return made(state, *rest)

        return update

    monkeypatch.setattr(module, "make_update", counted)
    stages = TrainingSettings(updates=(10, 6), rollout=(1, 2), batch=2)
    train(dataclasses.replace(SMALL, training=stages), small_store, tmp_path / "run")
    assert before[0] < before[1]  # the update itself, so that the count is known to count
    assert before[10] < before[11]
    assert before[9] == before[1]
    assert before[15] == before[11]
