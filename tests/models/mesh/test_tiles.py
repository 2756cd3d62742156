"""Tiles hold every edge once, and into how many they cut changes nothing that a network puts out."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from airmass.fields.grid import LatLonGrid
from airmass.models.gencast.model import DenoiserNetwork
from airmass.models.gencast.settings import GenCastSettings
from airmass.models.graphcast.model import GraphCastNetwork
from airmass.models.graphcast.settings import GraphCastSettings
from airmass.models.mesh.graph import EdgeSet, Graphs, build_graphs
from airmass.models.mesh.icosphere import icosphere
from airmass.models.mesh.neighbours import Neighbours
from airmass.models.mesh.tiles import EdgeTiles, Tiles

GRID = LatLonGrid.equiangular(9, 18)
LEVEL, N_GRID, N_MESH = 1, 9 * 18, 42


@cache
def _graphs(finest_only: bool = False) -> Graphs:
    return build_graphs(GRID, LEVEL, finest_only=finest_only, cache=False)


def _rows(senders, receivers, features) -> np.ndarray:
    """Edges with their features in an order of their own."""
    rows = np.column_stack([np.ravel(senders), np.ravel(receivers), np.reshape(features, (-1, 4))])
    return rows[np.lexsort(rows.T[::-1])]


def _kept(tiles: EdgeTiles, offsets: np.ndarray | int = 0) -> np.ndarray:
    """The edges of all tiles without padding; a padding edge is one whose receiver is past the last mesh node."""
    receivers = np.asarray(tiles.receivers)
    real = receivers < N_MESH
    assert np.all(receivers[~real] == N_MESH)
    senders = np.asarray(tiles.senders) + offsets
    return _rows(senders[real], receivers[real], np.asarray(tiles.table)[np.asarray(tiles.kinds)][real])


# One tile; tiles that divide the nodes; a tile for every few nodes; a tile a node. 162 is 2 * 81, so 70 makes 54.
@pytest.mark.parametrize("rows", [100_000, 162, 81, 70, 7, 1])
def test_every_edge_is_in_the_tiles_once(rows):
    graphs, tiles = _graphs(), Tiles.of(_graphs(), rows)
    assert tiles.count * tiles.nodes == N_GRID and tiles.nodes <= max(rows, 1)
    whole = [_rows(e.senders, e.receivers, e.features) for e in (graphs.grid_to_mesh, graphs.mesh)]
    first_nodes = np.arange(tiles.count)[:, None] * tiles.nodes
    assert np.all(np.asarray(tiles.grid_to_mesh.senders) < tiles.nodes)
    np.testing.assert_array_equal(_kept(tiles.grid_to_mesh, first_nodes), whole[0])
    np.testing.assert_array_equal(_kept(tiles.mesh), whole[1])
    corners = graphs.mesh_to_grid
    receivers = np.repeat(np.arange(N_GRID), 3)
    features = np.asarray(tiles.corner_table)[np.asarray(tiles.corner_kinds)]
    expected = _rows(corners.senders, corners.receivers, corners.features)
    np.testing.assert_array_equal(_rows(tiles.corners, receivers, features), expected)
    np.testing.assert_array_equal(np.reshape(tiles.grid_features, (-1, 3)), graphs.grid_features)


def test_rows_are_the_nodes_of_a_tile():
    tiles = Tiles.of(_graphs(), 50)
    field = np.random.default_rng(0).normal(size=(2, N_GRID, 3)).astype(np.float32)
    together = np.concatenate([tiles.rows(field, tile) for tile in range(tiles.count)], axis=1)
    np.testing.assert_array_equal(together, field)


def _random(network):
    """Every leaf random: biases and conditional scales start as zeros, which hide what they are added to."""
    leaves, tree = jax.tree.flatten(network)
    rng = np.random.default_rng(0)
    return jax.tree.unflatten(tree, [jnp.asarray(0.3 * rng.normal(size=leaf.shape), jnp.float32) for leaf in leaves])


CHANNELS, OUTPUTS = 5, 3


def _graphcast(rows: int):
    settings = GraphCastSettings(mesh_level=LEVEL, width=8, steps=3)
    network = _random(GraphCastNetwork(settings, CHANNELS, OUTPUTS, key=jax.random.key(0)))

    def run(network, tiles, x):
        return network(tiles, lambda tile: tiles.rows(x, tile))

    return run, network, Tiles.of(_graphs(), rows)


def _denoiser(rows: int):
    settings = GenCastSettings(LEVEL, width=8, layers=2, heads=2, hops=2, feedforward=12, frequencies=4)
    network = _random(DenoiserNetwork(settings, CHANNELS + OUTPUTS, OUTPUTS, key=jax.random.key(0)))
    neighbours = Neighbours.within(icosphere(LEVEL), 2, 16)

    def run(network, tiles, x):
        known, noisy = x, jnp.cos(x[:, :OUTPUTS])
        fixed = jnp.stack([network.fixed(tiles, tiles.rows(known, tile), tile) for tile in range(tiles.count)])
        precomputed = network.precomputed(network.embedded(tiles), jnp.float32(1.5))
        return network(tiles, neighbours, precomputed, fixed, noisy)

    return run, network, Tiles.of(_graphs(True), rows)


def _output_and_gradients(make, rows: int):
    run, network, tiles = make(rows)
    rng = np.random.default_rng(1)
    x, incoming = (jnp.asarray(rng.normal(size=(N_GRID, n)), jnp.float32) for n in (CHANNELS, OUTPUTS))

    @jax.jit
    def compute(network, tiles, x):
        out, back = jax.vjp(lambda network, x: run(network, tiles, x), network, x)
        return out, back(incoming)

    return compute(network, tiles, x)


@pytest.mark.slow
@pytest.mark.parametrize("make", [_graphcast, _denoiser])
def test_into_how_many_tiles_changes_neither_output_nor_gradient(make):
    (whole, gradients), *others = (_output_and_gradients(make, rows) for rows in (100_000, 60, 9))
    scale = float(jnp.abs(whole).max())
    assert np.isfinite(scale) and whole.shape == (N_GRID, OUTPUTS)
    for out, found in others:
        np.testing.assert_allclose(out, whole, atol=1e-5 * scale)
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(gradients), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5 * max(1e-3, float(jnp.abs(b).max())))


@pytest.mark.parametrize("n_longitude", [12, 16])
def test_edges_alike_by_a_third_of_a_turn_share_a_kind(n_longitude):
    """The mesh has that symmetry, and so has a grid whose columns divide by three; no other turn maps it to itself."""
    grid = LatLonGrid.equiangular(8, n_longitude)
    graphs = build_graphs(grid, 2, cache=False)
    a_third = n_longitude % 3 == 0
    kinds = {
        "mesh": len(graphs.mesh.table) / len(graphs.mesh.senders),
        "grid to mesh": len(graphs.grid_to_mesh.table) / len(graphs.grid_to_mesh.senders),
    }
    # Other symmetries of icosahedron and grid only make fewer.
    assert kinds["mesh"] <= 1 / 3 + 0.01
    assert (kinds["grid to mesh"] <= 1 / 3 + 0.01) == a_third
    node = np.arange(grid.size)
    turned = node // n_longitude * n_longitude + (node % n_longitude + n_longitude // 3) % n_longitude
    vertices = icosphere(2).vertices
    angle = 2 * np.pi / 3
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    after = np.linalg.norm((vertices @ turn.T)[:, None] - vertices[None], axis=-1)
    assert after.min(axis=1).max() < 1e-12
    if a_third:
        kind = _kinds(graphs.grid_to_mesh)
        image = after.argmin(axis=1)
        for (sender, receiver), number in kind.items():
            assert kind[int(turned[sender]), int(image[receiver])] == number


def _kinds(edges: EdgeSet) -> dict[tuple[int, int], int]:
    return dict(
        zip(zip(edges.senders.tolist(), edges.receivers.tolist(), strict=True), edges.kinds.tolist(), strict=True)
    )


def test_features_come_back_in_order_of_receiver_then_sender():
    rng = np.random.default_rng(0)
    pairs = rng.permutation(20 * 6)[:90]
    senders, receivers = pairs // 6, pairs % 6
    # Every third edge repeats another's features, and one differs from another by less than float64 keeps apart.
    features = rng.normal(size=(30, 4))[np.arange(90) % 30] * (1 + 1e-13 * (np.arange(90) >= 60))[:, None]
    edges = EdgeSet.sorted(senders, receivers, features)
    order = np.lexsort((senders, receivers))
    np.testing.assert_array_equal(edges.senders, senders[order])
    np.testing.assert_array_equal(edges.receivers, receivers[order])
    np.testing.assert_allclose(edges.features, features[order], rtol=1e-6)
    assert len(edges.table) == 30 and edges.table.dtype == np.float32
    # Numbered as they first come.
    _, first = np.unique(edges.kinds, return_index=True)
    assert np.all(np.diff(first) > 0)


@pytest.mark.slow
def test_renumbering_mesh_nodes_changes_only_their_numbers():
    # On the level of the other tests all nodes are one patch, which is left as it is.
    graphs = build_graphs(GRID, 2, cache=False)
    settings = GraphCastSettings(mesh_level=2, width=8, steps=2)
    network = GraphCastNetwork(settings, 5, 3, key=jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (N_GRID, 5))
    plain, moved = (
        network(tiles, lambda number, tiles=tiles: tiles.rows(x, number))
        for tiles in (Tiles.of(graphs), Tiles.of(graphs, renumber=True))
    )
    np.testing.assert_allclose(moved, plain, rtol=1e-4, atol=1e-5)
    still, turned = (
        np.asarray(Tiles.of(graphs).mesh_features),
        np.asarray(Tiles.of(graphs, renumber=True).mesh_features),
    )
    assert np.any(still != turned)
    np.testing.assert_array_equal(np.unique(still, axis=0), np.unique(turned, axis=0))
