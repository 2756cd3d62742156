"""Frames of a store as channels: the same numbers as xarray's, from every kind of file, and what is refused."""

import dataclasses
import json
import shutil
import warnings

import numpy as np
import pytest
import xarray as xr
import zarr

from airmass.core.errors import InputError
from airmass.data.loading.change_detection import Stamps
from airmass.data.loading.frames import Frames
from airmass.fields.task import Task
from tests.conftest import make_store, synthetic_dataset
from tests.served import served

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
    packing["temperature"]["_FillValue"] = np.int16(-32768)
    data.to_zarr(tmp_path / "packed.zarr", encoding=packing, zarr_format=2)
    plain, packed, mixed = (Frames(tmp_path / f, TASK).window(0, 2) for f in ("s.nc", "packed.nc", "packed.zarr"))
    np.testing.assert_array_equal(plain, _expected(data, data.time[:2]))
    np.testing.assert_allclose(packed, plain, atol=0.006)
    np.testing.assert_array_equal(mixed, packed)  # one variable through xarray, two through tensorstore


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
        (
            {"corrupt_chunk": "temperature"},
            "temperature cannot be read at 2000-11-01T06:00, chunk 1 along time: .*temperature/c/1/0/0/0",
        ),
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


SEA = dataclasses.replace(TASK, prognostic=("sea_surface_temperature", "temperature"), diagnostic=(), static=())


def _sea(change=None):
    data = synthetic_dataset()
    if change:
        change(data.sea_surface_temperature.values)
    return data


def test_a_variable_that_is_missing_over_land_is_read_with_its_gaps(tmp_path):
    data = _sea()
    frames = Frames(make_store(tmp_path / "s.zarr", data), SEA, missing=True)
    part = data.isel(time=slice(2, 4))
    columns = [part.sea_surface_temperature, *(part.temperature.sel(level=level) for level in SEA.levels)]
    expected = np.stack([column.values.reshape(2, -1) for column in columns], axis=-1)
    np.testing.assert_array_equal(frames.window(2, 2), expected)
    # A run of nodes is held to its own part of the mask.
    np.testing.assert_array_equal(frames.at(frames.times[2:4], slice(21, 70)), expected[:, 21:70])
    assert frames.hold()


def _fill(values):
    values[3][np.isnan(values[3])] = 280.0


def _lose(values):
    values[3].flat[np.flatnonzero(np.isfinite(values[3]))[1:]] = np.nan


def _overflow(values):
    values[3].flat[np.flatnonzero(np.isfinite(values[3]))[0]] = np.inf


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_fill, r"is NaN at 0 points at 2000-11-01T18:00, expected the \d+ of 2000-11-01T00:00"),
        (_lose, r"is NaN at 127 points at 2000-11-01T18:00, expected the \d+ of 2000-11-01T00:00"),
        (_overflow, "has 1 infinite values, first at 2000-11-01T18:00"),
    ],
)
def test_gaps_that_move_and_infinities_over_sea_are_refused(tmp_path, change, words):
    frames = Frames(make_store(tmp_path / "s.zarr", _sea(change)), SEA, missing=True)
    frames.window(0, 3)
    with pytest.raises(InputError, match=f"sea_surface_temperature {words}"):
        frames.window(2, 2)


def test_nan_elsewhere_is_refused_whatever_may_be_missing_over_land(tmp_path):
    frames = Frames(make_store(tmp_path / "s.zarr", nan="temperature"), SEA, missing=True)
    with pytest.raises(InputError, match="temperature has 2 NaN or infinite values, first at 2000-11-01T06:00"):
        frames.window(0, 3)


def test_a_truncated_or_lost_chunk_is_named_with_its_time(tmp_path):
    store = make_store(tmp_path / "s.zarr", zarr_format=2)
    chunk = store / "2m_temperature" / "3.0.0"
    chunk.write_bytes(chunk.read_bytes()[:40])
    where = "2m_temperature cannot be read at 2000-11-01T18:00, chunk 3 along time: .*2m_temperature/3.0.0"
    for _ in range(2):
        with pytest.raises(InputError, match=where):
            Frames(store, TASK).window(1, 4)
        chunk.unlink(missing_ok=True)  # and then one that is not there


def test_a_period_is_held_up_to_the_limit_and_in_part(store):
    frames = Frames(store, TASK)
    size = 12 * 128 * 4 * 4 / 2**30
    assert not frames.hold(0.99 * size)
    assert frames.hold(0.51 * size, slice(32, 96))
    whole = Frames(store, TASK).window(1, 3)
    np.testing.assert_array_equal(frames.at(frames.times[1:4], slice(40, 90)), whole[:, 40:90])
    np.testing.assert_array_equal(frames.window(1, 3), whole)


def _rewrite_chunk(store):
    chunk = store / "temperature" / "c" / "7" / "0" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes() + b"x")


def _rewrite_metadata(store):
    about = store / "temperature" / "zarr.json"
    about.write_text(about.read_text().replace('"K"', '"degC"'))


