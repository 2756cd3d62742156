"""A member is made of seed, initial time and its number, bit for bit, whatever else is computed beside it."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from functools import cache
from itertools import islice
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from airmass.commands.main import main
from airmass.data.formats.forecast_reader import open_forecast
from airmass.diffusion.samplers.dpmpp_2s import DPMSolver2S
from airmass.forecasting.system import load_system
from airmass.models.gencast.runner import GenCastRunner
from airmass.models.runner import NOTHING_WRITTEN, Written
from tests.golden_case import GOLDEN_GENCAST as GOLDEN

ROOT = Path(__file__).parents[3]
INIT = GOLDEN.times.reshape(-1)[1]
STEPS = 2
# Few levels, each with churn, so that a member draws at every one of them.
SAMPLER = DPMSolver2S(levels=3, churn_min=0)


@cache
def runner(seed: int = 0, together: int = 4, noisy: bool = True) -> GenCastRunner:
    model, noise = jax.tree.map(jnp.asarray, GOLDEN.model), None if noisy else GOLDEN.noise
    return GenCastRunner(model, GOLDEN.published.task, GOLDEN.grid, SAMPLER, seed, noise, together)


def sample(members, init=INIT, **how) -> np.ndarray:
    """[member, lead time, node, target], without the channels that are missing over land."""
    made = runner(**how)
    history = np.asarray(GOLDEN.normaliser.prognostic(GOLDEN.frames[:2]))
    frames = [list(frames) for frames in islice(made.frames(history, init, members), STEPS)]
    whole = np.stack(frames).swapaxes(0, 1)
    return whole[..., ~np.isnan(whole).any(axis=(0, 1, 2))]


@pytest.fixture(scope="module")
def five() -> np.ndarray:
    return sample(range(5))


@pytest.mark.parametrize("together", [1, 2, 4])
@pytest.mark.parametrize("members", [(0,), (4, 2, 0), (1, 2, 3)])
def test_a_member_does_not_depend_on_those_beside_it(five, members, together):
    found = sample(members, together=together)
    for place, member in enumerate(members):
        np.testing.assert_array_equal(found[place], five[member])


@pytest.mark.slow
def test_nor_on_the_number_of_devices(five, tmp_path):
    """JAX counts its devices once, so another process has three."""
    code = (
        "import sys; import jax, numpy as np; from tests.models.gencast.test_runner import sample\n"
        "assert jax.local_device_count() == 3; np.save(sys.argv[1], sample(range(5), together=2))"
    )
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=3", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", code, str(tmp_path / "x.npy")]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), five)


def _apart(a: np.ndarray, b: np.ndarray) -> float:
    """Root mean square difference in units of the fields' own spread."""
    return float(np.sqrt((((a - b) / np.maximum(a.std(axis=-2, keepdims=True), 1e-30)) ** 2).mean()))


def test_members_seeds_and_initial_times_draw_anew(five):
    between_members = [_apart(five[a, 0], five[b, 0]) for a in range(5) for b in range(a)]
    assert min(between_members) > 0.5 * max(between_members) > 0
    other_seed = sample([0], seed=1)[0]
    assert _apart(other_seed[0], five[0, 0]) > 0.5 * max(between_members)
    # Another day's forcings alone move the same noise's frame by much less.
    day = np.timedelta64(24, "h")
    fixed = _apart(sample([0], noisy=False)[0, 0], sample([0], INIT + day, noisy=False)[0, 0])
    anew = _apart(sample([0], INIT + day)[0, 0], five[0, 0])
    assert anew > 0.5 * max(between_members) and anew > 3 * fixed


class Recorded(GenCastRunner):
    """Keeps what was drawn."""

    def _draw(self, *which):
        self.drawn = [*getattr(self, "drawn", ()), super()._draw(*which)]
        return self.drawn[-1]


def test_every_draw_of_every_frame_and_member_is_another():
    model = jax.tree.map(jnp.asarray, GOLDEN.model)
    made = Recorded(model, GOLDEN.published.task, GOLDEN.grid, SAMPLER, 0)
    history = np.asarray(GOLDEN.normaliser.prognostic(GOLDEN.frames[:2]))
    for frames in islice(made.frames(history, INIT, (0, 1)), STEPS):
        list(frames)
    # One to start from and one for the churn of each level.
    assert len(made.drawn) == 2 * STEPS * (1 + SAMPLER.levels)
    alike = np.corrcoef([np.ravel(field) for field in made.drawn]) - np.eye(len(made.drawn))
    assert np.abs(alike).max() < 0.1


def test_noise_that_lasts_makes_a_member_that_can_go_on_from_any_frame():
    """The first frame's large scales are drawn alike with any memory, later ones' are not."""
    history = np.asarray(GOLDEN.normaliser.prognostic(GOLDEN.frames[:2]))

    def frames(memory: float, made: Written = NOTHING_WRITTEN, count: int = 3) -> np.ndarray:
        runner = _lasting_runner(memory)
        return np.stack([next(frames) for frames in islice(runner.frames(history, INIT, (1,), made), count)])

    whole = frames(0.8)
    newest = np.asarray(GOLDEN.normaliser.prognostic(whole[:2]))
    np.testing.assert_array_equal(frames(0.8, Written(2, [newest]), 1)[0], whole[2])
    other = frames(0.4)
    np.testing.assert_array_equal(other[0], whole[0])
    known = ~np.isnan(whole[1])
    assert np.abs(other[1] - whole[1])[known].max() > 0


