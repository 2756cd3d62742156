"""GraphCast's network written plainly, to be held beside the paper (Lam et al. 2023, supplement 3).

Same parameters and result as `model.GraphCastNetwork`, with every message on every edge at once and nothing rearranged.
For reading and for tests: it is slower and takes many times the memory.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from airmass.core.types import Array
from airmass.models.graphcast.model import GraphCastNetwork
from airmass.models.grid_mesh import Decoder, Encoder
from airmass.models.mesh.graph import EdgeSet, Graphs
from airmass.models.nn.interaction import Interaction
from airmass.models.nn.mlp import MLP, Condition, unit_variance

GridNodes = Float[Array, "grid width"]
MeshNodes = Float[Array, "mesh width"]
Senders = Float[Array, "sender width"]
Receivers = Float[Array, "receiver width"]
Edges = Float[Array, "edge width"]


def network(
    parameters: GraphCastNetwork, graphs: Graphs, x: Float[Array, "grid channel"]
) -> Float[Array, "grid output"]:
    """Normalised outputs on all grid nodes from normalised inputs: embed and encode, process, decode."""
    grid, mesh = encode(parameters.encoder, graphs, x)
    edges = perceptron(parameters.embed_mesh_edges, graphs.mesh.features)
    for step in range(steps_of(parameters.processor)):
        interaction = jax.tree.map(lambda leaf, step=step: leaf[step], parameters.processor)
        change_of_edges, mesh = interact(interaction, graphs.mesh, edges, senders=mesh, receivers=mesh)
        edges = edges + change_of_edges
    return decode(parameters.decoder, graphs, grid, mesh)


def encode(
    encoder: Encoder, graphs: Graphs, x: Float[Array, "grid channel"], condition: Condition = None
) -> tuple[GridNodes, MeshNodes]:
    """Grid and mesh nodes after one interaction step from the grid to the mesh (supplement 3.4)."""
    # Mesh nodes carry no weather: zeros where grid nodes have channels, then three features of their place.
    no_weather = jnp.zeros((len(graphs.mesh_features), x.shape[-1]))
    grid = perceptron(encoder.embed_grid, jnp.concatenate([x, graphs.grid_features], axis=-1), condition)
    mesh = perceptron(encoder.embed_mesh, jnp.concatenate([no_weather, graphs.mesh_features], axis=-1), condition)
    edges = perceptron(encoder.embed_edges, graphs.grid_to_mesh.features, condition)
    _, mesh = interact(encoder.interaction, graphs.grid_to_mesh, edges, grid, mesh, condition)
    return grid + perceptron(encoder.grid_update, grid, condition), mesh


def decode(
    decoder: Decoder, graphs: Graphs, grid: GridNodes, mesh: MeshNodes, condition: Condition = None
) -> Float[Array, "grid output"]:
    """Outputs after one interaction step from the mesh to the grid (supplement 3.6)."""
    edges = perceptron(decoder.embed_edges, graphs.mesh_to_grid.features, condition)
    _, grid = interact(decoder.interaction, graphs.mesh_to_grid, edges, mesh, grid, condition)
    return perceptron(decoder.output, grid)


def interact(
    interaction: Interaction,
    edges: EdgeSet,
    edge: Edges,
    senders: Senders,
    receivers: Receivers,
    condition: Condition = None,
) -> tuple[Edges, Receivers]:
    """Messages on edges, and receivers after the sum of those that reach them (supplement 3.5)."""
    ends = [edge, senders[edges.senders], *([receivers[edges.receivers]] if interaction.reads_receivers else [])]
    messages = perceptron(interaction.edge_mlp, jnp.concatenate(ends, axis=-1), condition)
    incoming = jax.ops.segment_sum(messages, edges.receivers, len(receivers)) / interaction.divisor
    change = perceptron(interaction.node_mlp, jnp.concatenate([receivers, incoming], axis=-1), condition)
    return messages, receivers + change


def perceptron(mlp: MLP, x: Float[Array, "row in"], condition: Condition = None) -> Float[Array, "row out"]:
    """Linear maps with swish between, then layer norm where there is one."""
    for layer in mlp.layers[:-1]:
        x = jax.nn.swish(x @ layer.weight + layer.bias)
    x = x @ mlp.layers[-1].weight + mlp.layers[-1].bias
    if mlp.norm is None:
        return x
    scale, offset = mlp.norm.scale_and_offset(condition)
    return unit_variance(x) * scale + offset


def steps_of(processor: Interaction) -> int:
    """Number of interaction steps whose parameters are stacked."""
    return len(processor.edge_mlp.layers[0].bias)
