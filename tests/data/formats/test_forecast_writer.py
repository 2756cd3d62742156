"""Frames in, file out: the same numbers as Zarr and NetCDF, members and levels in their places, nothing left behind."""

import subprocess
import sys
from itertools import count

import numpy as np
import pytest
import xarray as xr

from airmass.core.errors import InputError
from airmass.core.files import new_output
from airmass.data.formats import forecast_writer
from airmass.data.formats.forecast_reader import open_forecast, read_lead_times
from airmass.data.formats.forecast_writer import ForecastWriter
from airmass.fields.channels import ChannelLayout
from airmass.fields.grid import LatLonGrid
from airmass.fields.task import Task
from airmass.forecasting.forecast import forecast
from airmass.forecasting.request import ForecastRequest
from airmass.forecasting.system import ForecastSystem
from airmass.models.runner import NOTHING_WRITTEN
from tests.conftest import make_store

TASK = Task(("temperature", "2m_temperature"), ("total_precipitation_6hr",), (), ("land_sea_mask",), (300, 500, 850))
GRID = LatLonGrid.equiangular(8, 16)
INITS = np.array(["2000-01-01T00", "2000-01-03T12"], "datetime64[ns]")
STEPS = 5


def frames(members: int = 1, seed: int = 0) -> np.ndarray:
    """[init_time, lead_time, number, node, channel]"""
    shape = (len(INITS), STEPS, members, GRID.size, len(ChannelLayout.of(TASK.targets, TASK.levels)))
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def write(path, values: np.ndarray, members=None, levels=()):
    numbers = None if members is None else range(members)
    with new_output(path) as aside, ForecastWriter(aside, TASK, GRID, INITS, STEPS, {}, numbers, levels) as writer:
        for (row, step, number), _ in np.ndenumerate(values[..., 0, 0]):
            writer.write(row, step, values[row, step, number], number)
    return path


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
@pytest.mark.parametrize("chunk_bytes", [1, 4000, 2**22])
@pytest.mark.parametrize("members", [None, 1, 3])
def test_every_frame_lands_in_its_place(tmp_path, monkeypatch, suffix, chunk_bytes, members):
    monkeypatch.setattr(forecast_writer, "_CHUNK_BYTES", chunk_bytes)
    values = frames(members or 1)
    data = open_forecast(write(tmp_path / f"f{suffix}", values, members), ensemble=True)
    expected = ChannelLayout.of(TASK.targets, TASK.levels).unpack(values, GRID)
    assert set(data.data_vars) == set(TASK.targets)
    for name, field in expected.items():
        field = field[:, :, 0] if members is None else field.swapaxes(1, 2)
        np.testing.assert_array_equal(data[name], field)
        assert data[name].dtype == np.float32 and data[name].encoding["chunks" if suffix == ".zarr" else "chunksizes"]
    if members is not None:
        np.testing.assert_array_equal(data.number, np.arange(members))


@pytest.mark.parametrize("members", [None, 3])
def test_both_kinds_of_file_say_the_same(tmp_path, members):
    values = frames(members or 1)
    stores = [open_forecast(write(tmp_path / f"f{s}", values, members), ensemble=True) for s in (".nc", ".zarr")]
    xr.testing.assert_identical(*[store.load() for store in stores])
    assert set(stores[0].coords) == set(stores[1].coords)


def test_judging_reads_a_netcdf_file_as_it_reads_a_store(tmp_path):
    paths = [write(tmp_path / f"f{suffix}", frames()) for suffix in (".nc", ".zarr")]
    read = [read_lead_times(open_forecast(path), path, "temperature", 1, slice(1, 4)) for path in paths]
    np.testing.assert_array_equal(*read)


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_some_levels(tmp_path, suffix):
    values = frames()
    data = open_forecast(write(tmp_path / f"f{suffix}", values, levels=(850, 300)))
    np.testing.assert_array_equal(data.level, [300, 850])
    expected = ChannelLayout.of(TASK.targets, TASK.levels).unpack(values[:, :, 0], GRID)
    np.testing.assert_array_equal(data.temperature, expected["temperature"][:, :, [0, 2]])
    np.testing.assert_array_equal(data["2m_temperature"], expected["2m_temperature"])


