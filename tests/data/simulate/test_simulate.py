"""The simulated climate: physics that can be derived, bytes that must be equal, and what it refuses."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("jcm", reason="needs the extra `simulate`")

from airmass.core.errors import InputError
from airmass.core.locks import alone
from airmass.data.formats.store import open_store
from airmass.data.simulate import SimulateSettings, simulate
from airmass.data.simulate.archive import Archive, frames_held
from airmass.data.simulate.fields import Regrid, _latitude_overlaps
from airmass.data.simulate.settings import LEVELS
from airmass.fields.grid import latitude_weights
from airmass.fields.variables import VARIABLES
from tests.conftest import NAMES

SETTINGS = SimulateSettings(days=3, truncation=21)
QUIET = lambda stage, done, total: None  # noqa: E731
GAS_CONSTANT, GRAVITY = 287.0, 9.81


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Compiled programs are shared with child processes, which would otherwise spend their time compiling."""
    import jax

    folder = str(tmp_path_factory.mktemp("compiled"))
    jax.config.update("jax_compilation_cache_dir", folder)
    yield {"JAX_COMPILATION_CACHE_DIR": folder}
    jax.config.update("jax_compilation_cache_dir", None)


@pytest.fixture(scope="module")
def store(tmp_path_factory, cache) -> Path:
    out = tmp_path_factory.mktemp("simulate") / "three.zarr"
    simulate(out, SETTINGS, QUIET)
    return out


@pytest.fixture(scope="module")
def dataset(store):
    return open_store(store).load()


def contents(store: Path) -> dict[str, bytes]:
    return {str(p.relative_to(store)): p.read_bytes() for p in sorted(store.rglob("*")) if p.is_file()}


def area_mean(field):
    """Over latitude and longitude of a DataArray, by area."""
    return field.weighted(field.latitude.copy(data=latitude_weights(field.latitude.values))).mean(
        ("latitude", "longitude")
    )


# What the store is


def test_store_is_of_the_layout(dataset):
    assert dataset.sizes == {"time": 12, "level": 13, "latitude": 32, "longitude": 64}
    assert dataset.latitude.values[[0, -1]] == pytest.approx([-87.1875, 87.1875])
    assert dataset.longitude.values[[0, -1]] == pytest.approx([0, 354.375])
    assert dataset.level.values.tolist() == list(LEVELS)
    steps = np.arange(12) * np.timedelta64(6, "h")
    assert np.array_equal(dataset.time.values, np.datetime64("2000-11-01T00", "ns") + steps)


def test_every_variable_is_named_measured_and_possible(dataset):
    assert set(dataset.data_vars) == {*NAMES} - {"total_precipitation_12hr"}
    for name, field in dataset.data_vars.items():
        assert field.dtype == np.float32
        assert VARIABLES[name].attributes.items() <= field.attrs.items()
        least, most = VARIABLES[name].valid_range
        assert least <= float(field.min()) and float(field.max()) <= most, name
        if not VARIABLES[name].missing_over_land:
            assert np.isfinite(field.values).all(), name


def test_store_says_that_it_is_simulated(dataset):
    assert json.loads(dataset.attrs["airmass_simulated"]) == SETTINGS.without_days()
    assert "jcm" in dataset.attrs["source"] and "imulated" in dataset.attrs["title"]
    assert dataset.attrs["Conventions"].startswith("CF-")


# Physics


def test_atmosphere_has_the_weight_of_the_earths(dataset):
    pressure = area_mean(dataset.surface_pressure)
    assert float(pressure[0]) == pytest.approx(98550, abs=1)
    assert np.abs(pressure.values - 98550).max() < 20


def test_sea_surface_temperature_is_missing_exactly_over_land(dataset):
    land = dataset.land_sea_mask.values > 0.5
    assert 0.25 < area_mean(dataset.land_sea_mask) < 0.35
    assert np.array_equal(np.isnan(dataset.sea_surface_temperature.values), np.broadcast_to(land, (12, 32, 64)))
    tropics = dataset.sea_surface_temperature.sel(latitude=slice(-10, 10))
    assert 297 < float(tropics.mean()) < 303