def _append(store):
    more = synthetic_dataset(days=0.25, start="2000-11-04")
    more.drop_vars([n for n in more.data_vars if "time" not in more[n].dims]).to_zarr(store, append_dim="time")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_rewrite_chunk, "temperature/c/7/0/0/0 .* bytes, written at .*, now .* bytes"),
        (_rewrite_metadata, "temperature/zarr.json had attributes .*'K'.* now .*'degC'"),
        (_append, r"had shape \[12.*\], now \[13"),
        (shutil.rmtree, "zarr.json is gone"),
    ],
)
def test_a_store_that_changes_underneath_is_noticed(tmp_path, change, words):
    store = make_store(tmp_path / "s.zarr")
    frames = Frames(store, TASK)
    frames.window(0, 3)
    assert frames.hold()
    frames.static()
    Frames(store, TASK)
    frames.require_unchanged()
    change(store)
    with pytest.raises(InputError, match=f"s.zarr: changed since it was opened: .*{words}"):
        frames.require_unchanged()


def test_a_netcdf_file_that_is_replaced_is_noticed(tmp_path):
    synthetic_dataset().to_netcdf(tmp_path / "s.nc", engine="h5netcdf")
    frames = Frames(tmp_path / "s.nc", TASK)
    frames.window(0, 3)
    frames.require_unchanged()
    synthetic_dataset(seed=1).to_netcdf(tmp_path / "t.nc", engine="h5netcdf")
    (tmp_path / "t.nc").replace(tmp_path / "s.nc")
    with pytest.raises(InputError, match=r"s.nc: changed since it was opened: the file"):
        frames.require_unchanged()


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_store_on_a_web_server_reads_the_same(tmp_path, web, zarr_format):
    data = synthetic_dataset()
    store = make_store(tmp_path / "s.zarr", data, zarr_format=zarr_format)
    with warnings.catch_warnings(action="ignore"):
        zarr.consolidate_metadata(store)
    frames = Frames(f"{web}/s.zarr", TASK)
    np.testing.assert_array_equal(frames.window(2, 3), _expected(data, data.time[2:5]))
    local = Frames(store, TASK)
    np.testing.assert_array_equal(frames.static(), local.static())
    assert frames.fingerprint == local.fingerprint
    frames.require_unchanged()
    chunk = store / "temperature" / ("0.0.0.0" if zarr_format == 2 else "c/0/0/0/0")
    chunk.write_bytes(b"these bytes do not decode")
    with pytest.raises(InputError, match="changed since it was opened: temperature/"):
        frames.require_unchanged()
    with pytest.raises(InputError, match=r"temperature cannot be read at 2000-11-01T00:00, chunk 0 along time: .*http"):
        frames.window(0, 3)
    shutil.rmtree(store)
    with pytest.raises(InputError, match="is gone"):
        frames.require_unchanged()


@pytest.fixture
def web(tmp_path):
    with served(tmp_path) as address:
        yield address


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_changes_are_noticed_whatever_the_order_of_dimensions(tmp_path, zarr_format):
    """Of 20 times in chunks of one, those of the period are looked at, and no others."""
    data = synthetic_dataset(days=5, names=("temperature",)).transpose("level", "latitude", "time", "longitude")
    store = tmp_path / "s.zarr"
    data.to_zarr(store, zarr_format=zarr_format, encoding={"temperature": {"chunks": (3, 8, 1, 16)}})
    stamps = Stamps(store, data, ("temperature", "time", "level"), slice(5, 8))
    name = "temperature/0.0.{}.0" if zarr_format == 2 else "temperature/c/0/0/{}/0"
    (store / name.format(8)).write_bytes(b"outside the period")
    stamps.require_same()
    (store / name.format(7)).write_bytes(b"inside")
    with pytest.raises(InputError, match="changed since it was opened: " + name.format(7)):
        stamps.require_same()


def test_a_sample_of_very_many_chunks(tmp_path):
    """A store may say that it holds any number of them."""
    data = synthetic_dataset(days=0.5, names=("temperature",))
    data.to_zarr(tmp_path / "s.zarr", zarr_format=3)
    about = tmp_path / "s.zarr" / "temperature" / "zarr.json"
    said = json.loads(about.read_text())
    said["shape"] = [2, 2**62, 2**62, 16]
    said["chunk_grid"]["configuration"]["chunk_shape"] = [1, 1, 1, 1]
    about.write_text(json.dumps(said))
    Stamps(tmp_path / "s.zarr", data, ("temperature",), slice(0, 2)).require_same()
    said["chunk_grid"]["configuration"]["chunk_shape"] = [1, 0, 1]
    about.write_text(json.dumps(said))
    with pytest.raises(InputError, match=r"s.zarr: temperature/zarr.json cannot be read"):
        Stamps(tmp_path / "s.zarr", data, ("temperature",), slice(0, 2))
