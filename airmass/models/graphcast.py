"""GraphCast (Lam et al. 2023, Science 382): encoder, multi-mesh processor, decoder, and the step around them."""

import dataclasses
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, PRNGKeyArray

from airmass.arrays import Array
from airmass.graph import Graphs
from airmass.layout import Layout
from airmass.models.state import State
from airmass.nn.interaction import Interaction, sum_at_receivers
from airmass.nn.mlp import MLP
from airmass.normalise import Normaliser
from airmass.task import Task


@dataclass(frozen=True)
class GraphCastSettings:
    """Sizes of a GraphCast. The published 1 degree model has the defaults and 35,979,347 parameters.

    `recompute` drops the processor's activations after the forward pass and makes them again in the backward pass:
    memory for a third more arithmetic.
    """

    mesh_level: int = 5
    width: int = 512
    steps: int = 16
    hidden_layers: int = 1
    radius_fraction: float = 0.6
    recompute: bool = True


class Network(eqx.Module):
    """The graph network: normalised node vectors in, normalised outputs out. Every leaf is a parameter."""

    embed_grid: MLP
    embed_mesh: MLP
    embed_grid_to_mesh: MLP
    encoder: Interaction
    encoder_grid: MLP
    embed_mesh_edges: MLP
    processor: Interaction  # leaves are stacked over steps
    embed_mesh_to_grid: MLP
    decoder: Interaction
    decoder_mesh: MLP  # published checkpoints carry it; nothing reads what it would put out
    output: MLP
    recompute: bool = eqx.field(static=True)

    def __init__(self, settings: GraphCastSettings, channels: int, outputs: int, *, key: PRNGKeyArray):
        keys = iter(jax.random.split(key, 11))
        width, hidden = settings.width, settings.hidden_layers
        tail = [width] * (hidden + 1)
        self.embed_grid = MLP([channels + 3, *tail], key=next(keys))
        self.embed_mesh = MLP([channels + 3, *tail], key=next(keys))
        self.embed_grid_to_mesh = MLP([4, *tail], key=next(keys))
        self.encoder = Interaction(width, hidden, key=next(keys))
        self.encoder_grid = MLP([width, *tail], key=next(keys))
        self.embed_mesh_edges = MLP([4, *tail], key=next(keys))
        step_keys = jax.random.split(next(keys), settings.steps)
        self.processor = eqx.filter_vmap(lambda k: Interaction(width, hidden, key=k))(step_keys)
        self.embed_mesh_to_grid = MLP([4, *tail], key=next(keys))
        self.decoder = Interaction(width, hidden, key=next(keys))
        self.decoder_mesh = MLP([width, *tail], key=next(keys))
        self.output = MLP([*tail, outputs], key=next(keys), norm=False)
        self.recompute = settings.recompute

    def __call__(
        self, graphs: Graphs, x: Float[Array, "grid channel"], geometry: "Geometry | None" = None
    ) -> Float[Array, "grid output"]:
        geometry = geometry or self.geometry(graphs)
        grid, mesh = self.encode(graphs, geometry, x)  # [grid, width], [mesh, width]
        mesh = self.process(graphs, geometry, mesh)  # [mesh, width]
        grid = self.decode(graphs, geometry, grid, mesh)  # [grid, width]
        return self.output(grid)  # [grid, output]

    def geometry(self, graphs: Graphs) -> "Geometry":
        """What depends on parameters and geometry alone, to be shared by every step, member and example."""
        # Mesh nodes carry no weather: zeros in every channel, so only the rows of their three features matter.
        first = self.embed_mesh.layers[0]
        return Geometry(
            self.encoder.on_edges(self.embed_grid_to_mesh(graphs.grid_to_mesh.features)),
            self.embed_mesh.rest(graphs.mesh_features @ first.weight[-3:] + first.bias),
            self.embed_mesh_edges(graphs.mesh.features),
            self.decoder.on_edges(self.embed_mesh_to_grid(graphs.mesh_to_grid.features)),
        )

    def encode(
        self, graphs: Graphs, geometry: "Geometry", x: Float[Array, "grid channel"]
    ) -> tuple[Float[Array, "grid width"], Float[Array, "mesh width"]]:
        grid = self.embed_grid(jnp.concatenate([x, graphs.grid_features], axis=-1))
        mesh, edges = geometry.mesh, graphs.grid_to_mesh
        messages = self.encoder.messages(geometry.grid_to_mesh, grid, mesh, edges)
        mesh = self.encoder.update(mesh, sum_at_receivers(messages, edges, mesh.shape[0]))
        return grid + self.encoder_grid(grid), mesh

    def process(
        self, graphs: Graphs, geometry: "Geometry", mesh: Float[Array, "mesh width"]
    ) -> Float[Array, "mesh width"]:
        def step(carry, interaction: Interaction):
            mesh, edge = carry
            messages = interaction.messages(interaction.on_edges(edge), mesh, mesh, graphs.mesh)
            mesh = interaction.update(mesh, sum_at_receivers(messages, graphs.mesh, mesh.shape[0]))
            return (mesh, edge + messages), None

        start = mesh, geometry.mesh_edges
        (mesh, _), _ = jax.lax.scan(jax.checkpoint(step) if self.recompute else step, start, self.processor)
        return mesh

    def decode(
        self, graphs: Graphs, geometry: "Geometry", grid: Float[Array, "grid width"], mesh: Float[Array, "mesh width"]
    ) -> Float[Array, "grid width"]:
        messages = self.decoder.messages(geometry.mesh_to_grid, mesh, grid, graphs.mesh_to_grid)
        # Three edges a grid node, in order: their sum needs no scatter.
        return self.decoder.update(grid, messages.reshape(grid.shape[0], 3, -1).sum(axis=1))


class Geometry(eqx.Module):
    """The network's view of its graphs before any weather: edge parts of first maps, embedded mesh nodes and edges."""

    grid_to_mesh: Float[Array, "edge width"]
    mesh: Float[Array, "mesh width"]
    mesh_edges: Float[Array, "edge width"]
    mesh_to_grid: Float[Array, "edge width"]


class GraphCast(eqx.Module):
    """The forecast step. Only `network` is trained; everything else is geometry, scales and static fields."""

    network: Network
    graphs: Graphs
    normaliser: Normaliser
    static: Float[Array, "node static"]
    step_hours: int = eqx.field(static=True)
    geometry: Geometry | None = None

    def ready(self) -> "GraphCast":
        """The same model with the part that no weather enters computed, for use over many steps."""
        return dataclasses.replace(self, geometry=self.network.geometry(self.graphs))

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
        x = self.normaliser.inputs(state.history, forcing, self.static)
        return self.network(self.graphs, x, self.geometry)

    def advance(self, state: State, frame: Float[Array, "node target"]) -> State:
        """The state with `frame` as its newest."""
        newest = self.normaliser.prognostic(frame)
        return State(jnp.concatenate([state.history[1:], newest[None]]), state.valid_time + jnp.int32(self.step_hours))


def network_sizes(task: Task) -> tuple[int, int]:
    """Input channels (without the three structural ones) and outputs of a network for `task`."""
    prognostic, forcing = len(Layout.of(task.prognostic, task.levels)), len(task.forcing)
    static = len(Layout.of(task.static, task.levels))
    channels = task.history * prognostic + (task.history + 1) * forcing + static
    return channels, len(Layout.of(task.targets, task.levels))