@cache
def _lasting_runner(memory: float) -> GenCastRunner:
    model, sampler = jax.tree.map(jnp.asarray, GOLDEN.model), dataclasses.replace(SAMPLER, memory=memory)
    return GenCastRunner(model, GOLDEN.published.task, GOLDEN.grid, sampler, 0)


def test_with_given_noise_all_members_are_one():
    one, other = sample((0, 1), noisy=False)
    np.testing.assert_array_equal(one, other)


FOLDER = GOLDEN.folder


def arguments(out, members: int, *more: str) -> list[str]:
    given = {
        "checkpoint": FOLDER / "checkpoint.npz",
        "statistics": FOLDER,
        "initial": FOLDER / "dataset.nc",
        "out": out,
    }
    named = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    return ["forecast", *named, "--members", str(members), "--seed", "1", *more]


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    out = tmp_path_factory.mktemp("three") / "f.nc"
    assert main(arguments(out, 3, "--lead-time", "24h")) == 0
    return open_forecast(out, ensemble=True).load()


def test_more_members_leave_those_there_are_alone(three, tmp_path):
    assert main(arguments(tmp_path / "f.zarr", 5, "--lead-time", "24h")) == 0
    five = open_forecast(tmp_path / "f.zarr", ensemble=True).load()
    np.testing.assert_array_equal(five.number, range(5))
    for name in three.data_vars:
        np.testing.assert_array_equal(three[name], five[name].sel(number=three.number), err_msg=str(name))
    assert (five.temperature.std("number") > 0).all()
    assert five.attrs["airmass_seed"] == 1


def _killed_when(ready, code: str, *more: str) -> None:
    """Run Python code in a process of its own until `ready`, then send the signal that cannot be caught."""
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", code, *more]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as running:
        try:
            while running.poll() is None and not ready():
                time.sleep(0.02)
        finally:
            running.send_signal(signal.SIGKILL)
        assert running.wait() == -signal.SIGKILL


_MAIN = "import sys; from airmass.commands.main import main; main(sys.argv[1:])"
# A chunk for every frame, so that every frame may be the last one there is.
_FINE = f"from airmass.data.formats import forecast_writer; forecast_writer._CHUNK_BYTES = 1; {_MAIN}"


def test_a_killed_run_into_netcdf_leaves_no_output_and_runs_again_to_the_same(three, tmp_path):
    out = tmp_path / "f.nc"
    # Three hundred frames: more than can be made between the first on disk and the signal.
    _killed_when(lambda: _frames_on_disk(tmp_path), _MAIN, *arguments(out, 3, "--lead-time", "50d"))
    assert not out.exists()
    assert all(path.name.startswith(".f.nc.partial-") for path in tmp_path.iterdir())
    assert main(arguments(out, 3, "--lead-time", "24h")) == 0
    again = open_forecast(out, ensemble=True).load()
    for name in three.data_vars:
        np.testing.assert_array_equal(three[name], again[name], err_msg=str(name))


def test_a_killed_run_into_zarr_goes_on_to_the_same(three, tmp_path):
    """Killed after its first frames, then three days on; sea surface temperature that is missing stays so."""
    out, record = tmp_path / "f.zarr", tmp_path / "f.zarr.partial" / "progress.json"
    given = arguments(out, 2, "--lead-time", "30d")

    def frames() -> int:
        return min(json.loads(record.read_text())["whole"][0]) if record.exists() else 0

    for moment in (1, 6):
        _killed_when(lambda moment=moment: frames() >= moment, _FINE, *given)
        assert not out.exists() and moment <= frames() < 60
    kept = frames()
    history = np.asarray(GOLDEN.normaliser.prognostic(GOLDEN.frames[:2]))
    held = xr.open_zarr(tmp_path / "f.zarr.partial" / "f.zarr", consolidated=False, decode_timedelta=True).load()
    for name in three.data_vars:
        np.testing.assert_array_equal(held[name][:, :, :2], three[name].sel(number=[0, 1]), err_msg=str(name))
    system = load_system(FOLDER / "checkpoint.npz", FOLDER)
    whole = system.runner(GOLDEN.grid, GOLDEN.static, 1).frames(history, INIT, (0, 1))
    for step, frames_of_step in enumerate(islice(whole, kept)):
        for member, frame in enumerate(frames_of_step):
            found = GOLDEN.layout.pack(held.isel(init_time=0, number=member, lead_time=[step]))
            np.testing.assert_array_equal(found[0], frame, err_msg=f"member {member} step {step}")


def _frames_on_disk(folder: Path) -> bool:
    """Whether more than coordinates has been written aside: three members of a lead time are 0.7 MB."""
    return any(path.stat().st_size > 1e6 for path in folder.glob(".f.nc.partial-*/f.nc"))
