"""The same batch gives the same losses however many devices and processes share it."""

import dataclasses
import json
import os
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

from airmass.core.errors import InputError
from airmass.data.loading.frames import Frames
from airmass.recipes.settings import DeviceSettings, TrainingSettings
from airmass.training.loggers import LOG_FILE
from airmass.training.sharding import example_axes, mesh_of
from tests.training.small import OPTIONS, TASK

COMMAND = [sys.executable, "-m", "airmass", "train", "demo", *OPTIONS, "--watch.every", "1", "--training.batch", "8"]
COMMAND += "--training.updates 3 --training.rollout 2 --training.input-noise 0.1 --training.accumulate 2".split()
COMMAND += ["--training.rotate"]


def _run(store, run, devices: int, *options: str) -> subprocess.Popen:
    environment = os.environ | {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
    command = [*COMMAND, "--data", str(store), "--run", str(run), *options]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _losses(run) -> np.ndarray:
    return np.array([json.loads(line)["loss"] for line in (run / LOG_FILE).read_text().splitlines()])


def _finish(*processes: subprocess.Popen) -> None:
    for process in processes:
        _, errors = process.communicate(timeout=500)
        assert process.returncode == 0, errors


@pytest.fixture(scope="module")
def alone(small_store, tmp_path_factory):
    run = tmp_path_factory.mktemp("devices") / "alone"
    _finish(_run(small_store, run, 1))
    return _losses(run)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "space"),
    [
        (2, 2),
        (2, 1),
        (4, 1),
        (4, 2),
        (1, 8),
    ],
)
def test_losses_do_not_depend_on_the_number_of_devices(small_store, alone, tmp_path, data, space):
    axes = ["--devices.data", str(data), "--devices.space", str(space)]
    _finish(_run(small_store, tmp_path / "run", 8, *axes))
    np.testing.assert_allclose(_losses(tmp_path / "run"), alone, rtol=1e-5)


@pytest.mark.slow
def test_losses_and_gradients_of_members_do_not_depend_on_the_devices_that_share_them(small_store, tmp_path):
    command = [sys.executable, "-m", "tests.training.members_over_devices", str(small_store), str(tmp_path / "x.npy")]
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    subprocess.run(command, env=os.environ | flags, check=True)
    alone, *shared = np.load(tmp_path / "x.npy")
    for found in shared:
        np.testing.assert_allclose(found, alone, rtol=1e-4)


def _together(stores, run, *options: str) -> None:
    """A real process for each store, one device each; they meet over loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options += "--devices.coordinator", f"127.0.0.1:{port}", "--devices.processes", str(len(stores))
    _finish(*(_run(store, run, 1, *options, "--devices.process", str(k)) for k, store in enumerate(stores)))


@pytest.mark.slow
def test_losses_do_not_depend_on_the_number_of_processes(small_store, alone, tmp_path):
    _together([small_store] * 2, tmp_path / "run")
    np.testing.assert_allclose(_losses(tmp_path / "run"), alone, rtol=1e-5)
    assert (tmp_path / "run" / "model.npz").exists()


@pytest.mark.slow
def test_a_process_reads_only_its_own_rows_of_the_grid(small_store, alone, tmp_path):
    """The second of two has the northern half; its copy of the store is damaged in the south."""
    data = xr.open_zarr(small_store, chunks=None, consolidated=False).load().drop_encoding()
    rows = data.sizes["latitude"] // 2
    chunks = {"time": 1, "latitude": rows}
    encoding = {
        name: {"chunks": [chunks.get(str(dim), field.sizes[dim]) for dim in field.dims]}
        for name, field in data.data_vars.items()
    }
    whole, damaged = tmp_path / "whole.zarr", tmp_path / "damaged.zarr"
    data.to_zarr(whole, encoding=encoding, zarr_format=3, consolidated=False)
    shutil.copytree(whole, damaged)
    for name in TASK.targets:
        for time in range(3, 7):  # not those that are looked at when a store is opened
            (chunk,) = (damaged / name / "c" / str(time)).glob("0/0" if data[name].ndim == 3 else "0/0/0")
            chunk.write_bytes(b"these bytes do not decode")
    frames = Frames(damaged, TASK)
    assert frames.hold(nodes=slice(frames.grid.size // 2, None))
    with pytest.raises(InputError, match="cannot be read at"):
        frames.at(frames.times[3:4])
    _together([whole, damaged], tmp_path / "run", "--devices.space", "2")
    np.testing.assert_allclose(_losses(tmp_path / "run"), alone, rtol=1e-5)


ONE = TrainingSettings(updates=(1,), rollout=(1,), batch=6)


@pytest.mark.parametrize(
    ("settings", "training", "words"),
    [
        (DeviceSettings(data=64), ONE, "data 64 x member 1 x space 1 is 64, but 1 were found"),
        (DeviceSettings(space=2), ONE, "data 1 x member 1 x space 2 is 2, but 1 were found"),
    ],
)
def test_devices_that_are_not_there_are_refused(settings, training, words):
    with pytest.raises(InputError, match=words):
        mesh_of(settings, training)


def test_members_that_do_not_divide_over_devices_are_refused():
    with pytest.raises(InputError, match=r"devices: member is 3, expected a divisor of model\.members, 2"):
        mesh_of(DeviceSettings(member=3), ONE, members=2)
    assert example_axes(1) == ("data", "member") and example_axes(2) == ("data",)


def test_a_batch_that_cannot_be_dealt_out_is_refused(small_store, tmp_path):
    process = _run(small_store, tmp_path / "run", 8, "--devices.data", "3")
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 2
    assert "3 along data and member, but 4 examples at once (batch 8 in 2 parts), expected a multiple" in errors
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("change", [{"space": 0}, {"coordinator": "here:1"}, {"process": 1}])
def test_settings_that_cannot_be_are_refused(change):
    with pytest.raises(InputError, match="devices"):
        dataclasses.replace(DeviceSettings(), **change)