def test_geopotential_and_temperature_are_in_hydrostatic_balance(dataset):
    """Thickness is the gas constant times the mean of virtual temperature over the logarithm of pressure."""
    frame = dataset.isel(time=4)
    virtual = frame.temperature * (1 + 0.608 * frame.specific_humidity)
    log_pressure = np.log(frame.level.values)
    above_ground = frame.surface_pressure.values > 100000
    assert above_ground.sum() > 500
    between = 0.5 * (virtual.values[1:] + virtual.values[:-1])[:, above_ground]
    derived = GAS_CONSTANT * between * np.diff(log_pressure)[:, None]
    found = -np.diff(frame.geopotential.values[:, above_ground], axis=0)
    # The trapezoid rule leaves some tenths of a per cent where a layer ends between two levels.
    error = np.abs(found / derived - 1)
    assert error[1:].mean() < 0.003 and error[1:].max() < 0.01


def test_wind_is_geostrophic_away_from_the_equator(dataset):
    """Catches latitudes upside down, winds exchanged and longitudes shifted."""
    height = dataset.geopotential.sel(level=500)
    latitude, longitude = (np.deg2rad(height[name].values) for name in ("latitude", "longitude"))
    coriolis = 2 * 7.292e-5 * np.sin(latitude)[:, None]
    u = -np.gradient(height.values, latitude, axis=1) / (6.371e6 * coriolis)
    east = (np.roll(height.values, -1, 2) - np.roll(height.values, 1, 2)) / (2 * (longitude[1] - longitude[0]))
    v = east / (6.371e6 * coriolis * np.cos(latitude)[:, None])
    for name, derived in (("u_component_of_wind", u), ("v_component_of_wind", v)):
        wind = dataset[name].sel(level=500).values
        for rows in (slice(5, 11), slice(21, 27)):
            assert np.corrcoef(wind[:, rows].ravel(), derived[:, rows].ravel())[0, 1] > 0.9, name


def test_no_air_rises_on_the_whole(dataset):
    """Through a pressure surface clear of the ground as much mass goes up as comes down."""
    omega = dataset.vertical_velocity.sel(level=[200, 300, 400])
    assert np.all(np.abs(area_mean(omega)) < 0.05 * omega.std(("latitude", "longitude")))


def test_vertical_velocity_is_upward_where_it_rains(dataset):
    rain = dataset.total_precipitation_6hr.values[1:]
    omega = 0.5 * (dataset.vertical_velocity.values[1:] + dataset.vertical_velocity.values[:-1])[:, LEVELS.index(500)]
    assert np.corrcoef(rain.ravel(), omega.ravel())[0, 1] < -0.3


def test_precipitation_is_of_the_size_observed(dataset):
    daily = 4 * 1000 * area_mean(dataset.total_precipitation_6hr)
    assert 2 < float(daily.mean()) < 4
    assert (dataset.total_precipitation_6hr >= 0).all()


@pytest.mark.slow
def test_six_hours_are_those_of_jcm_itself(store, dataset):
    """jcm's own driver, saving every step, from the state kept in the store: rain adds up and the state is the same."""
    import jax.numpy as jnp
    import jax_datetime as jdt

    from airmass.data.simulate import run

    held = open_store(store).sizes["time"]
    climate = run.climate_of(SETTINGS)
    state = run.restored(climate, SETTINGS, Archive(store, held).state())
    when = np.datetime64("2000-11-01T00") + held * np.timedelta64(6, "h")
    after, _ = climate.six_hours(state, when)
    _, fields = climate.six_hours(after, when + np.timedelta64(6, "h"))

    model = climate.model
    days = int((np.datetime64(when, "D") - np.datetime64("1970-01-01")).astype(int))
    clock = jdt.Datetime(jdt.Timedelta(days=jnp.int32(days), seconds=jnp.int32(0)))
    end, run_ = model.run_from_state_with_carry(
        state.dynamics, climate.forcing, save_interval="1 hours", total_time="6 hours",
        initial_physics_state=state.physics, initial_time=clock, initial_step=jnp.int32(0),
    )  # fmt: skip
    rates = np.asarray(run_.physics["surface_exchange"].precipitation)
    assert rates.shape[0] == 6 and rates.std(axis=0).max() > 0
    rain = np.asarray(climate.regrid(jnp.asarray(rates.sum(axis=0) * 3600 / 1000)))
    assert fields["total_precipitation_6hr"] == pytest.approx(rain, rel=1e-3, abs=1e-6)
    assert np.asarray(after.dynamics.vorticity) == pytest.approx(np.asarray(end.dynamics.vorticity), abs=1e-8)


# Remapping


