"""Neighbourhoods for local attention: mesh nodes within some hops, in blocks of nodes that are close together."""

from collections.abc import Callable

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Bool, Int
from scipy.sparse import csr_array

from airmass.core.types import Array
from airmass.models.mesh.icosphere import Mesh, bisected

# Larger blocks gather more keys that only some of their nodes attend to; smaller ones have smaller products.
BLOCK = 64


class Neighbours(eqx.Module):
    """Queries in blocks, and for each block the union of its nodes' neighbours.

    `queries` and `keys` are indices of mesh nodes; `near[b, q, k]` is True if query q of block b attends to its key k.
    Short blocks and short unions are padded: a padding query is the number of nodes, one past the last; a padding key
    is an arbitrary node that no query is near. The relation is symmetric. `by` is the implementation of attention, a
    function like `nn.attention.attend`; None is plain JAX.
    """

    queries: Int[Array, "block query"]
    keys: Int[Array, "block key"]
    near: Bool[Array, "block query key"]
    by: Callable | None = eqx.field(static=True, default=None)

    @classmethod
    def within(cls, mesh: Mesh, hops: int, block: int = BLOCK) -> "Neighbours":
        """Neighbours at most `hops` edges apart on the mesh's finest level, including the node itself."""
        n = len(mesh.vertices)
        reach = hop_matrix(mesh, hops)
        blocks = np.split(bisected(mesh.vertices, block), range(block, n, block))
        unions = [np.unique(reach[nodes].indices) for nodes in blocks]
        longest = max(len(union) for union in unions)
        queries = np.full((len(blocks), block), n, np.int32)
        keys = np.zeros((len(blocks), longest), np.int32)
        near = np.zeros((len(blocks), block, longest), bool)
        for number, (nodes, union) in enumerate(zip(blocks, unions, strict=True)):
            queries[number, : len(nodes)] = nodes
            keys[number, : len(union)] = union
            near[number, : len(nodes), : len(union)] = reach[nodes][:, union].toarray()
        # A padding query attends to one key, or its softmax would divide by zero.
        near[..., 0] |= ~near.any(axis=-1)
        return jax.device_put(cls(queries, keys, near))


def hop_matrix(mesh: Mesh, hops: int) -> csr_array:
    """Boolean sparse matrix [node, node] of pairs at most `hops` edges apart."""
    n = len(mesh.vertices)
    senders, receivers = mesh.edges.T
    step = csr_array((np.ones(len(senders), bool), (receivers, senders)), shape=(n, n))
    step = csr_array(step + csr_array((np.ones(n, bool), (np.arange(n), np.arange(n))), shape=(n, n)))
    reach = step
    for _ in range(hops - 1):
        reach = reach @ step
    return csr_array(reach)
