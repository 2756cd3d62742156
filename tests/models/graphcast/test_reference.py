"""The plain network gives what the fast one gives, in output and in the gradient of every parameter."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from airmass.fields.grid import LatLonGrid
from airmass.models.graphcast import reference
from airmass.models.graphcast.model import GraphCastNetwork, GraphCastSettings
from airmass.models.mesh.graph import build_graphs
from airmass.models.mesh.tiles import Tiles

GRAPHS = build_graphs(LatLonGrid.equiangular(8, 16), 1, cache=False)
CHANNELS, OUTPUTS = 3, 2


def random_leaves(make):
    """Every leaf random: biases and scales start as zeros and ones, which hide what they act on."""
    leaves, tree = jax.tree.flatten(jax.eval_shape(make))
    rng = np.random.default_rng(0)
    return jax.tree.unflatten(tree, [jnp.asarray(0.3 * rng.normal(size=leaf.shape), jnp.float32) for leaf in leaves])


def assert_equal_networks(fast, plain, network):
    """Outputs and gradients of a random projection of them, to rounding of the largest value in each array."""
    shape = jax.eval_shape(fast, network).shape
    weights = np.random.default_rng(3).normal(size=shape).astype(np.float32)

    def outcome(run):
        def loss(network):
            out = run(network)
            return (weights * out).sum(), out

        (_, out), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(network)
        return out, gradient

    (out, gradient), (plain_out, plain_gradient) = outcome(fast), outcome(plain)
    np.testing.assert_allclose(out, plain_out, atol=2e-5 * np.abs(plain_out).max())
    flat = jax.tree_util.tree_leaves_with_path(plain_gradient)
    assert max(np.abs(value).max() for _, value in flat) > 0
    for (path, expected), found in zip(flat, jax.tree.leaves(gradient), strict=True):
        scale = max(np.abs(expected).max(), 1e-6)
        np.testing.assert_allclose(found / scale, expected / scale, atol=1e-4, err_msg=jax.tree_util.keystr(path))


@pytest.mark.parametrize(
    ("steps", "hidden_layers", "recompute"),
    [(1, 1, 0), *(pytest.param(3, layers, 1, marks=pytest.mark.slow) for layers in (1, 2))],
)
def test_the_fast_network_is_the_plain_one(steps, hidden_layers, recompute):
    settings = GraphCastSettings(mesh_level=1, width=16, steps=steps, hidden_layers=hidden_layers, recompute=recompute)
    network = random_leaves(lambda: GraphCastNetwork(settings, CHANNELS, OUTPUTS, key=jax.random.key(0)))
    tiles = Tiles.of(GRAPHS, rows=48)
    x = jnp.asarray(np.random.default_rng(1).normal(size=(tiles.count * tiles.nodes, CHANNELS)), jnp.float32)

    def fast(network):
        return network(tiles, lambda tile: tiles.rows(x, tile))

    assert_equal_networks(fast, lambda network: reference.network(network, GRAPHS, x), network)


def test_a_change_of_one_edge_shows():
    """The comparison can fail: another sender on one edge of the mesh changes the output by more than it allows."""
    settings = GraphCastSettings(mesh_level=1, width=16, steps=2)
    network = random_leaves(lambda: GraphCastNetwork(settings, CHANNELS, OUTPUTS, key=jax.random.key(0)))
    x = jnp.asarray(np.random.default_rng(1).normal(size=(8 * 16, CHANNELS)), jnp.float32)
    senders = np.array(GRAPHS.mesh.senders)
    senders[0] = (senders[0] + 1) % len(GRAPHS.mesh_features)
    other = dataclasses.replace(GRAPHS, mesh=dataclasses.replace(GRAPHS.mesh, senders=senders))
    run = jax.jit(reference.network)
    out, changed = (run(network, graphs, x) for graphs in (GRAPHS, other))
    # Five times what the comparison above allows.
    assert np.abs(out - changed).max() > 1e-4 * np.abs(out).max()
