"""The encoder from grid to mesh and the decoder back, shared by GraphCast and GenCast.

Both run over tiles of grid nodes. Values that depend on parameters and geometry alone are computed once for many steps
(`embedded`), those that depend on a condition too once for each condition (`precomputed`).
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, Int, PRNGKeyArray

from airmass.core.types import Array
from airmass.models.mesh.tiles import ROWS, Tiles
from airmass.models.nn.interaction import Interaction, add_at_receivers, at_receivers, fused_matmul
from airmass.models.nn.loops import over_rows, over_tiles, summed_over
from airmass.models.nn.mlp import MLP, Condition
from airmass.models.nn.product import product
from airmass.models.nn.summed import LinearAfterSum, arriving_at

# A function from a tile's number to the output of the first linear map on its grid nodes.
FirstMap = Callable[[Int[Array, ""]], Float[Array, "node hidden"]]


class EncoderEmbedded(eqx.Module):
    """Embeddings of edges and mesh nodes, before the scale and offset of their norms."""

    edges: Float[Array, "kind width"]
    mesh: Float[Array, "mesh width"]
    messages: LinearAfterSum


class EncoderPrecomputed(eqx.Module):
    """Inputs of the step to the mesh other than the grid: first maps of edges and mesh nodes, and the mesh nodes."""

    on_edges: Float[Array, "kind hidden"]
    on_receivers: Float[Array, "mesh hidden"] | None  # None where messages do not read them
    mapped: Float[Array, "mesh hidden"]
    mesh: Float[Array, "mesh width"]
    messages: LinearAfterSum


class DecoderEmbedded(eqx.Module):
    """Embeddings of edges, before the scale and offset of their norm."""

    edges: Float[Array, "kind width"]
    messages: LinearAfterSum


class DecoderPrecomputed(eqx.Module):
    """The edges' part of the first map of messages to the grid."""

    on_edges: Float[Array, "kind hidden"]
    messages: LinearAfterSum


def embedded_rows(embedder: MLP, features: Float[Array, "row feature"]) -> Float[Array, "padded width"]:
    """Embeddings before the scale and offset of their norm. The result ends in padding rows."""
    return over_rows(lambda rows: embedder.normed(embedder.layers[0](rows)), features, ROWS)


class Encoder(eqx.Module):
    """The encoder: embeddings of grid nodes, mesh nodes and edges, then one interaction step from grid to mesh."""

    embed_grid: MLP
    embed_mesh: MLP
    embed_edges: MLP
    interaction: Interaction
    grid_update: MLP

    def __init__(
        self,
        channels: int,
        width: int,
        hidden_layers: int,
        *,
        key: PRNGKeyArray,
        size_condition: int = 0,
        mesh_channels: int | None = None,
        edge_width: int | None = None,
        reads_receivers: bool = True,
        divisor: float = 1.0,
    ):
        keys = iter(jax.random.split(key, 5))
        tail, edge_tail = [width] * (hidden_layers + 1), [edge_width or width] * (hidden_layers + 1)
        of_mesh = channels if mesh_channels is None else mesh_channels
        self.embed_grid = MLP([channels + 3, *tail], key=next(keys), size_condition=size_condition)
        self.embed_mesh = MLP([of_mesh + 3, *tail], key=next(keys), size_condition=size_condition)
        self.embed_edges = MLP([4, *edge_tail], key=next(keys), size_condition=size_condition)
        self.interaction = Interaction(
            width, hidden_layers, key=next(keys), size_condition=size_condition, edge_width=edge_width,
            reads_receivers=reads_receivers, divisor=divisor,
        )  # fmt: skip
        self.grid_update = MLP([width, *tail], key=next(keys), size_condition=size_condition)

    def embedded(self, tiles: Tiles) -> EncoderEmbedded:
        edges = embedded_rows(self.embed_edges, tiles.grid_to_mesh.table)
        count = arriving_at(tiles.grid_to_mesh, len(tiles.mesh_features), tiles.space)
        return EncoderEmbedded(edges, self.embedded_mesh(tiles), LinearAfterSum(self.interaction, count))

    def embedded_mesh(
        self, tiles: Tiles, channels: Float[Array, " channel"] | None = None
    ) -> Float[Array, "mesh width"]:
        """Mesh nodes up to the scale of their norm, from channels that all of them share.

        Without any, all channels are zero, so only the rows of the three geometric features matter.
        """
        first = self.embed_mesh.layers[0]
        shared = first.bias if channels is None else channels @ first.weight[:-3] + first.bias
        return self.embed_mesh.normed(tiles.mesh_features @ first.weight[-3:] + shared)

    def precomputed(self, embedded: EncoderEmbedded, condition: Condition = None) -> EncoderPrecomputed:
        mesh = self.embed_mesh.rescale(embedded.mesh, condition)
        on_edges = self.interaction.on_embedded(embedded.edges, self.embed_edges, condition)
        if self.interaction.reads_receivers:
            on_receivers, mapped = fused_matmul(mesh, self.interaction.for_receivers, self.interaction.for_updates)
        else:
            on_receivers, mapped = None, product(mesh, self.interaction.for_updates)
        return EncoderPrecomputed(on_edges, on_receivers, mapped, mesh, embedded.messages)

    def __call__(
        self,
        tiles: Tiles,
        precomputed: EncoderPrecomputed,
        first: FirstMap,
        condition: Condition = None,
        recompute: bool = False,
    ) -> tuple[Float[Array, "tile node width"], Float[Array, "mesh width"]]:
        """Grid nodes by tile and mesh nodes after the step. Messages are summed in float32."""
        edges, update = tiles.grid_to_mesh, self.grid_update.layers[0]

        def tile(total, number_and_edges):
            number, senders, receivers, kinds = number_and_edges
            grid = self.embed_grid.rest(first(number), condition)
            on_senders, mapped = fused_matmul(grid, self.interaction.for_senders, update.weight)
            hidden = precomputed.on_edges[kinds] + on_senders[senders]
            if precomputed.on_receivers is not None:
                hidden = hidden + at_receivers(precomputed.on_receivers, receivers)
            parts = precomputed.messages.parts(hidden)
            total = tuple(add_at_receivers(*summed, receivers) for summed in zip(total, parts, strict=True))
            return total, grid + self.grid_update.rest(mapped + update.bias, condition)

        numbered = jnp.arange(tiles.count), edges.senders, edges.receivers, edges.kinds
        start = precomputed.messages.start(len(precomputed.mesh))
        total, grid = over_tiles(tile, start, numbered, recompute)
        sums = tuple(summed_over(tiles.space, part) for part in total)
        hidden = precomputed.mapped + precomputed.messages.arriving(self.interaction, condition)(sums)
        return grid, self.interaction.updated(precomputed.mesh, hidden, condition)