def test_remapping_keeps_global_means_and_constants():
    field = np.random.default_rng(0).normal(size=(96, 48)).astype(np.float32)
    _, weights = np.polynomial.legendre.leggauss(48)
    for longitudes, latitudes in ((64, 32), (30, 15), (144, 73)):
        regrid = Regrid((96, 48), (longitudes, latitudes))
        target = np.asarray(regrid(field))
        edges = np.sin(np.linspace(-np.pi / 2, np.pi / 2, latitudes + 1))
        mean = (target.mean(axis=1) * np.diff(edges)).sum() / 2
        assert mean == pytest.approx((field.mean(axis=0) * weights).sum() / 2, abs=1e-6)
        assert np.asarray(regrid(np.ones((96, 48)))) == pytest.approx(np.ones((latitudes, longitudes)), abs=1e-5)


def test_remapping_puts_things_where_they_are():
    longitude = np.arange(96) * 3.75
    latitude = np.rad2deg(np.arcsin(np.polynomial.legendre.leggauss(48)[0]))
    field = np.cos(np.deg2rad(longitude))[:, None] * np.cos(np.deg2rad(latitude)) + np.sin(np.deg2rad(latitude))
    target = np.asarray(Regrid((96, 48), (64, 32))(field.astype(np.float32)))
    latitude, longitude = np.deg2rad(np.linspace(-87.1875, 87.1875, 32)), np.deg2rad(np.arange(64) * 5.625)
    truth = np.cos(longitude) * np.cos(latitude)[:, None] + np.sin(latitude)[:, None]
    assert target == pytest.approx(truth, abs=0.03)
    assert _latitude_overlaps(48, 32).sum(axis=1) == pytest.approx(np.ones(32))


# Bytes


def test_continuing_gives_the_bytes_of_one_run(store, tmp_path):
    out = tmp_path / "continued.zarr"
    simulate(out, replace(SETTINGS, days=1), QUIET)
    assert open_store(out).sizes["time"] == 4
    simulate(out, SETTINGS, QUIET)
    assert contents(out) == contents(store)


def test_another_seed_is_other_weather_in_the_same_climate(dataset, tmp_path):
    simulate(tmp_path / "other.zarr", replace(SETTINGS, days=1, seed=1), QUIET)
    other = open_store(tmp_path / "other.zarr").load()
    height, other_height = dataset.geopotential.sel(level=500)[0], other.geopotential.sel(level=500)[0]
    assert float(np.sqrt(area_mean((height - other_height) ** 2))) > 100
    assert float(area_mean(other.temperature - dataset.temperature.isel(time=slice(4))).max()) < 3


KILLED = """
import os, signal, sys
from airmass.data.simulate import SimulateSettings, archive, run, simulate
calls, consolidate = [], archive.consolidate
def killed(path):
    calls.append(path)
    if len(calls) == 3:
        (path / "time" / "zarr.json.0123.partial").write_bytes(b"{")
        os.kill(os.getpid(), signal.SIGKILL)
    consolidate(path)
archive.consolidate, run.BLOCK_FRAMES = killed, 4
simulate(sys.argv[1], SimulateSettings(days=3, truncation=21), lambda *_: None)
"""


@pytest.mark.slow
def test_killed_run_leaves_a_whole_store_and_continues_to_the_same_bytes(store, cache, tmp_path):
    """Killed at the worst moment: the second day's chunks and state are written, its metadata is not."""
    out = tmp_path / "killed.zarr"
    child = subprocess.run([sys.executable, "-c", KILLED, str(out)], env={**os.environ, **cache}, timeout=300)
    assert child.returncode == -signal.SIGKILL
    held = open_store(out).load()
    assert held.sizes["time"] == 4
    assert np.isfinite(held.geopotential.values).all()
    from airmass.data.simulate import run

    run._climate.cache_clear()  # continued as by another process: built and compiled anew
    assert "c/7/0/0/0" in {p.split("temperature/")[-1] for p in contents(out)}
    simulate(out, SETTINGS, QUIET)
    assert contents(out) == contents(store)


# Refusals


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"days": 0}, "days is 0"),
        ({"truncation": 30}, "truncation is 30"),
        ({"start": "2000-11-31"}, "2000-11-31"),
        ({"start": "tomorrow"}, "tomorrow"),
        ({"seed": -1}, "seed is -1"),
        ({"layers": 2}, "layers is 2"),
        ({"latitudes": 0}, "latitudes is 0"),
        ({"time_step_minutes": 45}, "time_step_minutes is 45"),
    ],
)
def test_impossible_settings_are_refused(wrong, told):
    with pytest.raises(InputError, match=told):
        SimulateSettings(**{"days": 1, **wrong})


