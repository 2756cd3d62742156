"""GraphCast beside the published code's golden vectors, and what follows from its construction."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from airmass.core.errors import InputError
from airmass.fields.grid import LatLonGrid
from airmass.models.graphcast.model import GraphCastNetwork, network_sizes
from airmass.models.graphcast.published import to_published
from airmass.models.graphcast.settings import GraphCastSettings
from airmass.models.mesh.graph import build_graphs
from airmass.models.mesh.tiles import Tiles
from airmass.models.nn.mlp import in_precision
from airmass.models.objectives.base import Example
from airmass.models.objectives.losses.base import WeightedLoss
from airmass.models.objectives.rollout import rollout_loss
from airmass.models.objectives.settings import LossSettings
from airmass.models.state import State
from airmass.recipes.recipes import RECIPES
from airmass.recipes.saved import as_settings, from_settings
from tests.golden_case import GOLDEN, STEPS


@pytest.fixture(scope="module")
def predictions() -> np.ndarray:
    """Three autoregressive steps with the golden edges: [step, node, target]."""
    model = jax.tree.map(jnp.asarray, GOLDEN.model).ready(inference=True)
    step = jax.jit(lambda state, window: model.step(state, window))
    state, frames = State(jnp.asarray(GOLDEN.frames[:2]), jnp.int32(0)), []
    for number in range(STEPS):
        state, frame = step(state, GOLDEN.forcings[number : number + 3])
        frames.append(frame)
    return np.stack(frames)


@pytest.mark.parametrize(("step", "tolerance"), [(0, 1e-4), (1, 1e-3), (2, 1e-3)])
def test_predictions_are_the_published_ones(predictions, step, tolerance):
    expected = GOLDEN.prediction[step]
    for name in GOLDEN.layout.variables:
        columns = GOLDEN.layout.columns(name)
        spread = expected[:, columns].std(axis=0)
        error = np.abs(predictions[step][:, columns] - expected[:, columns]) / spread
        assert error.max() < tolerance, name


@pytest.fixture(scope="module")
def loss_and_gradient():
    loss = WeightedLoss(LossSettings(), GOLDEN.layout, GOLDEN.grid)
    example = Example(GOLDEN.frames, GOLDEN.forcings, np.int32(0))

    def objective(network):
        model = dataclasses.replace(GOLDEN.model, network=network)
        value, errors = rollout_loss(model, loss, example, 2, key=jax.random.key(0))
        return value, loss.weights.terms(errors)

    return jax.jit(jax.value_and_grad(objective, has_aux=True))(GOLDEN.published.network)


def test_loss_and_its_terms_are_the_published_ones(loss_and_gradient):
    (value, terms), _ = loss_and_gradient
    np.testing.assert_allclose(value, GOLDEN.expected["loss"], rtol=1e-5)
    for column, name in enumerate(GOLDEN.layout.variables):
        np.testing.assert_allclose(terms[:, column].mean(), GOLDEN.expected[f"loss/{name}"], rtol=1e-5, err_msg=name)


def test_gradient_norms_are_the_published_ones(loss_and_gradient):
    _, gradient = loss_and_gradient
    flat = to_published(gradient, GOLDEN.published.task)
    expected = {k.removeprefix("grad_norm:"): v for k, v in GOLDEN.expected.items() if k.startswith("grad_norm:")}
    assert flat.keys() == expected.keys()
    for name, norm in expected.items():
        np.testing.assert_allclose(np.linalg.norm(flat[name]), norm, rtol=1e-3, atol=1e-12, err_msg=name)


def _count(network) -> int:
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(network))


def test_published_sizes_have_the_published_number_of_parameters():
    task = RECIPES["graphcast-small"].task
    network = jax.eval_shape(lambda: GraphCastNetwork(GraphCastSettings(), *network_sizes(task), key=jax.random.key(0)))
    assert network_sizes(task) == (183, 83)
    assert _count(network) == 35_979_347


def test_37_levels_have_the_published_channels():
    levels = tuple(range(1, 38))
    task = dataclasses.replace(RECIPES["graphcast-small"].task, levels=levels)
    assert network_sizes(task) == (471, 227)


@pytest.mark.parametrize("inference", [False, True])
def test_geometry_computed_before_changes_nothing(inference):
    state, window = State(jnp.asarray(GOLDEN.frames[:2]), jnp.int32(0)), GOLDEN.forcings[:3]
    model = jax.tree.map(jnp.asarray, GOLDEN.model)
    _, once = jax.jit(lambda: model.step(state, window))()
    _, ready = jax.jit(lambda: model.ready(inference).step(state, window))()
    spread = np.asarray(once).std(axis=0)
    np.testing.assert_allclose(once / spread, ready / spread, atol=2e-5 if inference else 0, rtol=1e-6)


def _gradient(recompute: int, precision: str = "float32"):
    """On a small grid. Five steps are a first one and four, which groups of three do not divide."""
    settings = GraphCastSettings(mesh_level=1, width=8, steps=5, recompute=recompute)
    leaves, tree = jax.tree.flatten(jax.eval_shape(lambda: GraphCastNetwork(settings, 7, 5, key=jax.random.key(0))))
    rng = np.random.default_rng(0)
    network = jax.tree.unflatten(tree, [jnp.asarray(0.3 * rng.normal(size=x.shape), jnp.float32) for x in leaves])
    tiles = Tiles.of(build_graphs(LatLonGrid.equiangular(9, 18), 1, cache=False), 54)
    x = jnp.asarray(rng.normal(size=(162, 7)), jnp.float32)

    def loss(network):
        low, low_tiles, low_x = in_precision((network, tiles, x), precision)
        return jnp.square(low(low_tiles, lambda tile: tiles.rows(low_x, tile)).astype(jnp.float32)).mean()

    return jax.tree.leaves(jax.jit(jax.grad(loss))(network))


@pytest.mark.slow
@pytest.mark.parametrize("recompute", [1, 2, 3])
def test_recomputing_changes_no_gradient(recompute):
    for a, b in zip(_gradient(recompute), _kept_gradient(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5 * float(jnp.abs(b).max()))


@functools.cache
def _kept_gradient():
    return _gradient(0)


@pytest.mark.slow
@pytest.mark.parametrize("recompute", [0, 1])
def test_a_gradient_in_bfloat16_is_near_that_in_float32(recompute):
    found = _gradient(recompute, "bfloat16")
    assert all(x.dtype == jnp.float32 and np.isfinite(x).all() for x in found)
    apart = sum(float(jnp.square(a - b).sum()) for a, b in zip(found, _kept_gradient(), strict=True))
    assert apart**0.5 < 0.05 * sum(float(jnp.square(b).sum()) for b in _kept_gradient()) ** 0.5


def test_recompute_may_be_what_older_settings_hold():
    saved = as_settings(RECIPES["demo"])
    for old in (False, True):
        assert from_settings(saved | {"model": saved["model"] | {"recompute": old}}).model.recompute == int(old)
    with pytest.raises(InputError, match=r"model\.recompute is -1"):
        GraphCastSettings(recompute=-1)


def test_a_step_moves_history_and_time():
    state = State(jnp.asarray(GOLDEN.frames[:2]), jnp.int32(100))
    model = GOLDEN.model
    after, frame = jax.jit(lambda: model.step(state, GOLDEN.forcings[:3]))()
    np.testing.assert_array_equal(after.history[0], state.history[1])
    np.testing.assert_array_equal(after.history[1], frame)
    assert int(after.valid_time) == 106


@pytest.mark.parametrize("poles", [True, False])
@pytest.mark.parametrize("width", [4, 6])
def test_any_grid_level_width_and_depth(poles, width):
    graphs = build_graphs(LatLonGrid.equiangular(9, 18, poles), 1, cache=False)
    settings = GraphCastSettings(mesh_level=1, width=width, steps=3, hidden_layers=2)
    network = GraphCastNetwork(settings, 7, 5, key=jax.random.key(0))
    assert jax.eval_shape(lambda: network(Tiles.of(graphs), lambda tile: jnp.ones((162, 7)))).shape == (162, 5)
