"""Scaling and its inverse."""

import jax
import numpy as np
import pytest
import xarray as xr

from airmass.core.errors import InputError
from airmass.fields.channels import ChannelLayout
from airmass.fields.forcing import FORCING_SCALES
from airmass.fields.normalise import Normaliser
from airmass.fields.task import Task

TASK = Task(
    prognostic=("temperature", "2m_temperature"),
    diagnostic=("total_precipitation_6hr",),
    forcing=("year_progress_sin",),
    static=("land_sea_mask",),
    levels=(500, 850),
)
NAMES = ("temperature", "2m_temperature", "total_precipitation_6hr", "land_sea_mask")


def _statistics(seed: int) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    fields = {name: ((), rng.uniform(1, 2)) for name in NAMES[1:]}
    return xr.Dataset({"temperature": ("level", rng.uniform(1, 2, 2)), **fields}, {"level": [500, 850]})


@pytest.fixture
def normaliser() -> Normaliser:
    return Normaliser.from_statistics(TASK, _statistics(0), _statistics(1), _statistics(2))


def test_restore_undoes_target(normaliser):
    frame, last = jax.random.normal(jax.random.key(0), (5, 4)), jax.random.normal(jax.random.key(1), (5, 3))
    np.testing.assert_allclose(normaliser.restore(normaliser.target(frame, last), last), frame, atol=1e-6)


def test_prognostic_outputs_are_changes_and_diagnostic_ones_are_fields(normaliser):
    last = np.arange(3, dtype=np.float32)[None]
    frame = normaliser.restore(np.zeros((1, 4), np.float32), last)[0]
    mean, layout = _statistics(0), ChannelLayout.of(TASK.targets, TASK.levels)
    np.testing.assert_array_equal(frame[:3], last[0])
    np.testing.assert_allclose(frame[3], float(mean.total_precipitation_6hr), rtol=1e-6)
    assert layout.channels[3] == ("total_precipitation_6hr", None) or layout.variables[1] == "temperature"
    scale = normaliser.restore(np.ones((1, 4), np.float32), last)[0] - frame
    change, spread = _statistics(2), _statistics(1)
    expected = [change["2m_temperature"], *change.temperature.values, spread.total_precipitation_6hr]
    np.testing.assert_allclose(scale, np.array(expected, np.float32), rtol=1e-5)


def test_inputs_are_scaled_by_their_own_statistics_frames_first(normaliser):
    mean, spread = _statistics(0), _statistics(1)
    history = np.stack([np.full((2, 3), 3.0, np.float32), np.full((2, 3), 5.0, np.float32)])
    x = normaliser.inputs(history, np.full((3, 2, 1), 0.5, np.float32), np.full((2, 1), 0.25, np.float32))
    means = np.array([mean["2m_temperature"], *mean.temperature.values])
    spreads = np.array([spread["2m_temperature"], *spread.temperature.values])
    offset, scale = FORCING_SCALES["year_progress_sin"]
    mask = (0.25 - float(mean.land_sea_mask)) / float(spread.land_sea_mask)
    expected = [*((3 - means) / spreads), *((5 - means) / spreads), *3 * [(0.5 - offset) / scale], mask]
    np.testing.assert_allclose(x, np.tile(expected, (2, 1)), rtol=1e-5)


def test_prognostic_channels_of_a_frame(normaliser):
    np.testing.assert_array_equal(normaliser.prognostic(np.arange(8.0).reshape(2, 4)), [[0, 1, 2], [4, 5, 6]])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.drop_vars("2m_temperature"), "no mean of 2m_temperature"),
        (lambda s: s.sel(level=[500]), "no mean of temperature at 850 hPa"),
    ],
)
def test_missing_statistics_are_named(change, words):
    with pytest.raises(InputError, match=words):
        Normaliser.from_statistics(TASK, change(_statistics(0)), _statistics(1), _statistics(2))


@pytest.mark.parametrize("value", [0.0, np.nan, -1.0])
def test_a_spread_that_cannot_divide_is_refused(value):
    broken = _statistics(1)
    broken["temperature"][1] = value
    with pytest.raises(InputError, match="temperature at 850 hPa"):
        Normaliser.from_statistics(TASK, _statistics(0), broken, _statistics(2))


def test_targets_that_cannot_be_negative_are_bounded_and_others_are_not():
    task = Task(("temperature", "specific_humidity"), (), (), (), (500, 850), nonnegative=("specific_humidity",))
    columns = Normaliser.nonnegative(task)
    assert [ChannelLayout.of(task.targets, task.levels).channels[c][0] for c in columns] == ["specific_humidity"] * 2
    zeros, ones = np.zeros(4, np.float32), np.ones(4, np.float32)
    none = np.zeros(0, np.float32)
    scales = Normaliser(zeros, ones, none, none, none, none, zeros, ones, Normaliser.columns(task), columns)
    frame = np.asarray(scales.restore(np.full((3, 4), -2, np.float32), np.ones((3, 4), np.float32)))
    expected = np.full(4, -1.0)
    expected[list(columns)] = 0
    np.testing.assert_array_equal(frame, np.broadcast_to(expected, (3, 4)))
