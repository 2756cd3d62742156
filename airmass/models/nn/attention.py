"""Local attention, block by block, in the forward and in the backward pass.

Scores are computed only for pairs in a block's union of neighbours, and none are stored: the backward pass recomputes a
block's scores from the logarithm of their sum (Dao et al. 2022, arXiv:2205.14135).
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
    """Softmax attention over each node's neighbours, scores divided by the square root of `size`; softmax in float32.

    It runs the implementation chosen for these neighbours (`attention_choice`), by default plain JAX.
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

    Heads are the first axis because a CPU multiplies a batch of matrices three times faster than interleaved ones.
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
    # The derivative of a softmax needs each row's mean derivative, which is this product (Dao et al. 2022, B.2).
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

    # Many blocks add to one key, so gradients are summed in float32 at every precision.
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
    """Attention over the full matrix of scores: the definition, as a reference for tests."""
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
    """Rows of blocks at their nodes; every node is the query of one block, so values are set, not added."""
    in_rows = blocks.swapaxes(0, 1).reshape(like.shape[0], -1, like.shape[-1])
    return jnp.zeros_like(like).at[:, neighbours.queries.reshape(-1)].set(in_rows, mode="drop")
