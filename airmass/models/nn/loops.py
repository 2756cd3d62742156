"""Loops over tiles and over layers, and what of them the backward pass makes again."""

from functools import reduce

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Float

from airmass.core.types import Array

_KEPT = "kept"


def saved_for_backward(x: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """A value that is small beside what it takes to make it again."""
    return checkpoint_name(x, _KEPT)


def over_tiles(body, carry, xs, recompute: bool = False, reverse: bool = False):
    """`jax.lax.scan` over the leading axis of `xs`, without a loop where there is one tile.

    With `recompute` the backward pass makes each tile's activations again, all but what is `saved_for_backward`.
    """
    policy = jax.checkpoint_policies.save_only_these_names(_KEPT)
    body = jax.checkpoint(body, policy=policy) if recompute else body
    if jax.tree.leaves(xs)[0].shape[0] != 1:
        return jax.lax.scan(body, carry, xs, reverse=reverse)
    carry, out = body(carry, jax.tree.map(lambda x: x[0], xs))
    return carry, jax.tree.map(lambda x: x[None], out)


def at_place(array: Float[Array, "*n"], *place) -> Float[Array, "*rest"]:
    """`array[place]` for numbers that are in range.

    In a loop that changes the array where it is, indexing would copy the rows twice, and what guards against numbers
    out of range a third time.
    """
    rows, start, count = _as_rows(array, place)
    return jax.lax.dynamic_slice_in_dim(rows, start, count)


def with_place(array: Float[Array, "*n"], value: Float[Array, "*rest"], *place) -> Float[Array, "*n"]:
    """`array` with `value` at a place as in `at_place`."""
    rows, start, _ = _as_rows(array, place)
    return jax.lax.dynamic_update_slice_in_dim(rows, value, start, 0).reshape(array.shape)


def _as_rows(array, place):
    """The array as rows, and where and how many of them are `array[place]`."""
    lead, (count, *rest) = array.shape[: len(place)], array.shape[len(place) :]
    number = reduce(lambda number, pair: number * pair[0] + pair[1], zip(lead, place, strict=True), 0)
    return array.reshape(-1, *rest), number * count, count


def over_rows(run, rows: Float[Array, "row in"], most: int) -> Float[Array, "padded out"]:
    """`run(rows)` that works row by row, at most so many at a time; up to a tile less one of no meaning follow.

    The backward pass has the rows alone, and makes the rest of each tile again when its gradient has come: of what a
    `jax.checkpoint` without a loop makes again, XLA on a CPU makes all at the start.
    """
    tiles = -(-len(rows) // most)
    padded = jnp.pad(rows, ((0, -len(rows) % tiles), (0, 0)))
    _, out = over_tiles(lambda _, tile: (None, run(tile)), None, padded.reshape(tiles, -1, rows.shape[-1]), True)
    return out.reshape(-1, out.shape[-1])


def over_groups(run, carry, layers, size: int):
    """`run(carry, some layers)` over a stack, `size` layers at a time; 0 runs all at once. None change nothing.

    The backward pass has each group's start and makes its activations again. Where `size` does not divide the stack,
    the last group is smaller.
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
    """The sum over the devices of an axis that share an example; `x` itself where there is no such axis."""
    return x if space is None else jax.lax.psum(x, space)
