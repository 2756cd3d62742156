"""Local attention beside attention over a full matrix of scores, forward and backward."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from airmass.models.mesh.icosphere import icosphere
from airmass.models.mesh.neighbours import Neighbours, hop_matrix
from airmass.models.nn.attention import attend, attend_densely

HEADS, SIZE = 2, 4
# Level, hops and block. A mesh has 42, 162 and 642 nodes: blocks divide none of them, and 700 is larger than all.
CASES = [(1, 1, 8), (1, 2, 5), (1, 5, 700), (2, 1, 64), (2, 2, 50), (2, 5, 161), (3, 1, 700), (3, 2, 64), (3, 5, 100)]
ALL = pytest.mark.parametrize(("level", "hops", "block"), CASES)


@cache
def _neighbours(level: int, hops: int, block: int) -> Neighbours:
    return Neighbours.within(icosphere(level), hops, block)


@cache
def _near(level: int, hops: int) -> np.ndarray:
    return hop_matrix(icosphere(level), hops).toarray()


def _arrays(level: int, count: int = 4, seed: int = 0, lead: tuple[int, ...] = ()) -> list[jax.Array]:
    """Query, key, value and what a gradient comes from; queries are large enough for weights far from equal."""
    shape = (*lead, HEADS, len(icosphere(level).vertices), SIZE)
    rng = np.random.default_rng(seed)
    return [jnp.asarray(scale * rng.normal(size=shape), jnp.float32) for scale in (3, 1, 1, 1)[:count]]


@partial(jax.jit, static_argnums=0)
def _with_gradients(function, graph, query, key, value, incoming):
    out, back = jax.vjp(lambda *qkv: function(*qkv, graph), query, key, value)
    return out, *back(incoming)


@ALL
def test_forward_and_gradients_are_those_of_the_definition(level, hops, block):
    arrays = _arrays(level)
    found = _with_gradients(attend, _neighbours(level, hops, block), *arrays)
    expected = _with_gradients(attend_densely, _near(level, hops), *arrays)
    for name, a, b in zip(("out", "query", "key", "value"), found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * float(jnp.abs(b).max()), err_msg=name)


def test_the_definition_is_a_softmax_over_neighbours():
    near = _near(1, 2)
    query, key, value = (np.asarray(x, np.float64) for x in _arrays(1, 3))
    scores = np.where(near, query @ key.swapaxes(1, 2) / np.sqrt(SIZE), -np.inf)
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    np.testing.assert_allclose(attend_densely(*_arrays(1, 3), jnp.asarray(near)), weights @ value, rtol=1e-4, atol=1e-5)


def test_under_jit_and_vmap():
    arrays = _arrays(2, lead=(3,))
    found = jax.vmap(partial(_with_gradients, attend, _neighbours(2, 2, 50)))(*arrays)
    for member, values in enumerate(zip(*found, strict=True)):
        expected = _with_gradients(attend_densely, _near(2, 2), *(x[member] for x in arrays))
        for a, b in zip(values, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_without_jit():
    query, key, value, incoming = _arrays(1)
    out, back = jax.vjp(lambda *qkv: attend(*qkv, _neighbours(1, 2, 5)), query, key, value)
    expected = _with_gradients(attend_densely, _near(1, 2), query, key, value, incoming)
    for a, b in zip((out, *back(incoming)), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_bfloat16_is_as_close_as_its_rounding():
    """Eight bits: each product is off by up to 2^-8 of its size, and a score of some ten shifts a weight by a few."""
    low = [x.astype(jnp.bfloat16) for x in _arrays(2)]
    wide = [x.astype(jnp.float32) for x in low]
    found = _with_gradients(attend, _neighbours(2, 2, 50), *low)
    expected = _with_gradients(attend_densely, _near(2, 2), *wide)
    for name, a, b in zip(("out", "query", "key", "value"), found, expected, strict=True):
        assert a.dtype == jnp.bfloat16
        apart = np.abs(np.asarray(a, np.float32) - b).max() / jnp.abs(b).max()
        assert apart < 0.02, (name, apart)


@ALL
def test_the_weights_of_a_row_sum_to_one(level, hops, block):
    query, key, value = _arrays(level, 3)
    # Shares the compiled function of the test above.
    out, *_ = _with_gradients(attend, _neighbours(level, hops, block), 100 * query, key, jnp.ones_like(value), value)
    np.testing.assert_allclose(out, 1, rtol=1e-5)


def test_very_large_scores_do_not_overflow():
    query, key, value = _arrays(1, 3)
    found = _with_gradients(attend, _neighbours(1, 2, 5), 1e4 * query, 1e4 * key, value, value)
    assert all(np.isfinite(x).all() for x in found)


@pytest.mark.parametrize(("level", "hops", "block"), [(2, 1, 64), (2, 2, 50)])
def test_a_key_that_is_not_near_has_no_influence_at_all(level, hops, block):
    near, neighbours = _near(level, hops), _neighbours(level, hops, block)
    query, key, value, incoming = _arrays(level)
    before, *_ = _with_gradients(attend, neighbours, query, key, value, incoming)
    for node in (0, 77, len(near) - 1):
        # Backwards too: what comes from nodes that do not see this one leaves its gradients at exactly zero.
        unseen = jnp.where(jnp.asarray(near[:, node])[:, None], 0.0, incoming)
        other = query, key.at[:, node].add(5.0), value.at[:, node].set(1e30), unseen
        after, _, for_key, for_value = _with_gradients(attend, neighbours, *other)
        changed = np.any(np.asarray(before) != after, axis=(0, 2))
        np.testing.assert_array_equal(changed, near[:, node])
        assert not np.any(for_key[:, node]) and not np.any(for_value[:, node])
