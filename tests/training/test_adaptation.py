"""Frozen parts and low-rank additions change what they should and nothing else."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from airmass.core.errors import InputError
from airmass.core.parameter_paths import path_name
from airmass.fields.grid import LatLonGrid
from airmass.models.gencast.model import DenoiserNetwork
from airmass.models.gencast.settings import GenCastSettings
from airmass.models.graphcast.model import GraphCastNetwork
from airmass.models.graphcast.settings import GraphCastSettings
from airmass.models.mesh.graph import build_graphs
from airmass.models.mesh.tiles import Tiles
from airmass.recipes.settings import AdaptationSettings, OptimiserSettings
from airmass.training.adaptation import LowRank, join, split
from airmass.training.optimiser import OPTIMISERS, optimiser

CHANNELS, OUTPUTS, KEY = 5, 3, jax.random.key(3)
SETTINGS = GraphCastSettings(mesh_level=1, width=8, steps=2, recompute=0)
NETWORK = jax.jit(lambda key: GraphCastNetwork(SETTINGS, CHANNELS, OUTPUTS, key=key))(jax.random.key(0))
every_kind = pytest.mark.parametrize("kind", OPTIMISERS)
ADAPTED = AdaptationSettings(freeze=("*",), lora=("processor.*",), rank=2)


@pytest.fixture(scope="module")
def loss():
    """Mean square of outputs over a small grid away from a fixed field, and its gradient, by network."""
    grid = LatLonGrid.equiangular(8, 16, poles=False)
    tiles = jax.tree.map(jnp.asarray, Tiles.of(build_graphs(grid, 1, cache=False)))
    x, y = (jax.random.normal(jax.random.key(i), (grid.size, n)) for i, n in ((1, CHANNELS), (2, OUTPUTS)))
    return jax.jit(jax.value_and_grad(lambda network: jnp.square(network(tiles, lambda tile: x) - y).mean()))


def _leaves(tree) -> dict[str, jax.Array]:
    return {path_name(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def _trained(loss, settings: AdaptationSettings, kind: str = "adamw", updates: int = 4):
    """The pair after some updates. The network's gradient is compiled once; join's is put behind it."""
    transform = optimiser(OptimiserSettings(kind=kind, peak_rate=0.01, warmup=1), (100,))
    trained, held = jax.jit(lambda key: split(NETWORK, settings, key))(KEY)

    @jax.jit
    def update(trained, state, by_whole):
        (gradient,) = jax.vjp(lambda trained: join(trained, held), trained)[1](by_whole)
        change, state = transform.update(gradient, state, trained)
        return optax.apply_updates(trained, change), state

    state, whole = jax.jit(transform.init)(trained), jax.jit(lambda trained: join(trained, held))
    for _ in range(updates):
        trained, state = update(trained, state, loss(whole(trained))[1])
    return trained, held


def test_by_default_everything_is_trained_and_nothing_is_paid():
    trained, held = split(NETWORK, AdaptationSettings(), KEY)
    assert jax.tree.structure(trained) == jax.tree.structure(NETWORK)
    assert not jax.tree.leaves(held)
    assert all(a is b for a, b in zip(jax.tree.leaves(join(trained, held)), jax.tree.leaves(NETWORK), strict=True))


@pytest.mark.parametrize(
    "settings", [ADAPTED, AdaptationSettings(freeze=("encoder.*", "*.bias")), AdaptationSettings()]
)
def test_starts_as_the_network_to_the_bit(settings):
    whole = join(*split(NETWORK, settings, KEY))
    assert jax.tree.structure(whole) == jax.tree.structure(NETWORK)
    for name, leaf in _leaves(whole).items():
        np.testing.assert_array_equal(leaf, _leaves(NETWORK)[name], err_msg=name)


@every_kind
def test_frozen_parameters_stay_to_the_bit_and_others_move(loss, kind):
    whole = _leaves(join(*_trained(loss, AdaptationSettings(freeze=("processor.*", "encoder.embed_grid.*")), kind)))
    for name, leaf in _leaves(NETWORK).items():
        if name.startswith(("processor.", "encoder.embed_grid.")):
            np.testing.assert_array_equal(whole[name], leaf, err_msg=name)
        elif not name.startswith("decoder.mesh_update."):  # which nothing reads
            assert np.any(whole[name] != leaf), name


@every_kind
def test_adapters_learn_and_only_their_matrices_change(loss, kind):
    trained, held = _trained(loss, ADAPTED, kind)
    whole = _leaves(join(trained, held))
    for name, leaf in _leaves(NETWORK).items():
        if name.startswith("processor.") and name.endswith(".weight"):
            assert np.linalg.matrix_rank(whole[name][0] - leaf[0], tol=1e-6) == 2, name
        else:
            np.testing.assert_array_equal(whole[name], leaf, err_msg=name)
    assert loss(join(trained, held))[0] < loss(NETWORK)[0]


def test_a_merged_network_is_the_sum(loss):
    """W + scale down @ up, one product for each stacked step."""
    trained, held = _trained(loss, dataclasses.replace(ADAPTED, scale=0.5))
    whole, low = _leaves(join(trained, held)), trained.processor.edge_mlp.layers[0].weight
    assert isinstance(low, LowRank) and low.down.shape == (2, 24, 2) and low.up.shape == (2, 2, 8)
    base = NETWORK.processor.edge_mlp.layers[0].weight
    for step in range(2):
        expected = base[step] + 0.5 * np.asarray(low.down[step]) @ np.asarray(low.up[step])
        np.testing.assert_allclose(whole["processor.edge_mlp.layers.0.weight"][step], expected, rtol=1e-5, atol=1e-7)


def test_only_what_is_trained_has_moments():
    """The optimiser's memory is that of the factors."""
    trained, _ = split(NETWORK, ADAPTED, KEY)
    state = optimiser(OptimiserSettings(), (100,)).init(trained)
    adapters = sum(leaf.size for leaf in jax.tree.leaves(trained))
    moments = sum(leaf.size for leaf in jax.tree.leaves(state) if leaf.ndim)
    assert moments == 2 * adapters < sum(leaf.size for leaf in jax.tree.leaves(NETWORK.processor))


