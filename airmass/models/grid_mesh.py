"""From the grid to the mesh and back: the encoder and the decoder that GraphCast and GenCast share.

Both run over tiles of grid nodes. What depends on parameters and geometry alone, or on those and a condition, is made
beforehand: `embedded` once for many steps, `seen` once for a condition.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, Int, PRNGKeyArray

from airmass.arrays import Array
from airmass.nn.interaction import Interaction, add_at_receivers, at_receivers, together
from airmass.nn.loops import over_tiles, summed_over
from airmass.nn.mlp import MLP, Condition
from airmass.tiles import Tiles

# The first linear map's value on the grid nodes of a tile, given its number.
FirstMap = Callable[[Int[Array, ""]], Float[Array, "node hidden"]]


class EncoderEmbedded(eqx.Module):
    """Embeddings of edges and mesh nodes up to the scale of their norm."""

    edges: Float[Array, "kind width"]
    mesh: Float[Array, "mesh width"]


class EncoderSeen(eqx.Module):
    """What the step to the mesh is made of besides the grid: first maps of edges and mesh nodes, and these nodes."""

    on_edges: Float[Array, "kind hidden"]
    on_receivers: Float[Array, "mesh hidden"]
    mapped: Float[Array, "mesh hidden"]
    mesh: Float[Array, "mesh width"]


class Encoder(eqx.Module):
    """Embeds grid nodes, mesh nodes and edges, then one interaction step from the grid to the mesh."""

    embed_grid: MLP
    embed_mesh: MLP
    embed_edges: MLP
    interaction: Interaction
    grid_update: MLP

    def __init__(self, channels: int, width: int, hidden_layers: int, *, key: PRNGKeyArray, size_condition: int = 0):
        keys = iter(jax.random.split(key, 5))
        tail = [width] * (hidden_layers + 1)
        self.embed_grid = MLP([channels + 3, *tail], key=next(keys), size_condition=size_condition)
        self.embed_mesh = MLP([channels + 3, *tail], key=next(keys), size_condition=size_condition)
        self.embed_edges = MLP([4, *tail], key=next(keys), size_condition=size_condition)
        self.interaction = Interaction(width, hidden_layers, key=next(keys), size_condition=size_condition)
        self.grid_update = MLP([width, *tail], key=next(keys), size_condition=size_condition)

    def embedded(self, tiles: Tiles) -> EncoderEmbedded:
        # Mesh nodes carry no weather: zeros in every channel, so only the rows of their three features matter.
        first = self.embed_mesh.layers[0]
        mesh = self.embed_mesh.normed(tiles.mesh_features @ first.weight[-3:] + first.bias)
        return EncoderEmbedded(self.embed_edges.normed(self.embed_edges.layers[0](tiles.grid_to_mesh.table)), mesh)

    def seen(self, embedded: EncoderEmbedded, condition: Condition = None) -> EncoderSeen:
        mesh = self.embed_mesh.rescale(embedded.mesh, condition)
        on_edges = self.interaction.on_embedded(embedded.edges, self.embed_edges, condition)
        on_receivers, mapped = together(mesh, self.interaction.for_receivers, self.interaction.for_updates)
        return EncoderSeen(on_edges, on_receivers, mapped, mesh)

    def __call__(
        self,
        tiles: Tiles,
        seen: EncoderSeen,
        first: FirstMap,
        condition: Condition = None,
        recompute: bool = False,
    ) -> tuple[Float[Array, "tile node width"], Float[Array, "mesh width"]]:
        """Grid nodes by tile and mesh nodes after the step. Messages are summed in float32."""
        edges, update = tiles.grid_to_mesh, self.grid_update.layers[0]

        def tile(total, number_and_edges):
            number, senders, receivers, kinds = number_and_edges
            grid = self.embed_grid.rest(first(number), condition)
            on_senders, mapped = together(grid, self.interaction.for_senders, update.weight)
            hidden = seen.on_edges[kinds] + on_senders[senders] + at_receivers(seen.on_receivers, receivers)
            total = add_at_receivers(total, self.interaction.messages(hidden, condition), receivers)
            return total, grid + self.grid_update.rest(mapped + update.bias, condition)

        numbered = jnp.arange(tiles.count), edges.senders, edges.receivers, edges.kinds
        total, grid = over_tiles(tile, jnp.zeros(seen.mesh.shape, jnp.float32), numbered, recompute)
        incoming = summed_over(tiles.space, total).astype(seen.mesh.dtype)
        return grid, self.interaction.update(seen.mesh, seen.mapped, incoming, condition)


class Decoder(eqx.Module):
    """Embeds edges, one interaction step from the mesh to the grid, then outputs on grid nodes."""

    embed_edges: MLP
    interaction: Interaction
    mesh_update: MLP  # published checkpoints carry it; nothing reads what it would put out
    output: MLP

    def __init__(self, outputs: int, width: int, hidden_layers: int, *, key: PRNGKeyArray, size_condition: int = 0):
        keys = iter(jax.random.split(key, 4))
        tail = [width] * (hidden_layers + 1)
        self.embed_edges = MLP([4, *tail], key=next(keys), size_condition=size_condition)
        self.interaction = Interaction(width, hidden_layers, key=next(keys), size_condition=size_condition)
        self.mesh_update = MLP([width, *tail], key=next(keys), size_condition=size_condition)
        self.output = MLP([*tail, outputs], key=next(keys), norm=False)

    def embedded(self, tiles: Tiles) -> Float[Array, "kind width"]:
        return self.embed_edges.normed(self.embed_edges.layers[0](tiles.corner_table))

    def seen(self, embedded: Float[Array, "kind width"], condition: Condition = None) -> Float[Array, "kind hidden"]:
        return self.interaction.on_embedded(embedded, self.embed_edges, condition)

    def __call__(
        self,
        tiles: Tiles,
        seen: Float[Array, "kind hidden"],
        grid: Float[Array, "tile node width"],
        mesh: Float[Array, "mesh width"],
        condition: Condition = None,
        recompute: bool = False,
    ) -> Float[Array, "grid output"]:
        on_mesh = mesh.astype(grid.dtype) @ self.interaction.for_senders

        def tile(carry, nodes):
            grid, corners, kinds = nodes
            on_grid, mapped = together(grid, self.interaction.for_receivers, self.interaction.for_updates)
            hidden = seen[kinds] + on_mesh[corners] + on_grid[:, None]
            # Three edges a grid node, beside each other: their sum needs no scatter.
            incoming = self.interaction.messages(hidden, condition).sum(axis=1)
            return carry, self.output(self.interaction.update(grid, mapped, incoming, condition))

        _, out = over_tiles(tile, None, (grid, tiles.corners, tiles.corner_kinds), recompute)
        return out.reshape(-1, out.shape[-1])
