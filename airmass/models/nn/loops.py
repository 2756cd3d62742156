"""Loops over tiles and over layers, with recomputation in the backward pass (checkpointing)."""

from functools import reduce

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Float

from airmass.core.types import Array

_KEPT = "kept"


def saved_for_backward(x: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """`x`, marked as saved where a loop recomputes its activations: small, but expensive to recompute."""
    return checkpoint_name(x, _KEPT)


def over_tiles(body, carry, xs, recompute: bool = False, reverse: bool = False):
    """`jax.lax.scan` over the leading axis of `xs`, without a loop for a single tile.

    With `recompute` the backward pass recomputes each tile's activations, except those `saved_for_backward`.
    """
    policy = jax.checkpoint_policies.save_only_these_names(_KEPT)
    body = jax.checkpoint(body, policy=policy) if recompute else body
    if jax.tree.leaves(xs)[0].shape[0] != 1:
        return jax.lax.scan(body, carry, xs, reverse=reverse)
    carry, out = body(carry, jax.tree.map(lambda x: x[0], xs))
    return carry, jax.tree.map(lambda x: x[None], out)


def at_place(array: Float[Array, "*n"], *place) -> Float[Array, "*rest"]:
    """`array[place]` for indices in range.

    In a loop that updates the array in place, indexing would copy the rows twice, and its guard against indices out of
    range a third time.
    """
    rows, start, count = _as_rows(array, place)
    return jax.lax.dynamic_slice_in_dim(rows, start, count)


def with_place(array: Float[Array, "*n"], value: Float[Array, "*rest"], *place) -> Float[Array, "*n"]:
    """`array` with `value` at `place`, for indices in range."""
    rows, start, _ = _as_rows(array, place)
    return jax.lax.dynamic_update_slice_in_dim(rows, value, start, 0).reshape(array.shape)


def _as_rows(array, place):
    """The array as rows, with the first row and the number of rows of `array[place]`."""
    lead, (count, *rest) = array.shape[: len(place)], array.shape[len(place) :]
    number = reduce(lambda number, pair: number * pair[0] + pair[1], zip(lead, place, strict=True), 0)
    return array.reshape(-1, *rest), number * count, count


def over_rows(run, rows: Float[Array, "row in"], most: int) -> Float[Array, "padded out"]:
    """`run(rows)` for a function of single rows, in tiles of at most `most` rows; the result ends in padding rows.

    The backward pass saves the rows alone, and recomputes each tile when it needs it. With `jax.checkpoint` without a
    loop, XLA on a CPU would recompute all tiles at the start.
    """
    tiles = -(-len(rows) // most)
    padded = jnp.pad(rows, ((0, -len(rows) % tiles), (0, 0)))
    _, out = over_tiles(lambda _, tile: (None, run(tile)), None, padded.reshape(tiles, -1, rows.shape[-1]), True)
    return out.reshape(-1, out.shape[-1])


def over_groups(run, carry, layers, size: int):
    """The carry after `run(carry, layers)` over a stack, `size` layers at a time; 0 runs all at once.

    The backward pass saves the start of each group and recomputes its activations. If `size` does not divide the stack,
    the last group is smaller. An empty stack returns the carry.
    """
    count = jax.tree.leaves(layers)[0].shape[0]
    if not count:
        return carry
    if not size:
        return run(carry, layers)
    whole = count // size * size
    groups = jax.tree.map(lambda leaf: leaf[:whole].reshape(-1, size, *leaf.shape[1:]), layers)
    carry, _ = jax.lax.scan(lambda carry, group: (jax.checkpoint(run)(carry, group), None), carry, groups)
    rest = jax.tree.map(lambda leaf: leaf[whole:], layers)
    return jax.checkpoint(run)(carry, rest) if whole < count else carry


def summed_over(space: str | None, x: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """The sum of `x` over the devices of the axis `space`; `x` itself for None."""
    return x if space is None else jax.lax.psum(x, space)
