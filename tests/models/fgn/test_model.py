"""WeatherNext 2 beside the published code's golden vectors: forecasts, losses, gradients, parameters."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from airmass.models.fgn.model import FGNNetwork, sizes
from airmass.models.fgn.published import read_configured, to_published
from airmass.models.fgn.settings import FGNSettings
from airmass.models.members import step as member_step
from airmass.models.objectives.base import Example
from airmass.models.objectives.losses.base import WeightedLoss
from airmass.models.objectives.members import members_loss
from airmass.models.objectives.settings import LossSettings
from airmass.models.state import State
from tests.models.fgn.golden import FOLDER, GOLDEN_FGN, MEMBERS, STEPS


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    """Three autoregressive steps of both members, each with the golden noise: [member, step, node, target]."""
    model = jax.jit(lambda model: model.ready())(GOLDEN_FGN.model)
    step = jax.jit(member_step)
    found = []
    for member in range(MEMBERS):
        start = model.normaliser.prognostic(GOLDEN_FGN.frames[:2])
        state = State(jnp.asarray(start), jnp.int32(0))
        for number in range(STEPS):
            window = GOLDEN_FGN.forcings[number : number + 3]
            state, frame = step(model, state, window, GOLDEN_FGN.noise[member, number])
            found.append(np.asarray(frame))
    return np.stack(found).reshape(MEMBERS, STEPS, *found[0].shape)


def test_forecasts_are_the_published_ones(frames):
    for name in GOLDEN_FGN.layout.variables:
        columns = GOLDEN_FGN.layout.columns(name)
        found, expected = frames[..., columns], GOLDEN_FGN.prediction[..., columns]
        np.testing.assert_array_equal(np.isnan(found), np.isnan(expected), err_msg=name)
        spread = np.nanstd(expected, axis=2, keepdims=True)
        assert np.nanmax(np.abs(found - expected) / spread) < 1e-4, name


def test_members_differ_and_follow_their_noise(frames):
    spread = GOLDEN_FGN.layout.columns("2m_temperature")
    assert np.abs(frames[0, 0, :, spread] - frames[1, 0, :, spread]).max() > 0.01


def _loss_and_gradient(steps: int):
    made = GOLDEN_FGN.configuration
    settings = LossSettings(kind="fair_crps", variable=dict(made.weights))
    loss = WeightedLoss(settings, GOLDEN_FGN.layout, GOLDEN_FGN.grid)
    count = 2 + steps
    example = Example(GOLDEN_FGN.frames[:count], GOLDEN_FGN.forcings[:count], np.int32(0))
    noise = jnp.asarray(GOLDEN_FGN.noise[:, :steps].swapaxes(0, 1))

    def objective(network):
        model = dataclasses.replace(GOLDEN_FGN.model, network=network)
        value, terms = members_loss(model, loss, example, 2, noise)
        return value, loss.weights.terms(terms)

    return jax.jit(jax.value_and_grad(objective, has_aux=True))(GOLDEN_FGN.model.network)


@pytest.fixture(scope="module", params=[1, pytest.param(2, marks=pytest.mark.slow)])
def outcome(request):
    return request.param, _loss_and_gradient(request.param)


def test_losses_are_the_published_ones(outcome):
    steps, ((value, terms), _) = outcome
    prefix = "loss" if steps == 1 else f"loss@{steps}steps"
    np.testing.assert_allclose(value, GOLDEN_FGN.expected[prefix], rtol=1e-5)
    for column, name in enumerate(GOLDEN_FGN.layout.variables):
        expected = GOLDEN_FGN.expected[f"{prefix}/{name}"]
        np.testing.assert_allclose(terms[:, column].mean(), expected, rtol=1e-5, atol=1e-12, err_msg=name)


def test_gradient_norms_are_the_published_ones(outcome):
    steps, (_, gradient) = outcome
    prefix = "grad_norm:" if steps == 1 else f"grad_norm@{steps}steps:"
    flat = to_published(gradient, GOLDEN_FGN.configuration.task, GOLDEN_FGN.configuration.settings)
    expected = {k.removeprefix(prefix): v for k, v in GOLDEN_FGN.expected.items() if k.startswith(prefix)}
    assert flat.keys() == expected.keys()
    for name, norm in expected.items():
        assert np.isfinite(flat[name]).all(), name
        np.testing.assert_allclose(np.linalg.norm(flat[name]), norm, rtol=1e-3, atol=1e-9, err_msg=name)


def test_parameters_go_to_the_published_layout_and_back():
    with np.load(FOLDER / "checkpoint.npz", allow_pickle=False) as stored:
        given = {k.removeprefix("params:"): stored[k] for k in stored.files if k.startswith("params:")}
    made = GOLDEN_FGN.configuration
    back = to_published(GOLDEN_FGN.model.network, made.task, made.settings)
    assert back.keys() == given.keys()
    for name, value in given.items():
        np.testing.assert_array_equal(back[name], value, err_msg=name)


_PUBLISHED = {  # the sizes of the three published models, and how many parameters each has
    "Mini": (FGNSettings(5, 512, 16, 4, 16, 2048, divisor=1.0), False, 56_684_133),
    "Cyclones": (FGNSettings(), False, 183_780_965),
    "WeatherNext2": (FGNSettings(), True, 183_785_575),
}


@pytest.mark.parametrize("name", _PUBLISHED)
def test_published_sizes_have_the_published_number_of_parameters(name):
    settings, winds_at_100m, expected = _PUBLISHED[name]
    task = read_configured(FOLDER / "config.json").task
    kept = tuple(v for v in task.prognostic if winds_at_100m or not v.startswith("100m_"))
    levels = (50, 100, 150, 200, 250, 300, 400, 500, 600, 700, 850, 925, 1000)
    task = dataclasses.replace(task, prognostic=kept, levels=levels)
    shapes = jax.eval_shape(lambda: FGNNetwork(settings, *sizes(task), key=jax.random.key(0)))
    assert sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(shapes)) == expected
