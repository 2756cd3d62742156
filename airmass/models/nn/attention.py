"""Attention among neighbours only, block by block, in the forward and in the backward pass.

No score of a pair outside a block's union of neighbours is ever computed, and none is kept: the backward pass makes a
block's scores again from the logarithm of their sum (Dao et al. 2022, arXiv:2205.14135).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from airmass.core.types import Array
from airmass.models.mesh.neighbours import Neighbours


def attend(
    query: Float[Array, "head node size"],
    key: Float[Array, "head node size"],
    value: Float[Array, "head node size"],
    neighbours: Neighbours,
) -> Float[Array, "head node size"]:
    """Softmax attention over each node's neighbours, scores divided by the root of `size`; softmax in float32.

    By what was chosen for these neighbours (`attention_choice`), or else by plain JAX.
    """
    return (neighbours.by or attend_plainly)(query, key, value, neighbours)


@jax.custom_vjp
def attend_plainly(
    query: Float[Array, "head node size"],
    key: Float[Array, "head node size"],
    value: Float[Array, "head node size"],
    neighbours: Neighbours,
) -> Float[Array, "head node size"]:
    """`attend` in plain JAX.

    Heads come first because a CPU multiplies a batch of matrices three times faster than interleaved ones.
    """
    return _forward(query, key, value, neighbours)[0]


def _forward(query, key, value, neighbours: Neighbours):
    def block(out_and_sums, blocks: Neighbours):
        scores = _scores(query, key, blocks)
        top = scores.max(axis=-1, keepdims=True)
        weights = jnp.exp(scores - top)
        sums = weights.sum(axis=-1, keepdims=True)
        out = jnp.einsum("hqk,hks->hqs", weights.astype(value.dtype), value[:, blocks.keys]) / sums
        return out_and_sums, (out.astype(value.dtype), (top + jnp.log(sums))[..., 0])

    _, (out, log_sums) = jax.lax.scan(block, None, neighbours)
    return _scatter(query, neighbours, out), log_sums


def _forward_for_gradient(query, key, value, neighbours: Neighbours):
    out, log_sums = _forward(query, key, value, neighbours)
    return out, (query, key, value, neighbours, out, log_sums)


def _backward(kept, gradient):
    query, key, value, neighbours, out, log_sums = kept
    # A softmax's derivative needs each row's mean derivative, which is this product (Dao et al. 2022, section B.2).
    row_means = (gradient * out).sum(axis=-1)

    def block(carry, block_and_sums):
        for_key, for_value = carry
        blocks, log_sum = block_and_sums
        weights = jnp.exp(_scores(query, key, blocks) - log_sum[..., None])
        incoming = _gather(gradient, blocks.queries)
        for_value = for_value.at[:, blocks.keys].add(jnp.einsum("hqk,hqs->hks", weights, incoming))
        for_weights = jnp.einsum("hqs,hks->hqk", incoming, value[:, blocks.keys])
        rows = _gather(row_means[..., None], blocks.queries)
        for_scores = weights * (for_weights - rows) * query.shape[-1] ** -0.5
        for_key = for_key.at[:, blocks.keys].add(jnp.einsum("hqk,hqs->hks", for_scores, _gather(query, blocks.queries)))
        return (for_key, for_value), jnp.einsum("hqk,hks->hqs", for_scores, key[:, blocks.keys])

    # Many blocks add to one key: in float32, whatever the keys are.
    start = jnp.zeros(key.shape, jnp.float32), jnp.zeros(value.shape, jnp.float32)
    (for_key, for_value), for_query = jax.lax.scan(block, start, (neighbours, log_sums))
    for_query = _scatter(query, neighbours, for_query.astype(query.dtype))
    return for_query, for_key.astype(key.dtype), for_value.astype(value.dtype), None


attend_plainly.defvjp(_forward_for_gradient, _backward)


def attend_densely(
    query: Float[Array, "head node size"],
    key: Float[Array, "head node size"],
    value: Float[Array, "head node size"],
    near: Bool[Array, "node node"],
) -> Float[Array, "head node size"]:
    """The same over a full matrix of scores: the definition, to compare with."""
    scores = jnp.einsum("hqs,hks->hqk", query, key, preferred_element_type=jnp.float32) * query.shape[-1] ** -0.5
    weights = jax.nn.softmax(jnp.where(near, scores, -jnp.inf), axis=-1)
    return jnp.einsum("hqk,hks->hqs", weights.astype(value.dtype), value)


def _scores(query, key, block: Neighbours) -> Float[Array, "head query key"]:
    rows, columns = _gather(query, block.queries), key[:, block.keys]
    scores = jnp.einsum("hqs,hks->hqk", rows, columns, preferred_element_type=jnp.float32)
    return jnp.where(block.near, scores * query.shape[-1] ** -0.5, -jnp.inf)


def _gather(nodes: Float[Array, "head node size"], queries) -> Float[Array, "head query size"]:
    return jnp.asarray(nodes).at[:, queries].get(mode="fill", fill_value=0)


def _scatter(
    like: Float[Array, "head node size"], neighbours: Neighbours, blocks: Float[Array, "block head query size"]
) -> Float[Array, "head node size"]:
    """Every node is the query of one block, so that setting is enough."""
    in_rows = blocks.swapaxes(0, 1).reshape(like.shape[0], -1, like.shape[-1])
    return jnp.zeros_like(like).at[:, neighbours.queries.reshape(-1)].set(in_rows, mode="drop")
