"""Sums of messages behind which their last map stands, beside messages one by one."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from airmass.models.nn.interaction import Interaction, add_at_receivers
from airmass.models.nn.loops import over_tiles
from airmass.models.nn.mlp import Linear
from airmass.models.nn.summed import LinearAfterSum, SquaredLength, squared_length

WIDTH, EDGES, RECEIVERS = 10, 40, 7  # a width that no number of blocks divides


def _interaction(hidden: int, size_condition: int) -> Interaction:
    made = Interaction(WIDTH, hidden, key=jax.random.key(0), size_condition=size_condition)
    leaves, tree = jax.tree.flatten(made)
    rng = np.random.default_rng(0)
    return jax.tree.unflatten(tree, [jnp.asarray(rng.normal(size=leaf.shape), jnp.float32) for leaf in leaves])


def _given(hidden: int, size_condition: int):
    rng = np.random.default_rng(1)
    condition = jnp.asarray(rng.normal(size=size_condition), jnp.float32) if size_condition else None
    first, receivers = rng.normal(size=(EDGES, WIDTH)).astype(np.float32), rng.integers(0, RECEIVERS, EDGES)
    return _interaction(hidden, size_condition), first, receivers, condition


def _arrived(interaction: Interaction, first, receivers, condition, tiles: int = 1, recompute: bool = False):
    count = np.bincount(receivers, minlength=RECEIVERS)[:, None].astype(np.float32)
    messages = LinearAfterSum(interaction, jnp.asarray(count))

    def tile(total, rows):
        first, receivers = rows
        parts = messages.parts(first)
        return tuple(add_at_receivers(*pair, receivers) for pair in zip(total, parts, strict=True)), None

    rows = first.reshape(tiles, -1, WIDTH), receivers.reshape(tiles, -1)
    sums, _ = over_tiles(tile, messages.start(RECEIVERS), rows, recompute)
    return messages.arriving(interaction, condition)(sums)


def _one_by_one(interaction: Interaction, first, receivers, condition):
    """The definition: whole messages, summed at their receivers, and the map of the sum."""
    x = first
    for layer in interaction.edge_mlp.layers[1:]:
        x = x / (1 + jnp.exp(-x)) @ layer.weight + layer.bias
    scale, offset = interaction.edge_mlp.norm.scale_and_offset(condition)
    message = (x - x.mean(-1, keepdims=True)) / jnp.sqrt(x.var(-1, keepdims=True) + 1e-5) * scale + offset
    total = jnp.zeros((RECEIVERS, WIDTH)).at[receivers].add(message)
    return total @ interaction.node_mlp.layers[0].weight[WIDTH:]


@pytest.mark.parametrize("hidden", [1, 2])
@pytest.mark.parametrize("size_condition", [0, 3])
def test_sums_equal_those_of_messages_one_by_one(hidden, size_condition):
    interaction, first, receivers, condition = _given(hidden, size_condition)
    found, expected = (run(interaction, first, receivers, condition) for run in (_arrived, _one_by_one))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize(("tiles", "recompute"), [(1, False), (4, False), (4, True)])
@pytest.mark.parametrize("size_condition", [0, 3])
def test_gradients_equal_those_of_messages_one_by_one(size_condition, tiles, recompute):
    interaction, first, receivers, condition = _given(2, size_condition)
    incoming = jnp.asarray(np.random.default_rng(2).normal(size=(RECEIVERS, WIDTH)), jnp.float32)

    def gradient(run, *options):
        def scalar(interaction, first, condition):
            return jnp.vdot(incoming, run(interaction, first, receivers, condition, *options))

        # jitted: what is kept and what made again matters only to a compiled program
        return jax.jit(jax.grad(scalar, argnums=(0, 1, 2)))(interaction, first, condition)

    found, expected = gradient(_arrived, tiles, recompute), gradient(_one_by_one)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * float(jnp.abs(b).max()))


def test_lengths_are_not_made_again(monkeypatch):
    interaction, first, receivers, _ = _given(1, 0)

    def flops():
        def scalar(first):
            return jnp.square(_arrived(interaction, first, receivers, None, 4, True)).sum()

        return jax.jit(jax.value_and_grad(scalar)).lower(jnp.asarray(first)).compile().cost_analysis()["flops"]

    found = flops()
    monkeypatch.setattr("airmass.models.nn.summed.saved_for_backward", lambda square: square)
    # Of a tile, all that a triangle in four blocks takes but its sums of squares.
    products = sum(2 * EDGES // 4 * (WIDTH - start) * min(3, WIDTH + 1 - start) for start in range(0, WIDTH, 3))
    assert found <= flops() - products


@pytest.mark.parametrize("outputs", [4, WIDTH, 17])
def test_squared_lengths_are_made_by_a_triangle(outputs):
    last = Linear(WIDTH, outputs, key=jax.random.key(0))
    last = eqx.tree_at(lambda linear: linear.bias, last, jax.random.normal(jax.random.key(1), (outputs,)))
    x = np.random.default_rng(0).normal(size=(2, 5, WIDTH)).astype(np.float32)
    of = SquaredLength.of(last)
    assert not np.triu(of.triangle, 1).any()
    expected = np.square(x.astype(np.float64) @ np.asarray(last.weight) + np.asarray(last.bias)).sum(-1, keepdims=True)
    np.testing.assert_allclose(squared_length(of, x), expected, rtol=1e-5)


def test_a_map_that_is_not_of_full_rank_has_a_finite_gradient():
    def length(weight):
        centred = weight - weight.mean(axis=-1, keepdims=True)
        last = eqx.tree_at(lambda linear: linear.weight, Linear(WIDTH, WIDTH, key=jax.random.key(0)), centred)
        return squared_length(SquaredLength.of(last), jnp.ones((3, WIDTH))).sum()

    weight = jax.random.normal(jax.random.key(1), (WIDTH, WIDTH))
    expected = jax.grad(lambda w: 3 * jnp.square((w - w.mean(axis=-1, keepdims=True)).sum(axis=0)).sum())(weight)
    np.testing.assert_allclose(jax.grad(length)(weight), expected, rtol=1e-4, atol=1e-4)


def test_precision_is_that_of_the_weights():
    interaction, first, receivers, _ = _given(1, 0)
    low = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), interaction)
    arrived = _arrived(low, jnp.asarray(first, jnp.bfloat16), receivers, None)
    expected = np.asarray(_one_by_one(interaction, first, receivers, None))
    assert arrived.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.asarray(arrived, np.float32), expected, atol=0.03 * np.abs(expected).max())
