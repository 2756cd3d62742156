"""Sums of messages behind which their last map stands, beside messages summed one by one in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from airmass.nn.interaction import Interaction, add_at_receivers
from airmass.nn.summed import Behind, Each

WIDTH, EDGES, RECEIVERS = 10, 40, 7  # a width that no number of blocks divides


def _interaction(hidden: int, size_condition: int) -> Interaction:
    made = Interaction(WIDTH, hidden, key=jax.random.key(0), size_condition=size_condition)
    leaves, tree = jax.tree.flatten(made)
    rng = np.random.default_rng(0)
    return jax.tree.unflatten(tree, [jnp.asarray(rng.normal(size=leaf.shape), jnp.float32) for leaf in leaves])


def _swish(x):
    return x / (1 + np.exp(-x))


def _message(interaction: Interaction, first: np.ndarray, condition) -> np.ndarray:
    x = first.astype(np.float64)
    for layer in interaction.edge_mlp.layers[1:]:
        x = _swish(x) @ np.asarray(layer.weight, np.float64) + np.asarray(layer.bias)
    scale, offset = interaction.edge_mlp.norm.scale_and_offset(condition)
    deviation = np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return (x - x.mean(-1, keepdims=True)) / deviation * np.asarray(scale) + np.asarray(offset)


@pytest.mark.parametrize("hidden", [1, 2])
@pytest.mark.parametrize("size_condition", [0, 3])
@pytest.mark.parametrize("kind", ["each", "behind"])
def test_sums_equal_those_of_messages_one_by_one(kind, hidden, size_condition):
    interaction, rng = _interaction(hidden, size_condition), np.random.default_rng(1)
    condition = jnp.asarray(rng.normal(size=size_condition), jnp.float32) if size_condition else None
    first, receivers = rng.normal(size=(EDGES, WIDTH)).astype(np.float32), rng.integers(0, RECEIVERS, EDGES)
    count = np.bincount(receivers, minlength=RECEIVERS)[:, None].astype(np.float32)
    messages = Each() if kind == "each" else Behind(interaction, count)
    parts = messages.parts(interaction, jnp.asarray(first), condition)
    start = messages.start(interaction, RECEIVERS)
    sums = tuple(add_at_receivers(*pair, receivers) for pair in zip(start, parts, strict=True))
    expected = np.zeros((RECEIVERS, WIDTH))
    np.add.at(expected, receivers, _message(interaction, first, condition))
    expected = expected @ np.asarray(interaction.node_mlp.layers[0].weight, np.float64)[WIDTH:]
    arrived = messages.arriving(interaction, condition)(sums)
    np.testing.assert_allclose(arrived, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_the_rotated_map_is_a_triangle_of_the_same_lengths():
    interaction = _interaction(1, 0)
    behind, last = Behind(interaction, jnp.ones((1, 1))), interaction.edge_mlp.tail()[-1]
    assert not np.triu(behind.triangle, 1).any()
    x = np.random.default_rng(0).normal(size=(5, WIDTH)).astype(np.float32)
    turned = x @ behind.triangle + behind.turned_bias
    np.testing.assert_allclose(
        np.linalg.norm(turned, axis=-1), np.linalg.norm(x @ last.weight + last.bias, axis=-1), rtol=1e-5
    )


def test_precision_is_that_of_the_weights():
    interaction = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), _interaction(1, 0))
    behind, first = Behind(interaction, jnp.full((1, 1), 4.0)), jnp.ones((3, 4, WIDTH), jnp.bfloat16)
    sums = tuple(part.sum(axis=1) for part in behind.parts(interaction, first, None))
    each = Each().parts(interaction, first, None)[0].sum(axis=1)
    arrived, expected = behind.arriving(interaction, None)(sums), Each().arriving(interaction, None)((each,))
    assert arrived.dtype == jnp.bfloat16
    spread = np.abs(np.asarray(expected, np.float32)).max()
    np.testing.assert_allclose(np.asarray(arrived, np.float32), np.asarray(expected, np.float32), atol=0.03 * spread)
