"""Local attention as GPU kernels, in Pallas through Triton: equal to `attention.attend_plainly` up to rounding.

Each program has one head of one block of nodes and loops over the block's neighbours in chunks. They are gathered as
they are read, and only running sums are stored (Dao et al. 2022, arXiv:2205.14135): scores are never written to memory.
Neighbourhood is symmetric, so the same lists serve the derivatives of keys and values, which every program sums for
its own block: there are no atomic additions, and results are deterministic.

Products have the default matmul precision of JAX, sums are float32. Importing this module imports Pallas.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton
from jaxtyping import Float

from airmass.core.types import Array
from airmass.models.mesh.neighbours import Neighbours

# Start of a running maximum: below any score, and finite, so that differences with it are defined.
_LOWEST = -1e30
# The narrowest matrix that Triton multiplies.
_NARROWEST = 16


def attend_by_kernel(
    query: Float[Array, "head node size"],
    key: Float[Array, "head node size"],
    value: Float[Array, "head node size"],
    neighbours: Neighbours,
    chunk: int = 64,
    interpret: bool = False,
) -> Float[Array, "head node size"]:
    """Attention as `attention.attend_plainly`, in chunks of `chunk` keys; `interpret` runs it slowly without a GPU.

    Raises ValueError unless blocks and `chunk` are powers of two from 16 on, which Triton needs.
    """
    for name, length in (("blocks", neighbours.queries.shape[1]), ("chunk", chunk)):
        if length < _NARROWEST or length & (length - 1):
            raise ValueError(f"{name} of {length} nodes, expected a power of two from {_NARROWEST} on")
    size = query.shape[-1]
    # Padded with zeros, which do not change scores and give zeros.
    wide = ((0, 0), (0, 0), (0, max(_NARROWEST, pl.next_power_of_2(size)) - size))
    padded = (jnp.pad(x, wide) for x in (query, key, value))
    return _attend(*padded, neighbours, (size**-0.5, chunk, interpret))[..., :size]


@partial(jax.custom_vjp, nondiff_argnums=(4,))
def _attend(query, key, value, neighbours: Neighbours, how: tuple[float, int, bool]):
    return _forward(query, key, value, neighbours, how)[0]


def _forward(query, key, value, neighbours: Neighbours, how):
    out, log_sums = _over_blocks(_out_kernel, (query,), (key, value), neighbours, how, outs=(query, None))
    return out, (query, key, value, neighbours, out, log_sums)


def _backward(how, kept, gradient):
    query, key, value, neighbours, out, log_sums = kept
    row_means = jnp.einsum("hns,hns->hn", gradient, out, preferred_element_type=jnp.float32)
    by_query = query, gradient, log_sums, row_means
    (for_query,) = _over_blocks(_query_kernel, by_query, (key, value), neighbours, how, outs=(query,))
    for_key, for_value = _over_blocks(_key_kernel, (key, value), by_query, neighbours, how, outs=(key, value))
    return for_query, for_key, for_value, None


_attend.defvjp(_forward, _backward)


def _over_blocks(kernel, own, others, neighbours: Neighbours, how, outs):
    """Results of `kernel` on every block and head; arrays are [head, node, size] or [head, node].

    The kernel reads rows of `own` for its block and of `others` for its neighbours, and writes arrays like `outs` for
    its block; None in `outs` is one float32 a node.
    """
    scale, chunk, interpret = how
    heads, nodes, size = own[0].shape
    queries = neighbours.queries
    blocks, block = queries.shape
    union = neighbours.keys.shape[1]

    def spec_of_block(x) -> pl.BlockSpec:
        return pl.BlockSpec((None, None, block, *x.shape[3:]), lambda b, h: (h, b, *(0,) * (x.ndim - 2)))

    def spec_of_all(x) -> pl.BlockSpec:
        return pl.BlockSpec((None, *x.shape[1:]), lambda b, h: (h, *(0,) * (x.ndim - 1)))

    own = [x.at[:, queries].get(mode="fill", fill_value=0) for x in own]
    like = [jax.ShapeDtypeStruct((heads, nodes), jnp.float32) if x is None else x for x in outs]
    shapes = [jax.ShapeDtypeStruct((heads, blocks, block, *x.shape[2:]), x.dtype) for x in like]
    lists = [
        pl.BlockSpec((None, union), lambda b, h: (b, 0)),
        pl.BlockSpec((None, block, union), lambda b, h: (b, 0, 0)),
    ]
    made = pl.pallas_call(
        partial(kernel, scale, partial(_near_by, chunk)),
        grid=(blocks, heads),
        in_specs=[*lists, *map(spec_of_block, own), *map(spec_of_all, others)],
        out_specs=[spec_of_block(x) for x in shapes],
        out_shape=shapes,
        compiler_params=triton.CompilerParams(num_warps=4 if size <= 64 else 8, num_stages=2),
        interpret=interpret,
    )(neighbours.keys, neighbours.near, *own, *others)
    rows = [x.reshape(heads, -1, *x.shape[3:]) for x in made]
    # Every node is in one block; the padding of the last block is dropped.
    return tuple(
        jnp.zeros(x.shape, x.dtype).at[:, queries.reshape(-1)].set(row, mode="drop")
        for x, row in zip(like, rows, strict=True)
    )


def _near_by(chunk: int, keys_ref, near_ref, visit, start):
    """The carry after `visit(carry, numbers, near)` over a block's list, `chunk` nodes at a time, from `start`."""
    union = keys_ref.shape[0]

    def some(step, carry):
        at = pl.ds(step * chunk, chunk)
        inside = step * chunk + jnp.arange(chunk) < union
        numbers = triton.load(keys_ref.at[at], mask=inside, other=0)
        near = triton.load(near_ref.at[:, at], mask=inside[None, :], other=False)
        return visit(carry, numbers, near)

    return jax.lax.fori_loop(0, math.ceil(union / chunk), some, start)