class Decoder(eqx.Module):
    """The decoder: embeddings of edges, one interaction step from mesh to grid, then outputs on grid nodes."""

    embed_edges: MLP
    interaction: Interaction
    mesh_update: MLP  # in published checkpoints, but without use: nothing reads its output
    output: MLP

    def __init__(
        self,
        outputs: int,
        width: int,
        hidden_layers: int,
        *,
        key: PRNGKeyArray,
        size_condition: int = 0,
        edge_width: int | None = None,
    ):
        keys = iter(jax.random.split(key, 4))
        tail, edge_tail = [width] * (hidden_layers + 1), [edge_width or width] * (hidden_layers + 1)
        self.embed_edges = MLP([4, *edge_tail], key=next(keys), size_condition=size_condition)
        self.interaction = Interaction(
            width, hidden_layers, key=next(keys), size_condition=size_condition, edge_width=edge_width
        )
        self.mesh_update = MLP([width, *tail], key=next(keys), size_condition=size_condition)
        self.output = MLP([*tail, outputs], key=next(keys), norm=False)

    def embedded(self, tiles: Tiles) -> DecoderEmbedded:
        messages = LinearAfterSum(self.interaction, jnp.full((1, 1), 3.0))
        return DecoderEmbedded(embedded_rows(self.embed_edges, tiles.corner_table), messages)

    def precomputed(self, embedded: DecoderEmbedded, condition: Condition = None) -> DecoderPrecomputed:
        return DecoderPrecomputed(
            self.interaction.on_embedded(embedded.edges, self.embed_edges, condition), embedded.messages
        )

    def __call__(
        self,
        tiles: Tiles,
        precomputed: DecoderPrecomputed,
        grid: Float[Array, "tile node width"],
        mesh: Float[Array, "mesh width"],
        condition: Condition = None,
        recompute: bool = False,
    ) -> Float[Array, "grid output"]:
        on_mesh = mesh.astype(grid.dtype) @ self.interaction.for_senders
        arriving = precomputed.messages.arriving(self.interaction, condition)

        def tile(carry, nodes):
            grid, corners, kinds = nodes
            on_grid, mapped = fused_matmul(grid, self.interaction.for_receivers, self.interaction.for_updates)
            # A grid node has three adjacent edges: their sum needs no scatter. They are kept as rows, since for the
            # gradient of a weight applied to [node, 3, width] XLA would copy and transpose the whole array.
            hidden = (
                precomputed.on_edges[kinds.reshape(-1)] + on_mesh[corners.reshape(-1)] + jnp.repeat(on_grid, 3, axis=0)
            )
            parts = precomputed.messages.parts(hidden)
            sums = tuple(part.reshape(-1, 3, part.shape[-1]).sum(axis=1) for part in parts)
            return carry, self.output(self.interaction.updated(grid, mapped + arriving(sums), condition))

        _, out = over_tiles(tile, None, (grid, tiles.corners, tiles.corner_kinds), recompute)
        return out.reshape(-1, out.shape[-1])
