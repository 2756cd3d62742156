"""An interaction step's perceptrons with gradients where some of what they made is kept, for the processor."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float

from airmass.core.types import Array
from airmass.models.nn.interaction import Interaction
from airmass.models.nn.mlp import MLP, LayerNorm, Linear, through, through_to_unit_variance


class Perceptron(eqx.Module):
    """What follows the first map of a perceptron, and its gradient where some of that is known."""

    tail: tuple[Linear, ...]
    scale: Float[Array, " width"]
    offset: Float[Array, " width"]

    @classmethod
    def of(cls, mlp: MLP) -> "Perceptron":
        # GenCast, whose norms have a condition, has a transformer in the processor's place.
        assert isinstance(mlp.norm, LayerNorm)
        return cls(mlp.tail(), *mlp.norm.scale_and_offset())

    def __call__(self, first: Float[Array, "*n hidden"]) -> tuple[Float[Array, "*n width"], Float[Array, "*n"]]:
        """Rows of unit variance, and what brought them to it, in float32."""
        normed, inverse = through_to_unit_variance(self.tail, first)
        return normed, inverse[..., 0]

    def scaled(self, normed: Float[Array, "*n width"]) -> Float[Array, "*n width"]:
        """The output, of rows of unit variance."""
        return normed * self.scale + self.offset

    def back(
        self,
        first: Float[Array, "n hidden"],
        inverse: Float[Array, " n"],
        normed: Float[Array, "n width"] | None,
        gradient: Float[Array, "n width"],
    ) -> tuple[Float[Array, "n width"], "Perceptron", Float[Array, "n hidden"]]:
        """Rows of unit variance, made again if None, and gradients of itself and of `first`."""
        wide, back = jax.vjp(through, self.tail, first)
        normed = (wide * inverse[:, None]).astype(first.dtype) if normed is None else normed
        # Kept from XLA, which would make this product once for each of its two sums, at a pass more than writing it.
        along = jax.lax.optimization_barrier(gradient * normed)
        of_scale, of_offset = along.sum(axis=0), gradient.sum(axis=0)
        # Scaling to unit variance takes away the gradient's part along the rows.
        mean = jnp.matmul(along, self.scale.astype(along.dtype), precision="highest")[:, None] / along.shape[-1]
        inner = inverse[:, None] * (gradient * self.scale - normed * mean)
        of_tail, for_first = back(inner.astype(first.dtype))
        return normed, Perceptron(of_tail, of_scale, of_offset), for_first


class InteractionMaps(eqx.Module):
    """An interaction by what its maps are applied to."""

    on_edges: Linear
    on_nodes: tuple[Float[Array, "width hidden"], ...]  # for senders, for receivers, for updates
    on_incoming: Linear
    messages: Perceptron
    updates: Perceptron

    @classmethod
    def of(cls, interaction: Interaction) -> "InteractionMaps":
        on_nodes = interaction.for_senders, interaction.for_receivers, interaction.for_updates
        first = interaction.node_mlp.layers[0]
        on_incoming = eqx.tree_at(lambda linear: linear.weight, first, interaction.for_incoming)
        edge_mlp, node_mlp = Perceptron.of(interaction.edge_mlp), Perceptron.of(interaction.node_mlp)
        return cls(interaction.for_edges, on_nodes, on_incoming, edge_mlp, node_mlp)
