"""Perturbed initial states: of the size and scale that was asked for, made of seed and number, never dry of water."""

import numpy as np
import pytest
import xarray as xr

from airmass.commands.main import main
from airmass.core.errors import InputError
from airmass.data.formats.forecast_reader import open_forecast
from airmass.diffusion.sphere import SphereNoise
from airmass.fields.channels import ChannelLayout
from airmass.forecasting.perturbed import EARTH_RADIUS_KM, PerturbedRunner, perturbed, smooth_weights
from airmass.forecasting.system import ForecastSystem, load_system, with_sampler
from airmass.models.runner import NOTHING_WRITTEN, Written
from tests.golden_case import GOLDEN
from tests.golden_case import GOLDEN_GENCAST as GENCAST

TASK, INIT = GOLDEN.published.task, GOLDEN.times.reshape(-1)[1]
CHANNELS = ChannelLayout.of(TASK.prognostic, TASK.levels).channels
FOLDER = GOLDEN.folder


@pytest.fixture(scope="module")
def system():
    return load_system(FOLDER / "checkpoint.npz", FOLDER)


@pytest.fixture(scope="module")
def runner(system) -> PerturbedRunner:
    return perturbed(system, 0.5, 2000.0).runner(GOLDEN.grid, GOLDEN.static, 3)


@pytest.fixture(scope="module")
def history() -> np.ndarray:
    return np.asarray(GOLDEN.normaliser.prognostic(GOLDEN.frames[:2]))


@pytest.mark.parametrize("length", [600.0, 1200.0, 2500.0])
def test_the_covariance_is_gaussian_in_distance(length):
    """By the addition theorem each degree's harmonics sum to a Legendre polynomial of the cosine of the angle."""
    n = 64
    weights = smooth_weights(n, length)
    total = np.add.outer(np.arange(n), np.arange(n))
    degree = np.where(total < n, total, 2 * n - 1 - total)
    power = np.array([np.sum(weights[degree == one] ** 2) for one in range(n)]) / n**2
    angle = np.linspace(0, 3, 20) * length / EARTH_RADIUS_KM
    covariance = np.polynomial.legendre.legval(np.cos(angle), power)
    assert covariance[0] == pytest.approx(1)
    # The sphere bends a Gaussian by less than the square of length over radius.
    flat = np.exp(-((angle * EARTH_RADIUS_KM / length) ** 2) / 2)
    np.testing.assert_allclose(covariance, flat, atol=0.3 * (length / EARTH_RADIUS_KM) ** 2)


def test_each_harmonic_takes_the_weight_of_its_degree():
    """A single coefficient is an eigenfunction of the Laplacian; here, of turning by one column."""
    n, latitude = 8, np.linspace(-90, 90, 9)
    white = SphereNoise.build(latitude, np.arange(16) * 22.5)
    weights, drawn = smooth_weights(n, 3000.0), np.zeros((n, n, 1), np.float32)
    drawn[2, 3] = 1  # cosine, order 2, degree 5
    cosine = np.asarray(white.synthesise(weights[..., None] * drawn)).reshape(9, 16)
    drawn[2, 3], drawn[6, 4] = 0, 1  # the sine of the same order and degree
    sine = np.asarray(white.synthesise(weights[..., None] * drawn)).reshape(9, 16)
    np.testing.assert_allclose(np.roll(cosine, 2, axis=1), sine, atol=1e-6)
    assert np.abs(sine).max() > 0.1


def test_members_differ_by_the_amplitude_of_each_channel(runner, system, history):
    moved = np.stack([runner.initial(history, INIT, member) - history for member in range(1, 25)])
    # Rounding of float32 states aside, both frames move alike.
    np.testing.assert_allclose(moved[:, 0], moved[:, 1], atol=1e-4 * np.abs(history).max())
    free = [i for i, (name, _) in enumerate(CHANNELS) if "humidity" not in name and "precipitation" not in name]
    spread = np.sqrt((moved[:, 0] ** 2).mean(axis=(0, 1)))[free] / (0.5 * system.residual_std[free])
    np.testing.assert_allclose(spread.mean(), 1, atol=0.05)
    assert spread.min() > 0.7 and spread.max() < 1.3
    alike = np.corrcoef(moved[:, 0].reshape(24, -1)) - np.eye(24)
    assert np.abs(alike).max() < 0.3


def test_member_0_is_the_state_itself_and_others_are_made_of_seed_time_and_number(runner, system, history):
    np.testing.assert_array_equal(runner.initial(history, INIT, 0), history)
    one = runner.initial(history, INIT, 7)
    again = perturbed(system, 0.5, 2000.0).runner(GOLDEN.grid, GOLDEN.static, 3)
    np.testing.assert_array_equal(again.initial(history, INIT, 7), one)
    other = perturbed(system, 0.5, 2000.0).runner(GOLDEN.grid, GOLDEN.static, 4)
    for found in (other.initial(history, INIT, 7), runner.initial(history, INIT + np.timedelta64(6, "h"), 7)):
        assert np.abs(found - one).max() > 0


