"""GraphCast (Lam et al. 2023, Science 382): encoder, multi-mesh processor, decoder, and the step around them."""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec
from jaxtyping import Float, Int, PRNGKeyArray

from airmass.core.types import Array
from airmass.fields.channels import ChannelLayout
from airmass.fields.grid import LatLonGrid
from airmass.fields.normalise import Normaliser
from airmass.fields.task import Task
from airmass.models.graphcast.settings import GraphCastSettings
from airmass.models.grid_mesh import Decoder, DecoderPrecomputed, Encoder, EncoderPrecomputed, embedded_rows
from airmass.models.mesh.graph import build_graphs
from airmass.models.mesh.tiles import Tiles
from airmass.models.nn.interaction import Interaction
from airmass.models.nn.loops import over_groups
from airmass.models.nn.mlp import MLP, in_precision
from airmass.models.nn.processor import interact, last_step
from airmass.models.nn.summed import LinearAfterSum, arriving_at
from airmass.models.state import State


class GraphCastNetwork(eqx.Module):
    """The graph network: normalised node vectors in, normalised outputs out. Every leaf is a parameter."""

    encoder: Encoder
    embed_mesh_edges: MLP
    processor: Interaction  # leaves are stacked over steps
    decoder: Decoder
    recompute: int = eqx.field(static=True)

    def __init__(self, settings: GraphCastSettings, channels: int, outputs: int, *, key: PRNGKeyArray):
        encoder_key, edges_key, processor_key, decoder_key = jax.random.split(key, 4)
        width, hidden = settings.width, settings.hidden_layers
        self.encoder = Encoder(channels, width, hidden, key=encoder_key)
        self.embed_mesh_edges = MLP([4, *[width] * (hidden + 1)], key=edges_key)
        step_keys = jax.random.split(processor_key, settings.steps)
        self.processor = eqx.filter_vmap(lambda k: Interaction(width, hidden, key=k))(step_keys)
        self.decoder = Decoder(outputs, width, hidden, key=decoder_key)
        self.recompute = settings.recompute

    def __call__(
        self,
        tiles: Tiles,
        inputs: Callable[[Int[Array, ""]], Float[Array, "node channel"]],
        geometry: "Geometry | None" = None,
    ) -> Float[Array, "grid output"]:
        """Outputs on all grid nodes; `inputs` gives the vectors of a tile's nodes."""
        geometry = geometry or self.geometry(tiles)
        first_map = self.encoder.embed_grid.layers[0]

        def first(tile):
            return first_map(jnp.concatenate([inputs(tile), tiles.grid_features[tile]], axis=-1))

        tile_by_tile = self.recompute > 0
        grid, mesh = self.encoder(tiles, geometry.encoder, first, None, tile_by_tile)
        mesh = self.process(tiles, geometry, mesh)
        return self.decoder(tiles, geometry.decoder, grid, mesh, None, tile_by_tile)

    def geometry(self, tiles: Tiles, inference: bool = False) -> "Geometry":
        """The part that depends on parameters and geometry alone, shared by every step, member and example.

        `inference` says that no derivative will be taken, which leaves less to be done at every step.
        """
        mesh_edges = self.embed_mesh_edges.rescale(embedded_rows(self.embed_mesh_edges, tiles.mesh.table))
        on_mesh_edges = jax.tree.map(lambda leaf: leaf[0], self.processor).on_edges(mesh_edges)
        encoder = self.encoder.precomputed(self.encoder.embedded(tiles))
        decoder = self.decoder.precomputed(self.decoder.embedded(tiles))
        last = None
        if inference and self.processor.edge_mlp.layers[0].bias.shape[0] > 1:
            count = arriving_at(tiles.mesh, len(tiles.mesh_features), tiles.space)
            last = LinearAfterSum(jax.tree.map(lambda leaf: leaf[-1], self.processor), count)
        return Geometry(encoder, mesh_edges, on_mesh_edges, decoder, last)

    def process(
        self, tiles: Tiles, geometry: "Geometry", mesh: Float[Array, "mesh width"]
    ) -> Float[Array, "mesh width"]:
        """Interaction steps along the multi-mesh."""
        start = mesh.astype(jnp.float32), geometry.mesh_edges.astype(jnp.float32)[tiles.mesh.kinds]
        # The first step's edges are still geometry, and so is their part of its first map.
        first = jax.tree.map(lambda leaf: leaf[:1], self.processor)
        later = jax.tree.map(lambda leaf: leaf[1 : None if geometry.last is None else -1], self.processor)
        run = partial(interact, self.recompute != 1, tiles.space, edges=tiles.mesh)
        carry = run(first, start, on_kinds=geometry.on_mesh_edges)
        # With 1, `interact` itself makes again what can be without any step's start.
        size = self.recompute if self.recompute > 1 else 0
        carry = over_groups(lambda carry, steps: run(steps, carry), carry, later, size)
        if geometry.last is None:
            return carry[0]
        last = jax.tree.map(lambda leaf: leaf[-1], self.processor)
        return last_step(last, geometry.last, carry, tiles.mesh, tiles.space)