@every_kind
def test_gencasts_projections_are_matrices(kind):
    settings = GenCastSettings(mesh_level=1, width=8, layers=2, heads=2, feedforward=16, encoder_sizes=(4, 4))
    network = jax.jit(lambda key: DenoiserNetwork(settings, CHANNELS, OUTPUTS, key=key))(KEY)
    trained, held = split(network, AdaptationSettings(freeze=("*",), lora=("transformer.blocks.*",), rank=2), KEY)
    for name in ("query", "key", "value"):
        assert isinstance(getattr(trained.transformer.blocks, name), LowRank)
        assert getattr(trained.transformer.blocks, name).down.shape == (2, 8, 2)
    assert trained.transformer.blocks.up.bias is None and held.transformer.blocks.up.bias is not None
    transform = optimiser(OptimiserSettings(kind=kind), (100,))
    change = jax.eval_shape(lambda tree: transform.update(tree, transform.init(tree), tree)[0], trained)
    assert jax.tree.structure(change) == jax.tree.structure(trained)


def test_rates_reach_adapters():
    trained, _ = split(NETWORK, ADAPTED, KEY)
    transform = optimiser(OptimiserSettings(rates={"processor.node_mlp.*": 3.0}, weight_decay=0, warmup=1), (100,))
    update, ones = jax.jit(transform.update), jax.tree.map(jnp.ones_like, trained)
    _, state = update(ones, jax.jit(transform.init)(trained), trained)
    change, _ = update(ones, state, trained)
    edge, node = change.processor.edge_mlp.layers[0].weight, change.processor.node_mlp.layers[0].weight
    np.testing.assert_allclose(node.down[0, 0], 3 * edge.down[0, 0], rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"freeze": ("procesor.*",)}, r"freeze: 'procesor\.\*' matches no parameter; did you mean 'processor\.\*'\?"),
        ({"freeze": ("processor",)}, r"did you mean 'processor\.\*'"),
        ({"lora": ("processor.edge_mlp.norm.*",)}, r"lora: 'processor\.edge_mlp\.norm\.\*' matches no parameter"),
        ({"freeze": ("*",)}, r"freeze: \* leaves nothing to train"),
    ],
)
def test_patterns_that_mean_nothing_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        split(NETWORK, AdaptationSettings(**settings), KEY)


@pytest.mark.parametrize("settings", [{"rank": 0}, {"scale": 0.0}])
def test_sizes_that_mean_nothing_are_refused(settings):
    with pytest.raises(InputError, match="expected"):
        AdaptationSettings(**settings)


def test_what_is_trained_is_arrays_only():
    trained, held = split(NETWORK, ADAPTED, KEY)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves((trained, held)))
