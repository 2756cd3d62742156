"""Loops over tiles and over layers, and what of them the backward pass makes again."""

import jax
from jaxtyping import Float

from airmass.arrays import Array


def over_tiles(body, carry, xs, recompute: bool = False, reverse: bool = False):
    """`jax.lax.scan` over the leading axis of `xs`, without a loop where there is one tile.

    With `recompute` the backward pass makes each tile's activations again.
    """
    body = jax.checkpoint(body) if recompute else body
    if jax.tree.leaves(xs)[0].shape[0] != 1:
        return jax.lax.scan(body, carry, xs, reverse=reverse)
    carry, out = body(carry, jax.tree.map(lambda x: x[0], xs))
    return carry, jax.tree.map(lambda x: x[None], out)


def over_groups(run, carry, layers, size: int):
    """`run(carry, some layers)` over a stack of layers, `size` of them at a time; 0 runs all at once.

    The backward pass has each group's start and makes its activations again. Where `size` does not divide the stack,
    the last group is smaller.
    """
    if not size:
        return run(carry, layers)
    count = jax.tree.leaves(layers)[0].shape[0]
    whole = count // size * size
    groups = jax.tree.map(lambda leaf: leaf[:whole].reshape(-1, size, *leaf.shape[1:]), layers)
    carry, _ = jax.lax.scan(lambda carry, group: (jax.checkpoint(run)(carry, group), None), carry, groups)
    rest = jax.tree.map(lambda leaf: leaf[whole:], layers)
    return jax.checkpoint(run)(carry, rest) if whole < count else carry


def summed_over(space: str | None, x: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """The sum over the devices of an axis that share an example; `x` itself where there is no such axis."""
    return x if space is None else jax.lax.psum(x, space)
