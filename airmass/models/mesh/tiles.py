"""Graphs split into tiles of grid nodes and of mesh edges, so that values on all edges never exist at the same time.

A tile of about two thousand rows of width 512 fits into a CPU's cache: besides needing less memory, the network is
faster in tiles than without (benchmarks/README.md).
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec
from jaxtyping import Float, Int

from airmass.core.errors import InputError
from airmass.core.types import Array
from airmass.models.mesh.graph import EdgeSet, Graphs
from airmass.models.mesh.icosphere import bisected

ROWS = 2048
# Mesh edges are in groups of this many with one receiver, as many as a node has on one level of the multi-mesh (five at
# the twelve corners of the icosahedron): a receiver's values are gathered once a group.
SHARED = 6
# Mesh nodes are renumbered in compact patches of this many.
_NEAR = 64


class EdgeTiles(eqx.Module):
    """Edges in tiles of equal length, with padding that no receiver counts."""

    senders: Int[Array, "tile edge"]
    receivers: Int[Array, "tile edge"]
    kinds: Int[Array, "tile edge"]
    table: Float[Array, "kind 4"]


class Tiles(eqx.Module):
    """`Graphs` in tiles, as a network reads them; every field is an array, passed to compiled code as an argument.

    Senders of `grid_to_mesh` are numbered within their tile, and a padding edge's receiver is the number of mesh
    nodes, one past the last. Edges of `mesh` are in groups of `SHARED` with one receiver. The three edges of each grid
    node in `mesh_to_grid` are adjacent. `space` names the axis of devices that share the tiles, inside `jax.shard_map`
    along it: a device has some tiles (a range of grid nodes and some edges of the mesh) and all mesh nodes.
    """

    grid_to_mesh: EdgeTiles
    mesh: EdgeTiles
    corners: Int[Array, "tile node 3"]
    corner_kinds: Int[Array, "tile node 3"]
    corner_table: Float[Array, "kind 4"]
    grid_features: Float[Array, "tile node 3"]
    mesh_features: Float[Array, "mesh 3"]
    space: str | None = eqx.field(static=True, default=None)

    @property
    def count(self) -> int:
        return self.grid_features.shape[0]

    @property
    def nodes(self) -> int:
        """Grid nodes in a tile."""
        return self.grid_features.shape[1]

    def rows(
        self, field: Float[Array, "*lead grid channel"], tile: Int[Array, ""] | int
    ) -> Float[Array, "*lead node channel"]:
        """The rows of `field` at the nodes of one tile."""
        return jax.lax.dynamic_slice_in_dim(jnp.asarray(field), tile * self.nodes, self.nodes, axis=-2)

    def specs(self) -> "Tiles":
        """Partition specs of the arrays on a mesh of devices: tiles along `space`, the rest on every device."""
        along: Any = PartitionSpec(self.space)
        everywhere: Any = PartitionSpec()
        edges = EdgeTiles(along, along, along, everywhere)
        return Tiles(edges, edges, along, along, everywhere, along, everywhere, self.space)

    @classmethod
    def of(
        cls, graphs: Graphs, rows: int = ROWS, renumber: bool = False, parts: int = 1, space: str | None = None
    ) -> "Tiles":
        """Tiles of about `rows` grid nodes, and of about `rows` mesh edges; their number is a multiple of `parts`.

        Raises InputError where `parts` does not divide the grid's nodes. With `renumber`, mesh nodes are in an order in
        which neighbours are close in memory too, which made the steps of the multi-mesh 5 % faster.
        """
        graphs = _renumbered(graphs) if renumber else graphs
        n_grid, n_mesh = len(graphs.grid_features), len(graphs.mesh_features)
        if n_grid % parts:
            raise InputError(f"devices: {parts} share an example, expected a divisor of its {n_grid} grid nodes")
        count = parts * _divisor(n_grid // parts, rows)
        shape = (count, n_grid // count, 3)
        corners = graphs.mesh_to_grid
        tiles = cls(
            _by_sender(graphs, count),
            _by_receiver(graphs, rows, parts),
            corners.senders.reshape(shape),
            corners.kinds.reshape(shape),
            corners.table,
            graphs.grid_features.reshape(shape),
            graphs.mesh_features.reshape(n_mesh, 3),
            space,
        )
        return jax.device_put(tiles)


def _renumbered(graphs: Graphs) -> Graphs:
    z, cos, sin = np.asarray(graphs.mesh_features, np.float64).T
    across = np.sqrt(np.maximum(0, 1 - z**2))
    order = bisected(np.stack([across * cos, across * sin, z], axis=-1), _NEAR)
    number = np.argsort(order)
    to_mesh, mesh, to_grid = graphs.grid_to_mesh, graphs.mesh, graphs.mesh_to_grid
    return Graphs(
        _in_order(to_mesh, np.asarray(to_mesh.senders), number[to_mesh.receivers]),
        _in_order(mesh, number[mesh.senders], number[mesh.receivers]),
        EdgeSet(number[to_grid.senders], to_grid.receivers, to_grid.kinds, to_grid.table),
        graphs.grid_features,
        graphs.mesh_features[order],
    )


def _in_order(edges: EdgeSet, senders: np.ndarray, receivers: np.ndarray) -> EdgeSet:
    order = np.lexsort((senders, receivers))
    return EdgeSet(senders[order], receivers[order], edges.kinds[order], edges.table)


def _divisor(n: int, rows: int) -> int:
    """The smallest number of equal tiles of at most `rows`."""
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


def _by_receiver(graphs: Graphs, rows: int, parts: int) -> EdgeTiles:
    """The mesh's edges in groups of `SHARED` with one receiver, padded where a receiver's edges do not divide."""
    edges, n_mesh = graphs.mesh, len(graphs.mesh_features)
    receivers = np.asarray(edges.receivers)
    degrees = np.bincount(receivers, minlength=n_mesh)
    groups = -(-degrees // SHARED)
    first_edge, first_group = np.cumsum(degrees) - degrees, np.cumsum(groups) - groups
    slot = first_group[receivers] * SHARED + np.arange(len(receivers)) - first_edge[receivers]
    count = parts * -(-int(groups.sum()) * SHARED // (rows * parts))
    size = -(-int(groups.sum()) // count) * SHARED

    def lay(values, padding: int) -> np.ndarray:
        laid = np.full(count * size, padding, np.int32)
        laid[slot] = values
        return laid.reshape(count, size)

    return EdgeTiles(lay(edges.senders, 0), lay(receivers, n_mesh), lay(edges.kinds, 0), edges.table)