def _out_kernel(scale, near_by, keys_ref, near_ref, query_ref, key_ref, value_ref, out_ref, log_sum_ref):
    query = query_ref[...]
    block = query.shape[0]

    def visit(carry, numbers, near):
        out, top, total = carry
        scores = jnp.where(near, scale * triton.dot(query, key_ref[numbers, :], trans_b=True), -jnp.inf)
        new_top = jnp.maximum(top, scores.max(axis=-1))
        weights, shrunk = jnp.exp(scores - new_top[:, None]), jnp.exp(top - new_top)
        value = value_ref[numbers, :]
        out = out * shrunk[:, None] + triton.dot(weights.astype(value.dtype), value)
        return out, new_top, total * shrunk + weights.sum(axis=-1)

    start = jnp.zeros(query.shape, jnp.float32), jnp.full(block, _LOWEST, jnp.float32), jnp.zeros(block, jnp.float32)
    out, top, total = near_by(keys_ref, near_ref, visit, start)
    out_ref[...] = (out / total[:, None]).astype(out_ref.dtype)
    log_sum_ref[...] = top + jnp.log(total)


def _query_kernel(
    scale, near_by, keys_ref, near_ref, query_ref, gradient_ref, log_sum_ref, mean_ref, key_ref, value_ref, out_ref
):
    query, gradient, log_sum, mean = query_ref[...], gradient_ref[...], log_sum_ref[...], mean_ref[...]

    def visit(for_query, numbers, near):
        key = key_ref[numbers, :]
        scores = jnp.where(near, scale * triton.dot(query, key, trans_b=True), -jnp.inf)
        weights = jnp.exp(scores - log_sum[:, None])
        for_weights = triton.dot(gradient, value_ref[numbers, :], trans_b=True)
        for_scores = scale * weights * (for_weights - mean[:, None])
        return for_query + triton.dot(for_scores.astype(key.dtype), key)

    for_query = near_by(keys_ref, near_ref, visit, jnp.zeros(query.shape, jnp.float32))
    out_ref[...] = for_query.astype(out_ref.dtype)


def _key_kernel(
    scale, near_by, keys_ref, near_ref, key_ref, value_ref, query_ref, gradient_ref, log_sum_ref, mean_ref,
    for_key_ref, for_value_ref,
):  # fmt: skip
    """Gradients of keys and values: rows are the block's nodes as keys, columns their neighbours as queries."""
    key, value = key_ref[...], value_ref[...]

    def visit(carry, numbers, near):
        for_key, for_value = carry
        query, gradient = query_ref[numbers, :], gradient_ref[numbers, :]
        scores = jnp.where(near, scale * triton.dot(key, query, trans_b=True), -jnp.inf)
        weights = jnp.exp(scores - log_sum_ref[numbers][None, :])
        for_value = for_value + triton.dot(weights.astype(gradient.dtype), gradient)
        for_weights = triton.dot(value, gradient, trans_b=True)
        for_scores = scale * weights * (for_weights - mean_ref[numbers][None, :])
        return for_key + triton.dot(for_scores.astype(query.dtype), query), for_value

    start = jnp.zeros(key.shape, jnp.float32), jnp.zeros(value.shape, jnp.float32)
    for_key, for_value = near_by(keys_ref, near_ref, visit, start)
    for_key_ref[...] = for_key.astype(for_key_ref.dtype)
    for_value_ref[...] = for_value.astype(for_value_ref.dtype)
