"""Numbers of nodes and edges of a grid and a mesh from their sizes, and the memory and flops of models on them."""

from dataclasses import dataclass
from typing import Protocol

from airmass.models.footprint import Work
from airmass.models.mesh.neighbours import BLOCK
from airmass.models.mesh.tiles import ROWS

# Grid-to-mesh edges per grid node at radius fraction 0.6, from 1.56 to 1.62 on grids finer than 5 degrees.
_ENCODER_EDGES = 1.6
# Fraction of the mesh's edges that differ by more than a rotation by a third of a turn and a reflection.
_MESH_KINDS = 0.27
# Rows of the network's width that encoder and decoder save for the backward pass: per grid node, per each of its three
# edges from the mesh and per each of its edges to the mesh.
_BY_NODE, _BY_CORNER, _BY_ENCODER_EDGE = 30, 7, 7
# The same per kind of edge (edges with equal features have equal embeddings and first maps): shared by all examples,
# plus a gradient for each example. The rest of the embedding is recomputed tile by tile.
_BY_KIND = 3
# Rows per mesh node outside the steps: geometry, and for each example the gradients that tiles add to.
_MESH_SHARED, _MESH_ROWS = 10, 25
# Of a block of the transformer, by mesh node: rows as wide as the network, and as wide as its inner layer.
_BLOCK_ROWS, _BLOCK_INNER = 13, 6


class MeshSettings(Protocol):
    """The settings of a model on grid and mesh that counts depend on."""

    @property
    def mesh_level(self) -> int: ...

    @property
    def radius_fraction(self) -> float: ...

    @property
    def width(self) -> int: ...

    @property
    def recompute(self) -> int: ...


class TransformerSettings(MeshSettings, Protocol):
    """The settings of a model with local attention on its mesh."""

    @property
    def layers(self) -> int: ...

    @property
    def heads(self) -> int: ...

    @property
    def hops(self) -> int: ...

    @property
    def feedforward(self) -> int: ...


@dataclass(frozen=True)
class Counts:
    """Numbers of nodes, edges and kinds of edges of a network."""

    grid: int
    mesh: int
    encoder_edges: float
    mesh_edges: int
    encoder_kinds: float
    mesh_kinds: float
    decoder_kinds: float
    tile_edges: int

    @classmethod
    def of(cls, settings: MeshSettings, shape: tuple[int, int], finest_only: bool = False) -> "Counts":
        """Counts from sizes alone. Mesh edges are those of all levels, or with `finest_only` of the finest."""
        grid = shape[0] * shape[1]
        encoder_edges = _ENCODER_EDGES * (settings.radius_fraction / 0.6) ** 2 * grid
        # A grid whose columns divide by three is invariant under a third of a turn, as the mesh is.
        distinct = 1 / 3 if shape[1] % 3 == 0 else 1.0
        finest = 60 * 4**settings.mesh_level
        mesh_edges = finest if finest_only else 20 * (4 ** (settings.mesh_level + 1) - 1)
        return cls(
            grid,
            10 * 4**settings.mesh_level + 2,
            encoder_edges,
            mesh_edges,
            distinct * encoder_edges,
            _MESH_KINDS * mesh_edges,
            distinct * 3 * grid,
            3 * min(ROWS, grid),
        )


def table_bytes(n: Counts) -> float:
    """Bytes of the edges' indices and features."""
    return 12 * (n.encoder_edges + n.mesh_edges) + 36 * n.grid + 16 * (n.encoder_kinds + n.decoder_kinds)


def encoder_and_decoder(n: Counts, width: int, hidden: int, targets: int) -> float:
    """Multiplications of encoder and decoder, without the first map of grid nodes."""
    grid = hidden + 1 + (1 + hidden)  # embed, as senders, update without messages
    grid += 1 + 3 * hidden + 2 + hidden + hidden  # as receivers, messages of three edges, update, output
    edges, mesh = hidden * n.encoder_edges, (2 + hidden + 1) * n.mesh
    return (n.grid * grid + edges + mesh) * width**2 + n.grid * width * targets


