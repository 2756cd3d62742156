"""GenCast's denoising network written plainly, to be held beside the paper (Price et al. 2025, supplement).

Same parameters and result as `model.DenoiserNetwork`, with a full matrix of attention and nothing rearranged or shared
between noise levels. For reading and for tests.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from airmass.core.types import Array
from airmass.models.gencast.model import DenoiserNetwork
from airmass.models.graphcast.reference import MeshNodes, decode, encode
from airmass.models.mesh.graph import Graphs
from airmass.models.nn.attention import attend_densely
from airmass.models.nn.mlp import Condition
from airmass.models.nn.transformer import Block, Transformer


def network(
    parameters: DenoiserNetwork,
    graphs: Graphs,
    near: Bool[Array, "mesh mesh"],
    x: Float[Array, "grid channel"],
    noisy: Float[Array, "grid target"],
    sigma: Float[Array, ""],
) -> Float[Array, "grid target"]:
    """Preconditioned output from conditioning channels `x`, scaled noisy targets and the noise level.

    `near` says which mesh nodes attend to which: those within so many hops.
    """
    condition = parameters.noise_encoder(sigma)
    grid, mesh = encode(parameters.encoder, graphs, jnp.concatenate([x, noisy], axis=-1), condition)
    mesh = transform(parameters.transformer, mesh, near, condition)
    return decode(parameters.decoder, graphs, grid, mesh, condition)


def transform(
    transformer: Transformer, mesh: MeshNodes, near: Bool[Array, "mesh mesh"], condition: Condition
) -> MeshNodes:
    """Mesh nodes after all blocks and the last norm."""
    for number in range(len(transformer.blocks.query)):
        block = jax.tree.map(lambda leaf, number=number: leaf[number], transformer.blocks)
        mesh = mesh + attention(block, block.attention_norm(mesh, condition), near)
        hidden = jax.nn.gelu(block.up(block.feedforward_norm(mesh, condition)))
        mesh = mesh + block.down(hidden)
    return transformer.norm(mesh, condition)


def attention(block: Block, x: MeshNodes, near: Bool[Array, "mesh mesh"]) -> MeshNodes:
    """Softmax attention of every head over near nodes, joined and mapped back."""

    def heads(weight):
        return (x @ weight).reshape(len(x), block.heads, -1).swapaxes(0, 1)

    out = attend_densely(heads(block.query), heads(block.key), heads(block.value), near)
    return block.attended(out.swapaxes(0, 1).reshape(x.shape))