class Geometry(eqx.Module):
    """The network's view of its graphs before any weather."""

    encoder: EncoderPrecomputed
    mesh_edges: Float[Array, "kind width"]
    on_mesh_edges: Float[Array, "kind hidden"]
    decoder: DecoderPrecomputed
    last: LinearAfterSum | None  # of the processor's last step, whose edges nothing reads


class GraphCast(eqx.Module):
    """The forecast step. Only `network` is trained; everything else is geometry, scales and static fields."""

    network: GraphCastNetwork
    tiles: Tiles
    normaliser: Normaliser
    static: Float[Array, "node static"]
    step_hours: int = eqx.field(static=True)
    precision: str = eqx.field(static=True, default="float32")
    geometry: Geometry | None = None

    @property
    def space(self) -> str | None:
        """The axis of devices that share the grid."""
        return self.tiles.space

    def ready(self, inference: bool = False) -> "GraphCast":
        """The same model with the part that no weather enters computed, for use over many steps.

        The network's arithmetic is done in `precision`; scaling, residual sums and states stay float32.
        `inference` says that no derivative will be taken, which leaves less to be done at every step.
        """
        network, tiles = in_precision((self.network, self.tiles), self.precision)
        return dataclasses.replace(self, network=network, tiles=tiles, geometry=network.geometry(tiles, inference))

    def specs(self) -> "GraphCast":
        """Where each array, or tree of arrays, lies on a mesh of devices that share an example: `tiles.specs`."""
        along, everywhere = PartitionSpec(self.tiles.space), PartitionSpec()
        geometry = None if self.geometry is None else everywhere
        parts: dict[str, Any] = {"network": everywhere, "normaliser": everywhere, "static": along, "geometry": geometry}
        return dataclasses.replace(self, tiles=self.tiles.specs(), **parts)

    def step(
        self, state: State, forcing: Float[Array, "window node forcing"], *, key: PRNGKeyArray | None = None
    ) -> tuple[State, Float[Array, "node target"]]:
        """One step ahead: the next state and the physical frame of all targets.

        `forcing` holds the frames at the history's times and at the target time. `key` is for models that draw.
        """
        output = self.predict(state, forcing)
        frame = self.normaliser.restore(output, state.history[-1])
        return self.advance(state, frame), frame

    def predict(self, state: State, forcing: Float[Array, "window node forcing"]) -> Float[Array, "node target"]:
        """The network's output in the scaled space in which losses compare."""
        fields = state.history, forcing, self.static

        def inputs(tile):
            x = self.normaliser.inputs(*(self.tiles.rows(field, tile) for field in fields))
            return x.astype(self.tiles.grid_features.dtype)

        return self.network(self.tiles, inputs, self.geometry).astype(jnp.float32)

    def advance(self, state: State, frame: Float[Array, "node target"]) -> State:
        """The state with `frame` as its newest."""
        return state.advanced(self.normaliser.prognostic(frame), self.step_hours)


def graphcast(
    network: GraphCastNetwork,
    settings: GraphCastSettings,
    grid: LatLonGrid,
    normaliser: Normaliser,
    static: Float[np.ndarray, "node static"],
    step_hours: int,
    precision: str = "float32",
    parts: int = 1,
) -> GraphCast:
    """GraphCast on `grid`; every leaf is an array of JAX. With `parts` above 1 for devices along the axis `space`."""
    graphs = build_graphs(grid, settings.mesh_level, settings.radius_fraction, corner_length=settings.corner_length)
    tiles = Tiles.of(graphs, renumber=True, parts=parts, space=shared_axis(parts))
    model = GraphCast(network, tiles, normaliser, static, step_hours, precision)
    return jax.tree.map(jnp.asarray, model)


def shared_axis(parts: int) -> str | None:
    """The axis of devices that share a grid in `parts`."""
    return "space" if parts > 1 else None


def network_sizes(task: Task) -> tuple[int, int]:
    """Input channels (without the three structural ones) and outputs of a network for `task`."""
    prognostic, forcing = len(ChannelLayout.of(task.prognostic, task.levels)), len(task.forcing)
    static = len(ChannelLayout.of(task.static, task.levels))
    channels = task.history * prognostic + (task.history + 1) * forcing + static
    return channels, len(ChannelLayout.of(task.targets, task.levels))
