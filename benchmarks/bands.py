"""The attention to compare with: whole bands, as the published code computes it without a TPU.

Nodes are renumbered so that neighbours lie within a band of the matrix of scores, the band is cut into blocks of its
half width, and each block attends to itself and the two beside it, masked, all at once.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import reverse_cuthill_mckee

from airmass.models.mesh.icosphere import icosphere
from airmass.models.mesh.neighbours import hop_matrix


def bands(level: int, hops: int):
    """A function of query, key and value [head, node, size], and the half width of the band."""
    mesh = icosphere(level)
    near = hop_matrix(mesh, hops)
    order = reverse_cuthill_mckee(csr_array(hop_matrix(mesh, 1)), symmetric_mode=True)
    near = near[order][:, order].tocoo()
    width = int(np.abs(near.row - near.col).max())
    blocks = -(-len(order) // width)
    mask = np.zeros((blocks, width, 3 * width), bool)
    block = near.row // width
    mask[block, near.row % width, near.col - (block - 1) * width] = True
    mask[-1, len(order) - (blocks - 1) * width :, width] = True  # filling rows attend to something
    arrays = jax.device_put((np.asarray(order), np.argsort(order), mask))
    return partial(_attend, arrays), width


@jax.jit
def _attend(arrays, query, key, value):
    order, back, mask = arrays
    heads, n, size = query.shape
    blocks, width, _ = mask.shape

    def cut(x):
        return jnp.pad(x[:, order], ((0, 0), (0, blocks * width - n), (0, 0))).reshape(heads, blocks, width, size)

    def three(x):
        padded = jnp.pad(cut(x), ((0, 0), (1, 1), (0, 0), (0, 0)))
        return jnp.concatenate([padded[:, :-2], padded[:, 1:-1], padded[:, 2:]], axis=2)

    scores = jnp.einsum("hbqs,hbks->hbqk", cut(query), three(key)) * size**-0.5
    weights = jax.nn.softmax(jnp.where(mask, scores, -jnp.inf), axis=-1)
    out = jnp.einsum("hbqk,hbks->hbqs", weights, three(value))
    return out.reshape(heads, -1, size)[:, :n][:, back]