def test_other_settings_are_refused_with_both_values(store):
    before = contents(store)
    with pytest.raises(InputError, match=r"three\.zarr.*seed 0, asked for 7"):
        simulate(store, replace(SETTINGS, days=9, seed=7), QUIET)
    with pytest.raises(InputError, match="already holds 3 days, asked for 2"):
        simulate(store, replace(SETTINGS, days=2), QUIET)
    simulate(store, SETTINGS, QUIET)
    assert contents(store) == before


def test_something_else_is_left_alone(tmp_path):
    (tmp_path / "notes.zarr").mkdir()
    (tmp_path / "notes.zarr" / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group", "attributes": {}}')
    before = contents(tmp_path)
    with pytest.raises(InputError, match="not a simulated climate"):
        simulate(tmp_path / "notes.zarr", SETTINGS, QUIET)
    assert contents(tmp_path) == before


def test_two_at_once_are_refused(tmp_path):
    out = tmp_path / "a.zarr"
    with alone(out), pytest.raises(InputError, match=r"a\.zarr: another run is writing it \(process "):
        simulate(out, SimulateSettings(days=1))
    assert not any(tmp_path.iterdir())


def test_output_that_cannot_be_written_is_told_at_once(tmp_path):
    (tmp_path / "file").touch()
    began = time.perf_counter()
    with pytest.raises(InputError, match="cannot write"):
        simulate(tmp_path / "file" / "out.zarr", SETTINGS, QUIET)
    with pytest.raises(InputError, match=r"ends in \.zarr"):
        simulate(tmp_path / "out.nc", SETTINGS, QUIET)
    assert time.perf_counter() - began < 3


def test_full_disk_keeps_what_the_store_held(tmp_path, monkeypatch):
    import zarr

    static = {name: np.zeros((32, 64), np.float32) for name in ("geopotential_at_surface", "land_sea_mask")}
    archive = Archive.create(tmp_path / "full.zarr", SETTINGS, static, "a test")
    fields = {"2m_temperature": np.full((4, 32, 64), 280, np.float32)}
    times = np.datetime64("2000-11-01T00", "h") + np.arange(8) * np.timedelta64(6, "h")
    archive.append(times[:4], fields, [np.arange(3)])
    write = zarr.Array.__setitem__

    def full(array, where, values):
        if str(array.store_path).rstrip("/").endswith("/time"):
            raise OSError(errno.ENOSPC, "No space left on device")
        write(array, where, values)

    with monkeypatch.context() as patch:
        patch.setattr(zarr.Array, "__setitem__", full)
        with pytest.raises(InputError, match=r"full\.zarr: cannot write: No space left"):
            archive.append(times[4:], fields, [np.arange(4)])
    assert frames_held(archive.path, SETTINGS) == 4 == open_store(archive.path).sizes["time"]
    with pytest.raises(InputError, match="made by a test, this is another"):
        Archive.resume(archive.path, 4, "another")
    again = Archive.resume(archive.path, 4, "a test")
    assert again.state()[0].tolist() == [0, 1, 2]
    again.append(times[4:], fields, [np.arange(4)])
    assert np.array_equal(open_store(archive.path).time.values, times.astype("datetime64[ns]"))


def test_lost_state_is_told(tmp_path):
    archive = Archive.create(tmp_path / "lost.zarr", SETTINGS, {}, "a test")
    with pytest.raises(InputError, match="cannot be continued"):
        Archive(archive.path, 4).state()


def test_importing_is_light():
    """The command line shows its help in less than a second, so JAX and the model wait until they are needed."""
    code = (
        "import sys, airmass.data.simulate; sys.exit(any(m in sys.modules for m in ('jax', 'jcm', 'zarr', 'xarray')))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.slow
def test_sixty_days_take_less_than_75_seconds(tmp_path):
    code = "import sys; from airmass.data.simulate import *; simulate(sys.argv[1], SimulateSettings(days=60))"
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "sixty.zarr")], check=True)
    assert time.perf_counter() - began < 75
    pressure = area_mean(open_store(tmp_path / "sixty.zarr").surface_pressure)
    assert np.abs(pressure.values - 98550).max() < 100