@dataclass(frozen=True)
class MeshWork:
    """Memory of the backward pass on grid and mesh, with `latents` rows per grid node between encoder and decoder."""

    n: Counts
    settings: MeshSettings
    work: Work
    latents: int
    edges_have_kinds: bool

    @property
    def wide(self) -> int:
        """Bytes of one row in float32; some rows are float32 at every precision."""
        return 4 * self.settings.width

    @property
    def row(self) -> int:
        """Bytes of one row."""
        return (self.work.size if self.work.accelerator else 4) * self.settings.width

    def of_edges(self, arrays: int) -> float:
        """Bytes per edge of `arrays` arrays that a step saves."""
        in_both = self.work.size == 2 and not self.work.accelerator
        return (4 * arrays + 2 if in_both else self.work.size * arrays) * self.settings.width

    def on_grid(self, nodes: float) -> float:
        """Bytes that encoder and decoder save for some grid nodes and all of their edges."""
        edges = self.n.encoder_edges / self.n.grid
        return self.row * nodes * (_BY_NODE + 3 * _BY_CORNER + edges * _BY_ENCODER_EDGE)

    @property
    def tile(self) -> float:
        """Bytes of a tile of the decoder, which are more than the encoder's; of both if one tile is the whole grid."""
        nodes = self.work.nodes
        if nodes <= ROWS:
            return self.on_grid(nodes)
        return self.row * nodes / -(-nodes // ROWS) * (_BY_NODE / 2 + 3 * _BY_CORNER)

    @property
    def shared(self) -> dict[str, float]:
        """Bytes by part: encoder and decoder, and embeddings of mesh nodes and edges."""
        n, work = self.n, self.work
        grid = self.row * self.latents * work.nodes if self.settings.recompute else self.on_grid(work.nodes)
        on_mesh = n.mesh_kinds if self.edges_have_kinds else 0
        # In bfloat16 half of the rows by kind are float32 nevertheless.
        by_kind = (4 + work.size) / 2 * self.settings.width * (_BY_KIND + work.together)
        return {
            "activations on the grid": work.together * work.copies * grid,
            "kinds of edges": by_kind * (n.decoder_kinds + n.encoder_kinds + on_mesh),
            "mesh nodes and their gradients": self.wide * n.mesh * (_MESH_SHARED + work.together * _MESH_ROWS),
        }


def attended(settings: TransformerSettings, mesh: int) -> int:
    """Nodes that some node of a block attends to: those within a few more hops of one node, six neighbours each."""
    reach = settings.hops + 5
    return min(mesh, 3 * reach * (reach + 1) + 1)


def attention(settings: TransformerSettings, mesh: int) -> tuple[int, float]:
    """Bytes of the masks, and flops of all layers' products of queries with keys and of weights with values."""
    pairs = -(-mesh // BLOCK) * BLOCK * attended(settings, mesh)
    return pairs, 4.0 * settings.layers * pairs * settings.width


def transformer_activations(settings: TransformerSettings, n: Counts, work: Work, latents: int) -> dict[str, float]:
    """Bytes by part of the backward pass of an encoder, a transformer and a decoder; each device has all blocks."""
    on_mesh, every = MeshWork(n, settings, work, latents, False), settings.recompute
    inner = _BLOCK_INNER * settings.feedforward / settings.width
    block = on_mesh.row * n.mesh * (_BLOCK_ROWS + inner)
    starts = -(-settings.layers // every) * on_mesh.wide * n.mesh if every else 0
    return on_mesh.shared | {
        "attention masks": attention(settings, n.mesh)[0],
        "activations of the transformer": work.together * (starts if every else settings.layers * block),
        "blocks or a tile gone back through": work.together * max(every * block, on_mesh.tile) if every else 0,
    }
