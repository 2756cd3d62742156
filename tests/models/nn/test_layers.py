"""Layers beside their definitions written out in numpy."""

import jax
import numpy as np
import pytest

from airmass.models.nn.interaction import Interaction, add_at_receivers, at_receivers
from airmass.models.nn.mlp import MLP, Linear, unit_variance


def _randomised(module, seed=0):
    """The same module with every leaf random, so that unit scales and zero offsets hide nothing."""
    leaves, tree = jax.tree.flatten(module)
    rng = np.random.default_rng(seed)
    return jax.tree.unflatten(tree, [rng.normal(size=leaf.shape).astype(np.float32) for leaf in leaves])


def _mlp(module: MLP, x: np.ndarray) -> np.ndarray:
    for number, layer in enumerate(module.layers):
        if number:
            x = x / (1 + np.exp(-x))
        x = x @ layer.weight + layer.bias
    if module.norm is None:
        return x
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * module.norm.scale + module.norm.offset


@pytest.mark.parametrize("hidden", [1, 2])
@pytest.mark.parametrize("norm", [True, False])
def test_mlp(hidden, norm):
    module = _randomised(MLP([3, *[5] * hidden, 4], key=jax.random.key(0), norm=norm))
    x = np.random.default_rng(1).normal(size=(7, 3))
    np.testing.assert_allclose(module(x), _mlp(module, x), rtol=2e-4, atol=2e-5)


def test_linear_maps_start_with_unit_gain():
    weight = Linear(400, 300, key=jax.random.key(0)).weight
    # Variance of a normal truncated at two standard deviations is 0.774 of the untruncated one.
    np.testing.assert_allclose(weight.var() * 400, 0.774, rtol=0.02)


def test_unit_variance():
    x = 3 + 5 * jax.random.normal(jax.random.key(0), (10, 64))
    y = unit_variance(x)
    np.testing.assert_allclose(y.mean(-1), 0, atol=1e-5)
    np.testing.assert_allclose(y.var(-1), 1, rtol=1e-4)


def test_interaction_equals_concatenate_then_multiply():
    rng = np.random.default_rng(0)
    senders, receivers = rng.integers(0, 6, 20), rng.integers(0, 4, 20)
    edge, sender, receiver = (rng.normal(size=(n, 8)).astype(np.float32) for n in (20, 6, 4))
    module = _randomised(Interaction(8, 1, key=jax.random.key(0)))
    on_senders, on_receivers = sender @ module.for_senders, jax.numpy.asarray(receiver @ module.for_receivers)
    first = module.on_edges(edge) + on_senders[senders] + at_receivers(on_receivers, receivers)
    messages = module.edge_mlp.rest(first)
    joined = np.concatenate([edge, sender[senders], receiver[receivers]], axis=-1)
    expected = _mlp(module.edge_mlp, joined)
    np.testing.assert_allclose(messages, expected, rtol=2e-4, atol=2e-4)
    total = np.zeros((4, 8))
    np.add.at(total, receivers, expected)
    incoming = add_at_receivers(jax.numpy.zeros((4, 8)), messages, receivers)
    updated = module.updated(receiver, receiver @ module.for_updates + incoming @ module.for_incoming)
    expected = receiver + _mlp(module.node_mlp, np.concatenate([receiver, total], axis=-1))
    np.testing.assert_allclose(updated, expected, rtol=2e-3, atol=2e-3)


def test_padding_edges_count_nowhere():
    total = add_at_receivers(jax.numpy.zeros((3, 2)), np.ones((4, 2), np.float32), np.array([0, 2, 3, 3]))
    np.testing.assert_array_equal(total, [[1, 1], [0, 0], [1, 1]])
    assert np.isfinite(at_receivers(jax.numpy.ones((3, 2)), np.array([3]))).all()