def test_water_stays_where_it_is_not_negative(runner, history):
    limited = [i for i, (name, _) in enumerate(CHANNELS) if "humidity" in name or "precipitation" in name]
    dry = history.copy()
    dry[:, ::2, limited] = 0
    dry[:, 1::10, limited] = -1e-9
    found = np.stack([runner.initial(dry, INIT, member) for member in range(1, 6)])
    assert (found[..., limited] >= np.minimum(dry, 0)[..., limited]).all()
    assert (found[..., limited] != dry[..., limited]).any()


def test_it_goes_on_where_it_stopped(runner, history):
    frames = [list(frames) for frames, _ in zip(runner.frames(history, INIT, (0, 2)), range(3), strict=False)]
    first = [np.asarray(GOLDEN.normaliser.prognostic(frame))[None] for frame in frames[0]]
    goes_on = runner.frames(history, INIT, (0, 2), Written(1, first))
    for expected, found in zip(frames[1:], goes_on, strict=False):
        np.testing.assert_array_equal(expected, list(found))


def command(out, *more) -> int:
    given = {"checkpoint": FOLDER / "checkpoint.npz", "statistics": FOLDER, "initial": FOLDER / "dataset.nc"}
    named = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    return main(["forecast", *named, "--out", str(out), "--lead-time", "12h", *more])


def test_the_command_writes_an_ensemble(tmp_path):
    assert command(tmp_path / "p.zarr", "--members", "3", "--perturb", "0.1") == 0
    data = open_forecast(tmp_path / "p.zarr", ensemble=True).load()
    assert data.attrs["airmass_system"] == "graphcast-perturbed" and data.attrs["airmass_perturb"] == 0.1
    assert (data.temperature.std("number") > 0).all()
    assert command(tmp_path / "one.nc") == 0
    alone = open_forecast(tmp_path / "one.nc").load()
    for name in alone.data_vars:
        xr.testing.assert_equal(data[name].sel(number=0, drop=True), alone[name])


@pytest.fixture(scope="module")
def gencast() -> ForecastSystem:
    few = {"levels": 3, "churn": 0.0}
    return with_sampler(load_system(GENCAST.folder / "checkpoint.npz", GENCAST.folder), few)


def second_frames(runner, members, made=NOTHING_WRITTEN) -> list[np.ndarray]:
    """Of each member, that after the frame or frames it starts from."""
    start = np.asarray(GENCAST.normaliser.prognostic(GENCAST.frames[:2]))
    init = GENCAST.times.reshape(-1)[1]
    return [np.asarray(frame) for frame in next(runner.frames(start, init, members, made))]


def test_members_of_a_gencast_draw_as_they_would_from_states_of_their_own(gencast):
    """Member 2 is member 2 of the unperturbed ensemble, had it been given that state, whoever goes beside it."""
    grid, static = GENCAST.grid, GENCAST.model.static
    plain = gencast.runner(grid, static, 3)
    runner = perturbed(gencast, 0.5, 2000.0).runner(grid, static, 3)
    assert runner.group_size == plain.group_size > 1
    start, init = np.asarray(GENCAST.normaliser.prognostic(GENCAST.frames[:2])), GENCAST.times.reshape(-1)[1]
    zero, two = second_frames(runner, (0, 2))
    np.testing.assert_array_equal(zero, second_frames(plain, (0,))[0])
    own = runner.initial(start, init, 2)
    (alone,) = next(plain.frames(own, init, (2,)))
    np.testing.assert_array_equal(two, alone)
    assert np.nanmax(np.abs(two - second_frames(plain, (2,))[0])) > 0
    # It goes on from frames of its own, as a stopped run does.
    goes_on = second_frames(runner, (2,), Written(1, [own[-1:]]))
    again = next(plain.trajectories([np.concatenate([own[1:], own[-1:]])], init, (2,), 1))
    np.testing.assert_array_equal(goes_on[0], next(again))


def test_a_sampler_of_ones_own_reaches_a_perturbed_gencast(gencast):
    other = with_sampler(perturbed(gencast, 0.5, 2000.0), {"levels": 2})
    runner = other.runner(GENCAST.grid, GENCAST.model.static, 3)
    unlike = perturbed(gencast, 0.5, 2000.0).runner(GENCAST.grid, GENCAST.model.static, 3)
    assert np.nanmax(np.abs(second_frames(runner, (1,))[0] - second_frames(unlike, (1,))[0])) > 0
    with pytest.raises(InputError, match="give only one of them"):
        other.runner(GENCAST.grid, GENCAST.model.static, 3, GENCAST.noise)


@pytest.mark.parametrize(("amplitude", "length"), [(0.0, 1200.0), (-1.0, 1200.0), (np.nan, 1200.0), (1.0, 0.0)])
def test_numbers_that_make_no_perturbation(system, amplitude, length):
    with pytest.raises(InputError, match="expected finite numbers above 0"):
        perturbed(system, amplitude, length)


def test_what_cannot_be_perturbed(system, tmp_path, capsys):
    with pytest.raises(InputError, match="is perturbed already"):
        perturbed(perturbed(system, 1.0, 1200.0), 1.0, 1200.0)
    assert command(tmp_path / "p.zarr", "--members", "3") == 2
    assert "GraphCast is deterministic: --members 3 has no effect" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
