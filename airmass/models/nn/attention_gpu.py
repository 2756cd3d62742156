"""Local attention for GPUs: equal to `attention.attend_plainly` up to rounding."""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Float

from airmass.core.types import Array
from airmass.models.mesh.neighbours import Neighbours

# Lists of keys are padded to a multiple of this: cuDNN's gradient needs an even number.
_MULTIPLE = 64


def attend_by_pallas(query: Array, key: Array, value: Array, neighbours: Neighbours, chunk: int = 64) -> Array:
    """Attention by the Pallas kernels of `attention_kernel`, imported here; they read `chunk` keys at a time."""
    from airmass.models.nn.attention_kernel import attend_by_kernel

    return attend_by_kernel(query, key, value, neighbours, chunk)


def attend_by_cudnn(
    query: Float[Array, "head node size"],
    key: Float[Array, "head node size"],
    value: Float[Array, "head node size"],
    neighbours: Neighbours,
    implementation: Literal["cudnn", "xla"] = "cudnn",
) -> Float[Array, "head node size"]:
    """Attention by cuDNN, or another `implementation` of JAX's own, over each block's list of keys.

    Keys that are not neighbours get a score so low that their weight is zero. cuDNN raises NotImplementedError in
    float32.
    """
    filling = -neighbours.keys.shape[1] % _MULTIPLE
    keys = jnp.pad(neighbours.keys, ((0, 0), (0, filling)))
    near = jnp.pad(neighbours.near, ((0, 0), (0, 0), (0, filling)))
    rows = jnp.asarray(query).at[:, neighbours.queries].get(mode="fill", fill_value=0)
    # Many blocks add to a key's gradient, so it is summed in float32 at every precision.
    columns = [x.astype(jnp.float32)[:, keys].astype(x.dtype) for x in (key, value)]
    q, k, v = (jnp.moveaxis(x, 0, 2) for x in (rows, *columns))
    out = jax.nn.dot_product_attention(q, k, v, mask=near[:, None], implementation=implementation)
    in_rows = jnp.moveaxis(out, 2, 0).reshape(len(query), -1, query.shape[-1])
    return jnp.zeros_like(query).at[:, neighbours.queries.reshape(-1)].set(in_rows, mode="drop")
