"""Steps along the mesh beside their definition, which JAX differentiates by itself."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from airmass.fields.grid import LatLonGrid
from airmass.models.mesh.graph import build_graphs
from airmass.models.mesh.tiles import EdgeTiles, Tiles
from airmass.models.nn.interaction import Interaction
from airmass.models.nn.processor import interact

WIDTH, STEPS, NODES = 6, 3, 42


def _given(hidden: int, rows: int, seed: int = 0):
    """Steps with every leaf random, edges in tiles, and random nodes, edges and what gradients come from."""
    rng = np.random.default_rng(seed)
    edges = Tiles.of(build_graphs(LatLonGrid.equiangular(9, 18), 1, cache=False), rows).mesh
    keys = jax.random.split(jax.random.key(0), STEPS)
    like = jax.eval_shape(eqx.filter_vmap(lambda key: Interaction(WIDTH, hidden, key=key)), keys)
    steps = jax.tree.map(lambda x: jnp.asarray(0.5 * rng.normal(size=x.shape), jnp.float32), like)
    mesh, for_mesh = jnp.asarray(rng.normal(size=(2, NODES, WIDTH)), jnp.float32)
    edge, for_edge = jnp.asarray(rng.normal(size=(2, *edges.senders.shape, WIDTH)), jnp.float32)
    real = jnp.asarray(edges.receivers < NODES)[..., None]
    return edges, steps, (mesh, edge * real), (for_mesh, for_edge * real)


def _definition(edges: EdgeTiles, steps: Interaction, carry, on_kinds=None):
    mesh, edge = carry
    real, receivers = (edges.receivers < NODES)[..., None], jnp.minimum(edges.receivers, NODES - 1)
    for number in range(jax.tree.leaves(steps)[0].shape[0]):
        module = jax.tree.map(lambda leaf, number=number: leaf[number], steps)
        joined = jnp.concatenate([edge, mesh[edges.senders], mesh[receivers]], axis=-1)
        if on_kinds is not None:
            first = module.edge_mlp.layers[0]
            without = joined @ first.weight.at[:WIDTH].set(0)
            messages = module.edge_mlp.rest(on_kinds[edges.kinds] + without)
        else:
            messages = module.edge_mlp(joined)
        total = jnp.zeros_like(mesh).at[receivers].add(jnp.where(real, messages, 0))
        mesh = mesh + module.node_mlp(jnp.concatenate([mesh, total], axis=-1))
        edge = edge + jnp.where(real, messages, 0)
    return mesh, edge


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize(("hidden", "rows"), [(1, 60), (2, 1000)])
def test_values_and_gradients_are_those_of_the_definition(keep, hidden, rows):
    edges, steps, carry, incoming = _given(hidden, rows)
    assert (edges.senders.shape[0] > 1) == (rows == 60)
    _compare(lambda *a: interact(keep, None, *a, edges), lambda *a: _definition(edges, *a), (steps, carry), incoming)


@pytest.mark.parametrize("keep", [False, True])
def test_the_first_step_takes_its_edges_part_by_kind(keep):
    edges, steps, carry, incoming = _given(1, 60)
    first = jax.tree.map(lambda leaf: leaf[:1], steps)
    on_kinds = jax.random.normal(jax.random.key(1), (len(edges.table), WIDTH))
    _compare(
        lambda steps, carry, on_kinds: interact(keep, None, steps, carry, edges, on_kinds),
        lambda *a: _definition(edges, *a),
        (first, carry, on_kinds),
        incoming,
    )


def _compare(found, expected, given, incoming):
    (a, a_back), (b, b_back) = (jax.jit(lambda f=f: _both(f, given, incoming))() for f in (found, expected))
    # What a padding edge holds is nobody's.
    for x, y in zip(jax.tree.leaves((a[0], a_back)), jax.tree.leaves((b[0], b_back)), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-3, atol=2e-5 * float(jnp.abs(y).max()))


def _both(function, given, incoming):
    out, back = jax.vjp(function, *given)
    return out, back(incoming)