def test_a_level_that_the_model_has_not(tmp_path):
    with pytest.raises(InputError, match=r"levels \[400\] hPa: the model has \[300, 500, 850\]"):
        write(tmp_path / "f.nc", frames(), levels=(500, 400))
    assert not list(tmp_path.iterdir())


def test_missing_values_stay_missing(tmp_path):
    values = frames()
    values[..., 7, :] = np.nan
    for suffix in (".nc", ".zarr"):
        assert int(np.isnan(open_forecast(write(tmp_path / f"f{suffix}", values))["2m_temperature"]).sum()) == 2 * STEPS


def test_one_forecast_is_asked_for_and_an_ensemble_found(tmp_path):
    path = write(tmp_path / "f.nc", frames(3), 3)
    with pytest.raises(InputError, match=r"f.nc: an ensemble of 3 members, expected a single forecast"):
        open_forecast(path)


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_what_stops_half_way_leaves_nothing(tmp_path, suffix, error):
    with (
        pytest.raises(error),
        new_output(tmp_path / f"f{suffix}") as aside,
        ForecastWriter(aside, TASK, GRID, INITS, STEPS, {}) as writer,
    ):
        writer.write(0, 0, frames()[0, 0, 0])
        raise error
    assert not list(tmp_path.iterdir())


_FULL = """
import resource, sys
from airmass.core.errors import InputError
from tests.data.formats import test_forecast_writer as case
case.forecast_writer._CHUNK_BYTES = 1
for limit in map(int, sys.argv[2:]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        case.write(sys.argv[1], case.frames())
    except InputError as error:
        print(error)
"""


def test_a_full_disk_is_said_in_one_line_and_leaves_nothing(tmp_path):
    """In a process of its own: what HDF5 has not closed it complains of when Python ends."""
    out, limits = tmp_path / "f.nc", ["1000", "10000", "20000", "30000", "40000", "45000"]
    ended = subprocess.run([sys.executable, "-c", _FULL, str(out), *limits], capture_output=True, text=True)
    assert ended.returncode == 0 and ended.stderr == ""
    assert ended.stdout.splitlines() == [f"{out}: cannot write: File too large"] * len(limits)
    assert not list(tmp_path.iterdir())


class Members:
    """Members that are their number, in every channel, and know seed and noise; a step later, a hundred more."""

    def __init__(self, grid, static, seed=0, noise=None, stored=None):
        self.size, self.start = grid.size, seed * 1000

    group_size = 2

    def frames(self, history, init, members, made=NOTHING_WRITTEN):
        channels = len(ChannelLayout.of(TASK.targets, TASK.levels))
        for step in count(made.count):
            yield (np.full((self.size, channels), self.start + 100 * step + m, np.float32) for m in members)


def test_an_ensemble_has_an_axis_of_members(tmp_path, monkeypatch):
    system = ForecastSystem("gencast", "GenCast", TASK, None, 0, {"license": "none"}, True, "15d", Members)
    monkeypatch.setattr("airmass.forecasting.forecast.load_system", lambda *_: system)
    store = make_store(tmp_path / "store.zarr", days=0.5)
    forecast(ForecastRequest("x.npz", store, tmp_path / "f.zarr", lead_time="12h", members=3, seed=2))
    data = open_forecast(tmp_path / "f.zarr", ensemble=True)
    assert data.temperature.dims == ("init_time", "number", "lead_time", "level", "latitude", "longitude")
    np.testing.assert_array_equal(data.temperature[0, :, :, 0, 0, 0], [[2000, 2100], [2001, 2101], [2002, 2102]])
    assert data.attrs["airmass_seed"] == 2 and data.attrs["source"].endswith("GenCast")
    forecast(ForecastRequest("x.npz", store, tmp_path / "long.nc"))
    sizes = open_forecast(tmp_path / "long.nc", ensemble=True).sizes
    assert (sizes["number"], sizes["lead_time"]) == (1, 60)
