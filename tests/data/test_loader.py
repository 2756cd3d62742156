"""Frames of a store as channels: the same numbers as xarray's, from every kind of file, and what is refused."""

import dataclasses

import numpy as np
import pytest
import xarray as xr

from airmass.data.loader import Frames
from airmass.errors import InputError
from airmass.task import Task
from tests.conftest import make_store, synthetic_dataset

TASK = Task(
    prognostic=("temperature", "2m_temperature"),
    diagnostic=("total_precipitation_6hr",),
    forcing=(),
    static=("land_sea_mask", "geopotential_at_surface"),
    levels=(300, 850),
)


def _expected(data: xr.Dataset, times) -> np.ndarray:
    """2m temperature, temperature at 300 and 850 hPa, precipitation; [time, node, channel]."""
    part = data.sel(time=times)
    upper = (part.temperature.sel(level=level) for level in TASK.levels)
    columns = [part["2m_temperature"], *upper, part.total_precipitation_6hr]
    return np.stack([column.values.reshape(len(part.time), -1) for column in columns], axis=-1)


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_windows_are_what_xarray_reads(tmp_path, zarr_format, held):
    data = synthetic_dataset()
    frames = Frames(make_store(tmp_path / "s.zarr", data, zarr_format=zarr_format), TASK)
    if held:
        assert frames.hold()
    np.testing.assert_array_equal(frames.window(2, 3), _expected(data, data.time[2:5]))


def test_netcdf_and_packed_integers_read_the_same(tmp_path):
    data = synthetic_dataset()
    data.to_netcdf(tmp_path / "s.nc", engine="h5netcdf")
    packing = {"temperature": {"dtype": "int16", "scale_factor": 0.01, "add_offset": 250.0, "_FillValue": -32768}}
    data.to_netcdf(tmp_path / "packed.nc", engine="h5netcdf", encoding=packing)
    plain, packed = (Frames(tmp_path / name, TASK).window(0, 2) for name in ("s.nc", "packed.nc"))
    np.testing.assert_array_equal(plain, _expected(data, data.time[:2]))
    np.testing.assert_allclose(packed, plain, atol=0.006)


def test_static_fields_in_the_order_of_their_layout(store):
    data = synthetic_dataset()
    expected = [data.geopotential_at_surface.values.ravel(), data.land_sea_mask.values.ravel()]
    np.testing.assert_array_equal(Frames(store, TASK).static().T, expected)


def test_windows_over_a_missing_time_are_not_offered(tmp_path):
    frames = Frames(make_store(tmp_path / "s.zarr", missing_time=5), TASK)
    # Frames 0-4 and 6-11 of twelve are there, numbered 0-4 and 5-10: three in a row start at these.
    np.testing.assert_array_equal(frames.starts(3), [0, 1, 2, 5, 6, 7, 8])
    with pytest.raises(InputError, match="missing time 2000-11-02T06:00"):
        frames.window(3, 3)


def test_a_task_with_a_longer_step_takes_every_other_frame(store):
    data = synthetic_dataset()
    frames = Frames(store, dataclasses.replace(TASK, step=12))
    np.testing.assert_array_equal(frames.starts(3), np.arange(8))
    np.testing.assert_array_equal(frames.window(1, 3), _expected(data, data.time[1:6:2]))


def test_a_period_has_its_own_times_and_the_stores_own_frames(store):
    data = synthetic_dataset()
    frames = Frames(store, TASK, ("2000-11-02", "2000-11-02"))
    assert len(frames.times) == 4
    np.testing.assert_array_equal(frames.window(0, 4), _expected(data, data.time[4:8]))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"nan": "2m_temperature"}, "2m_temperature has 1 NaN or infinite values, first at 2000-11-01T06:00"),
        ({"corrupt_chunk": "temperature"}, "temperature cannot be read between"),
    ],
)
def test_frames_that_cannot_be_used_are_named(tmp_path, options, words):
    store = make_store(tmp_path / "s.zarr", **options)
    with pytest.raises(InputError, match=words) as refused:
        Frames(store, TASK).hold()
    assert str(store) in str(refused.value)


def test_steps_that_do_not_divide_and_variables_over_sea_are_refused(tmp_path, store):
    coarse = make_store(tmp_path / "s.zarr", step=12)
    with pytest.raises(InputError, match="advances by 12 h, expected a divisor of the task's step of 6 h"):
        Frames(coarse, TASK)
    sea = dataclasses.replace(TASK, prognostic=("sea_surface_temperature",))
    with pytest.raises(InputError, match="sea_surface_temperature is NaN over land"):
        Frames(store, sea)


def test_a_levels_order_does_not_matter_to_the_numbers(tmp_path):
    """Levels are found by value: a store with more of them gives the same channels."""
    many = synthetic_dataset(levels=(200, 300, 500, 700, 850, 1000))
    few = many.sel(level=[300, 850])
    first, second = (
        Frames(make_store(tmp_path / f"{i}.zarr", d), TASK).window(0, 2) for i, d in enumerate((many, few))
    )
    np.testing.assert_array_equal(first, second)
