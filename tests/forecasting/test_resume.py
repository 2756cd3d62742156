"""A forecast stopped at any moment is continued to the same bits, from what was whole, and grows by members alone."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from airmass.core.errors import InputError
from airmass.core.files import put, write_durably
from airmass.data.formats import forecast_writer
from airmass.data.formats.forecast_reader import open_forecast
from airmass.fields.channels import ChannelLayout
from airmass.fields.task import Task
from airmass.forecasting import resume
from airmass.forecasting.forecast import forecast
from airmass.forecasting.request import ForecastRequest
from airmass.forecasting.resume import ResumableOutput
from airmass.forecasting.system import ForecastSystem
from airmass.models.runner import NOTHING_WRITTEN
from tests.conftest import make_store

ROOT = Path(__file__).parents[2]
TASK = Task(("temperature", "2m_temperature"), ("total_precipitation_6hr",), (), ("land_sea_mask",), (300, 500, 850))
COLUMNS = [
    i for i, (name, _) in enumerate(ChannelLayout.of(TASK.targets, TASK.levels).channels) if name in TASK.prognostic
]  # fmt: skip
INITS = ["2000-11-01T06", "2000-11-01T12"]
MEMBERS, STEPS = 5, 6


class Chaotic:
    """Members whose every frame takes all bits of the two before it, and which stop after so many frames."""

    group_size, stop_after, stop, pause = 2, None, KeyboardInterrupt, 0.0
    made = 0

    def __init__(self, grid, static, seed=0, noise=None):
        self.seed = seed

    def frames(self, history, init, members, made=NOTHING_WRITTEN):
        states = made.histories([history] * len(members))
        for step in count(made.count):
            yield (self._next(states, place, member, step) for place, member in enumerate(members))

    def _next(self, states, place, member, step):
        if Chaotic.made == Chaotic.stop_after:
            raise self.stop
        Chaotic.made += 1
        time.sleep(Chaotic.pause)
        draw = np.random.default_rng([self.seed, member, step]).normal(size=states[place].shape[1:])
        new = (3 * states[place][-1] - 2.1 * states[place][0]).astype(np.float32) % 300 + draw.astype(np.float32)
        states[place] = np.stack([states[place][-1], new])
        frame = np.full((len(new), len(ChannelLayout.of(TASK.targets, TASK.levels))), step, np.float32)
        frame[:, COLUMNS] = new
        return frame


def system(ensemble: bool = True) -> ForecastSystem:
    return ForecastSystem("gencast", "GenCast", TASK, None, 0, {}, ensemble, "36h", Chaotic)


def run(out, initial, members=MEMBERS, stop_after=None, ensemble=True, pause=0.0, **options):
    """As `airmass forecast` runs the members above; returns how many frames were computed."""
    Chaotic.made, Chaotic.stop_after, Chaotic.pause = 0, stop_after, pause
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("airmass.forecasting.forecast.load_system", lambda *_: system(ensemble))
        patch.setattr(forecast_writer, "_CHUNK_BYTES", 3072)  # two frames of three levels
        options = {"members": members if ensemble else None, "seed": 1 if ensemble else None} | options
        forecast(ForecastRequest("x.npz", initial, out, init_time=tuple(INITS), **options))
    return Chaotic.made


@pytest.fixture(scope="module")
def initial(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("initial") / "store.zarr", days=1)


@pytest.fixture(scope="module")
def whole(initial, tmp_path_factory):
    """What an undisturbed run makes."""
    out = tmp_path_factory.mktemp("whole") / "f.zarr"
    assert run(out, initial) == 2 * MEMBERS * STEPS
    return opened(out)


def opened(out: Path) -> xr.Dataset:
    return open_forecast(out, ensemble=True).load()


def recorded(out: Path) -> int:
    """Frames that are noted as whole."""
    record = out.with_name(f"{out.name}.partial") / "progress.json"
    return int(np.sum(json.loads(record.read_text())["whole"])) if record.exists() else 0


def chunks(folder: Path) -> dict[str, int]:
    """When each chunk of a field was last written."""
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.glob("*temp*/c/**/*[0-9]")}


@pytest.mark.parametrize("stop_after", [0, 1, 4, 5, 6, 12, 13, 23, 24, 31, 44, 59])
def test_stopped_at_any_frame_it_goes_on_to_the_same_bits(whole, initial, tmp_path, stop_after):
    out = tmp_path / "f.zarr"
    with pytest.raises(KeyboardInterrupt):
        run(out, initial, stop_after=stop_after)
    assert not out.exists()
    kept = recorded(out)
    assert bool(kept) == any(tmp_path.iterdir())
    # Two members of a group have two frames a chunk, and one frame waits to be written.
    assert stop_after - kept <= 2 * 2 + 1
    assert run(out, initial) == 2 * MEMBERS * STEPS - kept
    xr.testing.assert_identical(opened(out), whole)
    assert list(tmp_path.iterdir()) == [out]


def test_stopped_again_and_again(whole, initial, tmp_path):
    out, made = tmp_path / "f.zarr", 0
    while not out.exists():
        try:
            run(out, initial, stop_after=7)
        except KeyboardInterrupt:
            made += 7
        assert made < 3 * 2 * MEMBERS * STEPS
    xr.testing.assert_identical(opened(out), whole)


@pytest.mark.parametrize("moment", [1, 17, 40])
def test_a_killed_process(whole, initial, tmp_path, moment):
    """The signal that cannot be caught, sent once so many frames are noted."""
    out = tmp_path / "f.zarr"
    case = "tests.forecasting.test_resume"
    code = f"import sys; import {case} as case; case.run(case.Path(sys.argv[1]), sys.argv[2], pause=0.02)"
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    with subprocess.Popen([sys.executable, "-c", code, out, initial], cwd=ROOT, env=environment) as running:
        try:
            while running.poll() is None and recorded(out) < moment:
                time.sleep(0.005)
        finally:
            running.send_signal(signal.SIGKILL)
        assert running.wait() == -signal.SIGKILL
    assert not out.exists()
    kept = recorded(out)
    assert moment <= kept < 2 * MEMBERS * STEPS
    assert run(out, initial) == 2 * MEMBERS * STEPS - kept
    xr.testing.assert_identical(opened(out), whole)


@pytest.mark.parametrize("stop_after", [3, 7, 11])
def test_one_future_from_several_initial_times(initial, tmp_path, stop_after):
    run(tmp_path / "w.zarr", initial, ensemble=False)
    out = tmp_path / "f.zarr"
    with pytest.raises(KeyboardInterrupt):
        run(out, initial, ensemble=False, stop_after=stop_after)
    kept = recorded(out)
    assert kept and run(out, initial, ensemble=False) == 2 * STEPS - kept
    xr.testing.assert_identical(opened(out), opened(tmp_path / "w.zarr"))


def test_with_some_levels_those_under_way_begin_anew(initial, tmp_path):
    """What is written does not hold the state then, but whole trajectories are kept."""
    run(tmp_path / "w.zarr", initial, levels=(500,))
    out = tmp_path / "f.zarr"
    with pytest.raises(KeyboardInterrupt):
        run(out, initial, levels=(500,), stop_after=2 * STEPS + 9)
    assert recorded(out) == 2 * STEPS + 2 * 4
    assert run(out, initial, levels=(500,)) == (2 * MEMBERS - 2) * STEPS
    xr.testing.assert_identical(opened(out), opened(tmp_path / "w.zarr"))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"seed": 2}, "was started with seed 1, now 2; use the same options, or delete it to start over"),
        ({"members": 3}, "was started with members 5, now 3"),
        ({"levels": (500,)}, "levels [300, 500, 850], now [500]"),
        ({"first_member": 4}, "first_member 0, now 4"),
        ({"precision": "bfloat16"}, "precision float32, now bfloat16"),
    ],
)
def test_other_settings_are_refused(initial, tmp_path, changed, words):
    out = tmp_path / "f.zarr"
    with pytest.raises(KeyboardInterrupt):
        run(out, initial, stop_after=20)
    before = recorded(out), chunks(tmp_path)
    with pytest.raises(InputError) as error:
        run(out, initial, **changed)
    assert words in str(error.value) and "f.zarr.partial: " in str(error.value)
    assert (recorded(out), chunks(tmp_path)) == before


def test_another_initial_state_or_checkpoint_is_refused(initial, tmp_path, monkeypatch):
    out = tmp_path / "f.zarr"
    with pytest.raises(KeyboardInterrupt):
        run(out, initial, stop_after=20)
    other = make_store(tmp_path / "other.zarr", days=1, seed=1)
    with pytest.raises(InputError, match=r"was started with initial frames [0-9a-f]{16}, now [0-9a-f]{16}; use"):
        run(out, other)
    monkeypatch.setattr(f"{__name__}.system", lambda *_: dataclasses.replace(SYSTEM, fingerprint="f00d"))
    with pytest.raises(InputError, match="was started with checkpoint , now f00d"):
        run(out, initial)


SYSTEM = system()


@pytest.mark.parametrize("stop_after", [None, 1, 9])
def test_members_added_are_those_of_a_run_with_all(whole, initial, tmp_path, stop_after):
    out = tmp_path / "f.zarr"
    run(out, initial, members=2)
    before = opened(out)
    if stop_after:
        with pytest.raises(KeyboardInterrupt):
            run(out, initial, add=True, stop_after=stop_after)
        xr.testing.assert_identical(opened(out), before)
    left = 2 * (MEMBERS - 2) * STEPS - max(0, recorded(out) - 2 * 2 * STEPS)
    assert run(out, initial, add=True) == left
    xr.testing.assert_identical(opened(out), whole)
    assert list(tmp_path.iterdir()) == [out]


def test_what_cannot_be_added_to(initial, tmp_path):
    out = tmp_path / "f.zarr"
    with pytest.raises(InputError, match="no such forecast to add members to"):
        run(out, initial, add=True)
    assert not list(tmp_path.iterdir())
    run(out, initial, members=2)
    with pytest.raises(InputError, match="already exists"):
        run(out, initial)
    with pytest.raises(InputError, match="has 2 members already, so --members 2 adds none"):
        run(out, initial, members=2, add=True)
    with pytest.raises(InputError, match=r"f.zarr: was made with seed 1, now 3; added members need the same options"):
        run(out, initial, seed=3, add=True)
    with pytest.raises(InputError, match="only to a Zarr store"):
        run(tmp_path / "f.nc", initial, add=True)
    assert list(tmp_path.iterdir()) == [out]


def test_an_ensemble_spread_over_runs_is_the_same(whole, initial, tmp_path):
    run(tmp_path / "a.zarr", initial, members=3)
    run(tmp_path / "b.zarr", initial, members=2, first_member=3)
    parts = [opened(tmp_path / name) for name in ("a.zarr", "b.zarr")]
    np.testing.assert_array_equal(parts[1].number, [3, 4])
    joined = xr.concat(parts, "number", data_vars="minimal", combine_attrs="drop")
    xr.testing.assert_equal(joined, whole)


def test_a_disk_without_room_is_said_first(initial, tmp_path):
    with pytest.raises(InputError, match=r"12000000000 frames to write need up to 30,720.00 GB, but [\d,.]+ GB are"):
        run(tmp_path / "f.zarr", initial, members=10**9, stop_after=0)
    assert not list(tmp_path.iterdir()) and Chaotic.made == 0


def test_only_what_is_left_must_find_room(initial, tmp_path, monkeypatch):
    out = tmp_path / "f.zarr"
    with pytest.raises(KeyboardInterrupt):
        run(out, initial, stop_after=50)
    needed = (2 * MEMBERS * STEPS - recorded(out)) * 5 * 128 * 4
    usage = type(resume.shutil.disk_usage(tmp_path))
    monkeypatch.setattr(resume.shutil, "disk_usage", lambda _: usage(10**9, 0, int(1.02 * needed) - 1))
    with pytest.raises(InputError, match="frames to write"):
        run(out, initial)
    monkeypatch.setattr(resume.shutil, "disk_usage", lambda _: usage(10**9, 0, int(1.02 * needed) + 1))
    run(out, initial)


SETTINGS = {"members": 2, "seed": 0}


def begun(out: Path) -> ResumableOutput:
    place = ResumableOutput(out, SETTINGS, (1, 2), 4)
    with place.opened():
        zarr.create_group(place.store)
        place.begin([])
        place.record(0, range(0, 1), 2)
    return ResumableOutput(out, SETTINGS, (1, 2), 4)


def test_two_runs_at_once_are_refused(tmp_path):
    first = begun(tmp_path / "f.zarr")
    second = ResumableOutput(tmp_path / "f.zarr", SETTINGS, (1, 2), 4)
    with first.opened(), pytest.raises(InputError, match="another run is writing there"), second.opened():
        pytest.fail("the body must not run")
    assert second.begun and recorded(tmp_path / "f.zarr") == 2


def test_members_go_together_where_they_are_equally_far(tmp_path):
    place = begun(tmp_path / "f.zarr")
    assert list(place.pending(0, 8)) == [(range(0, 1), 2), (range(1, 2), 0)]
    with place.opened():
        place.record(0, range(0, 2), 3)
        assert list(place.pending(0, 8)) == [(range(0, 2), 3)]
        place.record(0, range(1, 2), 4)
        assert list(place.pending(0, 8)) == [(range(0, 1), 3)]


def test_a_run_stopped_after_its_store_came_into_place_is_tidied(tmp_path):
    out = tmp_path / "f.zarr"
    place = begun(out)
    zarr.open_group(place.store, mode="r+").attrs[resume.SETTINGS] = json.dumps(SETTINGS)
    put(place.store, out)
    with pytest.raises(InputError, match="already exists"):
        ResumableOutput(out, SETTINGS, (1, 2), 4)
    assert list(tmp_path.iterdir()) == [out]


def test_what_appeared_meanwhile_is_not_replaced(initial, tmp_path):
    out = tmp_path / "f.zarr"
    place = begun(out)
    with pytest.raises(InputError, match="was created by another process meanwhile"), place.opened():
        out.mkdir()
        place.finish()
    assert not any(out.iterdir()) and recorded(out) == 2


def test_a_run_killed_while_its_members_come_into_place_goes_on(whole, initial, tmp_path, monkeypatch):
    """Between the two renames nothing stands at the output, and both stores are in the folder."""
    out = tmp_path / "f.zarr"
    run(out, initial, members=2)

    def killed(*_):
        raise SystemExit

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(resume, "put", killed)
        run(out, initial, add=True)
    assert not out.exists()
    assert run(out, initial, add=True) == 0
    xr.testing.assert_identical(opened(out), whole)
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("text", ["", "[1]", '{"settings": {}}', '{"settings": {}, "whole": [["a"]]}', "[" * 100_000])
def test_a_broken_record_is_refused(tmp_path, text):
    place = begun(tmp_path / "f.zarr")
    (place.folder / "progress.json").write_text(text)
    with pytest.raises(InputError, match=r"progress\.json: "):
        ResumableOutput(tmp_path / "f.zarr", SETTINGS, (1, 2), 4)


def test_a_text_is_replaced_whole(tmp_path):
    for text in ("old", "new"):
        write_durably(tmp_path / "a.json", text)
        assert (tmp_path / "a.json").read_text() == text
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
