"""Noise levels beside their definition, and the settings that are refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from airmass.core.errors import InputError
from airmass.diffusion.noise_levels import (
    TrainingNoise,
    noise_level,
    noise_levels,
    require_wider,
)
from airmass.diffusion.samplers.dpmpp_2s import DPMSolver2S


@pytest.mark.parametrize("settings", [DPMSolver2S(), DPMSolver2S(10.0, 0.1, 6, 3.0)])
def test_noise_levels_are_even_after_the_power(settings):
    levels = noise_levels(settings)
    assert len(levels) == settings.levels
    np.testing.assert_allclose(levels[[0, -1]], [settings.max_noise, settings.min_noise], rtol=1e-12)
    steps = np.diff(levels ** (1 / settings.rho))
    np.testing.assert_allclose(steps, steps[0], rtol=1e-9)
    assert steps[0] < 0


def test_churn_raises_levels_in_its_range_only():
    grid = DPMSolver2S(churn_max=50.0).grid
    inside = (grid.times >= 0.75) & (grid.times <= 50)
    assert 0 < inside.sum() < 20 and not inside[0]
    np.testing.assert_allclose(grid.raised[inside] / grid.times[inside], 1 + 2.5 / 20, rtol=1e-12)
    np.testing.assert_array_equal(grid.raised[~inside], grid.times[~inside])
    np.testing.assert_array_equal(DPMSolver2S(churn=0).grid.raised, grid.times)


def test_churn_at_most_doubles_the_variance():
    grid = DPMSolver2S(churn=1000, churn_min=0).grid
    np.testing.assert_allclose((grid.raised / grid.times) ** 2, 2, rtol=1e-12)


def test_training_levels_have_the_published_range_and_distribution():
    u = jnp.linspace(0, 1, 101)
    sigma = jax.jit(lambda u: noise_level(TrainingNoise(), u))(u)
    np.testing.assert_allclose(sigma[jnp.array([0, -1])], [0.02, 88], rtol=1e-5)
    root = np.asarray(sigma, np.float64) ** (1 / 7)
    np.testing.assert_allclose(np.diff(root), (88 ** (1 / 7) - 0.02 ** (1 / 7)) / 100, rtol=1e-3)


REFUSED = [
    ({"max_noise": 0.01}, r"min_noise is 0.03 and \S+max_noise 0.01"),
    ({"min_noise": 0.0}, "min_noise is 0.0, expected above 0"),
    ({"min_noise": float("nan")}, "min_noise is nan, expected above 0"),
    ({"max_noise": float("inf")}, "max_noise is inf, expected above 0"),
    ({"rho": 0.0}, "rho is 0.0"),
]


@pytest.mark.parametrize("kind", [DPMSolver2S, TrainingNoise])
@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_ranges_that_are_none_are_refused(kind, change, message):
    with pytest.raises(InputError, match=message.replace("0.03", "0.0[23]")):
        kind(**change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"levels": 1}, "levels is 1"),
        ({"levels": 2.5}, "levels is 2.5"),
        ({"churn": -1.0}, "churn is -1.0"),
        ({"inflation": 0.0}, "inflation is 0.0"),
        ({"churn_min": 2.0, "churn_max": 1.0}, r"churn_min is 2.0, expected at most sampler\.churn_max, 1.0"),
        ({"churn_min": -1.0}, "churn_min is -1.0"),
        ({"kind": "heun"}, "kind is 'heun', expected 'dpmpp-2s'"),
        ({"kind": None}, "kind is None"),
        ({"memory": 1.0}, "memory is 1.0, expected 0 or more, below 1"),
        ({"memory": -0.1}, "memory is -0.1"),
        ({"memory_degrees": 0}, "memory_degrees is 0, expected 1 to 10000"),
        ({"memory_degrees": 2.5}, "memory_degrees is 2.5"),
    ],
)
def test_sampler_settings_that_make_no_schedule_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        DPMSolver2S(**change)


def test_training_must_be_wider_on_both_ends():
    require_wider(TrainingNoise(), DPMSolver2S())
    # Touching is not wider.
    for training in (TrainingNoise(max_noise=80.0), TrainingNoise(min_noise=0.03)):
        with pytest.raises(InputError, match=r"levels 0.03 to 80.0, training covers .* wider on both ends"):
            require_wider(training, DPMSolver2S())
