"""The transformer's block and the conditional norm beside their definitions written out in numpy."""

from math import erf

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from airmass.models.mesh.icosphere import icosphere
from airmass.models.mesh.neighbours import Neighbours, hop_matrix
from airmass.models.nn.mlp import MLP, ConditionalNorm
from airmass.models.nn.transformer import Block, Transformer

WIDTH, HEADS, HIDDEN, CONDITION = 12, 3, 20, 5
MESH = icosphere(1)


def _randomised(module, seed=0):
    """The same module with every leaf random, so that a condition's map of zeros hides nothing."""
    leaves, tree = jax.tree.flatten(module)
    rng = np.random.default_rng(seed)
    return jax.tree.unflatten(tree, [0.3 * rng.normal(size=leaf.shape).astype(np.float32) for leaf in leaves])


@pytest.fixture(scope="module")
def given() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.normal(2, 3, (len(MESH.vertices), WIDTH)), rng.normal(size=CONDITION)


def _norm(x: np.ndarray, condition: np.ndarray, norm: ConditionalNorm) -> np.ndarray:
    """The first half of the map is the scale minus one, the second half the offset."""
    both = condition @ norm.linear.weight + norm.linear.bias
    width = x.shape[-1]
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * (1 + both[:width]) + both[width:]


# JAX's gelu is by default the approximation by tanh, which the published code uses too.
def _gelu(x: np.ndarray) -> np.ndarray:
    return x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def _block(x: np.ndarray, condition: np.ndarray, near: np.ndarray, block: Block) -> np.ndarray:
    normed = _norm(x, condition, block.attention_norm)
    attended = []
    for head in range(HEADS):
        columns = slice(head * WIDTH // HEADS, (head + 1) * WIDTH // HEADS)
        query, key, value = (normed @ weight[:, columns] for weight in (block.query, block.key, block.value))
        weights = np.where(near, np.exp(query @ key.T / np.sqrt(WIDTH // HEADS)), 0)
        attended.append(weights / weights.sum(-1, keepdims=True) @ value)
    x = x + np.concatenate(attended, axis=-1) @ block.attended.weight + block.attended.bias
    up = _norm(x, condition, block.feedforward_norm) @ block.up.weight + block.up.bias
    return x + _gelu(up) @ block.down.weight + block.down.bias


def _in_float64(module):
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), module)


def test_gelu_written_out_is_near_the_normal_distribution():
    x = np.linspace(-4, 4, 33)
    np.testing.assert_allclose(_gelu(x), [v / 2 * (1 + erf(v / np.sqrt(2))) for v in x], atol=1e-3)


def test_conditional_norm(given):
    x, condition = given
    norm = _randomised(ConditionalNorm(WIDTH, CONDITION, key=jax.random.key(0)))
    expected = _norm(x, condition, norm)
    np.testing.assert_allclose(norm(x.astype(np.float32), condition), expected, rtol=1e-4, atol=1e-4)


def test_conditional_norm_by_halves(given):
    x, condition = (a.astype(np.float32) for a in given)
    norm = ConditionalNorm(WIDTH, CONDITION, key=jax.random.key(0))
    plain = norm(x, condition)
    np.testing.assert_allclose(plain.mean(-1), 0, atol=1e-6)
    np.testing.assert_allclose(plain.std(-1), 1, rtol=1e-4)

    def with_bias(first: float, second: float):
        bias = np.repeat(np.float32([first, second]), WIDTH)
        return eqx.tree_at(lambda norm: norm.linear.bias, norm, bias)(x, condition)

    np.testing.assert_allclose(with_bias(2, 0), 3 * plain, rtol=1e-5)
    np.testing.assert_allclose(with_bias(-1, 7), np.full_like(plain, 7), rtol=1e-5)


@pytest.mark.parametrize("hidden", [1, 2])
def test_a_perceptron_under_a_condition(given, hidden):
    x, condition = given
    module = _randomised(MLP([WIDTH, *[7] * hidden, 9], key=jax.random.key(0), size_condition=CONDITION))
    expected = x
    for number, layer in enumerate(_in_float64(module).layers):
        expected = expected / (1 + np.exp(-expected)) if number else expected
        expected = expected @ layer.weight + layer.bias
    expected = _norm(expected, condition, module.norm)
    np.testing.assert_allclose(module(x.astype(np.float32), condition), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("hops", [1, 2])
def test_block(given, hops):
    x, condition = given
    block = _randomised(Block(WIDTH, HEADS, HIDDEN, CONDITION, key=jax.random.key(0)))
    found = jax.jit(lambda block, *a: block(*a))(
        block, x.astype(np.float32), Neighbours.within(MESH, hops, 8), condition
    )
    near = hop_matrix(MESH, hops).toarray()
    np.testing.assert_allclose(found, _block(x, condition, near, _in_float64(block)), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("recompute", [False, True])
def test_a_transformer_is_its_blocks_in_turn_then_a_norm(given, recompute):
    x, condition = given
    module = _randomised(Transformer(WIDTH, 3, HEADS, HIDDEN, CONDITION, key=jax.random.key(0)))
    neighbours, near = Neighbours.within(MESH, 1, 8), hop_matrix(MESH, 1).toarray()
    found = jax.jit(lambda module, *a: module(*a, recompute))(module, x.astype(np.float32), neighbours, condition)
    expected, wide = x, _in_float64(module)
    for number in range(3):
        expected = _block(expected, condition, near, jax.tree.map(lambda leaf, n=number: leaf[n], wide.blocks))
    np.testing.assert_allclose(found, _norm(expected, condition, wide.norm), rtol=1e-3, atol=2e-3)


def test_blocks_of_a_new_transformer_differ():
    blocks = Transformer(WIDTH, 3, HEADS, HIDDEN, CONDITION, key=jax.random.key(0)).blocks
    for weight in (
        blocks.query,
        blocks.key,
        blocks.value,
        blocks.attended.weight,
        blocks.up.weight,
        blocks.down.weight,
    ):
        assert jnp.abs(weight[0] - weight[1]).max() > 0.1 and jnp.abs(weight[1] - weight[2]).max() > 0.1
