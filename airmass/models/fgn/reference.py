"""The network of a functional generative network written plainly, to be held beside the paper (Alet et al. 2025).

Same parameters and result as `model.FGNNetwork`: every message on every edge at once, a full matrix of attention and
nothing rearranged. For reading and for tests: it is slower and takes many times the memory.
"""

import jax.numpy as jnp
from jaxtyping import Bool, Float

from airmass.core.types import Array
from airmass.models.fgn.model import FGNNetwork
from airmass.models.gencast.reference import transform
from airmass.models.graphcast.reference import GridNodes, MeshNodes, decode, interact, perceptron
from airmass.models.grid_mesh import Encoder
from airmass.models.mesh.graph import Graphs
from airmass.models.nn.mlp import Condition


def network(
    parameters: FGNNetwork,
    graphs: Graphs,
    near: Bool[Array, "mesh mesh"],
    x: Float[Array, "grid channel"],
    uniform: Float[Array, " channel"],
    noise: Float[Array, " noise"],
) -> Float[Array, "grid target"]:
    """Scaled outputs from normalised inputs `x`, those of them that are `uniform` over the globe, and noise.

    `near` says which mesh nodes attend to which: those within so many hops.
    """
    condition = noise @ parameters.condition_encoder
    grid, mesh = encode(parameters.encoder, graphs, x, uniform, condition)
    mesh = transform(parameters.transformer, mesh, near, condition)
    return decode(parameters.decoder, graphs, grid, mesh, condition)


def encode(
    encoder: Encoder,
    graphs: Graphs,
    x: Float[Array, "grid channel"],
    uniform: Float[Array, " channel"],
    condition: Condition,
) -> tuple[GridNodes, MeshNodes]:
    """Grid and mesh nodes after one interaction step from the grid to the mesh."""
    on_mesh = jnp.broadcast_to(uniform, (len(graphs.mesh_features), len(uniform)))
    grid = perceptron(encoder.embed_grid, jnp.concatenate([x, graphs.grid_features], axis=-1), condition)
    mesh = perceptron(encoder.embed_mesh, jnp.concatenate([on_mesh, graphs.mesh_features], axis=-1), condition)
    edges = perceptron(encoder.embed_edges, graphs.grid_to_mesh.features, condition)
    _, mesh = interact(encoder.interaction, graphs.grid_to_mesh, edges, grid, mesh, condition)
    return grid + perceptron(encoder.grid_update, grid, condition), mesh
