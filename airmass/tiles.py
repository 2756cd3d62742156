"""Graphs cut into tiles of grid nodes and of mesh edges, so that what is computed on edges never exists all at once.

A tile of about two thousand rows of 512 numbers stays in a CPU's cache: the network is faster in tiles than whole,
besides needing less memory (benchmarks/README.md).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from airmass.arrays import Array
from airmass.graph import Graphs

ROWS = 2048


class EdgeTiles(eqx.Module):
    """Edges in tiles of equal length; the last ones of a tile may be padding, which no receiver counts."""

    senders: Int[Array, "tile edge"]
    receivers: Int[Array, "tile edge"]
    kinds: Int[Array, "tile edge"]
    table: Float[Array, "kind 4"]


class Tiles(eqx.Module):
    """What a network needs of `Graphs`; every field is an array, passed to compiled code as an argument.

    Senders of `grid_to_mesh` are numbered within their tile, and a padding edge's receiver is the number of mesh
    nodes, one past the last. Each grid node's three edges of `mesh_to_grid` stand beside each other.
    """

    grid_to_mesh: EdgeTiles
    mesh: EdgeTiles
    corners: Int[Array, "tile node 3"]
    corner_kinds: Int[Array, "tile node 3"]
    corner_table: Float[Array, "kind 4"]
    grid_features: Float[Array, "tile node 3"]
    mesh_features: Float[Array, "mesh 3"]

    @property
    def count(self) -> int:
        return self.grid_features.shape[0]

    @property
    def nodes(self) -> int:
        """Grid nodes in a tile."""
        return self.grid_features.shape[1]

    def rows(
        self, field: Float[Array, "*lead grid channel"], tile: Int[Array, ""]
    ) -> Float[Array, "*lead node channel"]:
        """The nodes of one tile."""
        return jax.lax.dynamic_slice_in_dim(jnp.asarray(field), tile * self.nodes, self.nodes, axis=-2)

    @classmethod
    def of(cls, graphs: Graphs, rows: int = ROWS) -> "Tiles":
        """Tiles of about `rows` grid nodes, and of about `rows` edges along the mesh."""
        n_grid, n_mesh = len(graphs.grid_features), len(graphs.mesh_features)
        count = _divisor(n_grid, rows)
        shape = (count, n_grid // count, 3)
        corners = graphs.mesh_to_grid
        tiles = cls(
            _by_sender(graphs, count),
            _by_receiver(graphs, -(-len(graphs.mesh.senders) // rows)),
            corners.senders.reshape(shape),
            corners.kinds.reshape(shape),
            corners.table,
            graphs.grid_features.reshape(shape),
            graphs.mesh_features.reshape(n_mesh, 3),
        )
        return jax.tree.map(jnp.asarray, tiles)


def _divisor(n: int, rows: int) -> int:
    """The fewest equal tiles of at most `rows`."""
    return next(count for count in range(max(1, -(-n // rows)), n + 1) if n % count == 0)


def _by_sender(graphs: Graphs, count: int) -> EdgeTiles:
    """Each grid tile's edges to the mesh."""
    edges, nodes = graphs.grid_to_mesh, len(graphs.grid_features) // count
    order = np.lexsort((edges.receivers, edges.senders))
    tile = edges.senders[order] // nodes
    first = np.searchsorted(tile, np.arange(count))
    place = np.arange(len(tile)) - first[tile]
    longest = int(place.max()) + 1
    senders, kinds = np.zeros((2, count, longest), np.int32)
    receivers = np.full((count, longest), len(graphs.mesh_features), np.int32)
    senders[tile, place] = edges.senders[order] % nodes
    receivers[tile, place] = edges.receivers[order]
    kinds[tile, place] = edges.kinds[order]
    return EdgeTiles(senders, receivers, kinds, edges.table)


def _by_receiver(graphs: Graphs, count: int) -> EdgeTiles:
    edges = graphs.mesh
    short = -len(edges.senders) % count

    def cut(values: np.ndarray, padding: int) -> np.ndarray:
        return np.concatenate([values, np.full(short, padding, np.int32)]).reshape(count, -1)

    receivers = cut(edges.receivers, len(graphs.mesh_features))
    return EdgeTiles(cut(edges.senders, 0), receivers, cut(edges.kinds, 0), edges.table)
