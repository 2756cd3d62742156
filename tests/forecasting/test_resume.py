"""A forecast stopped at any moment is continued to the same bits, from what was whole."""

import dataclasses
import os
import signal
import subprocess
import sys
import time

import pytest
import xarray as xr

from airmass.core.errors import InputError
from airmass.forecasting import resume
from tests.conftest import make_store
from tests.forecasting.chaotic import MEMBERS, ROOT, STEPS, Chaotic, chunks, opened, recorded, run, system


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
    case = "tests.forecasting.chaotic"
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
    other = dataclasses.replace(system(), fingerprint="f00d")
    monkeypatch.setattr("tests.forecasting.chaotic.system", lambda *_: other)
    with pytest.raises(InputError, match="was started with checkpoint , now f00d"):
        run(out, initial)


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
