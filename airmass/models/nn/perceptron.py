"""The processor's perceptrons, with a backward pass from saved intermediate values."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float

from airmass.core.types import Array
from airmass.models.nn.interaction import Interaction
from airmass.models.nn.mlp import MLP, LayerNorm, Linear, through, through_to_unit_variance


class Perceptron(eqx.Module):
    """An MLP after its first linear map, and its gradient from saved intermediate values."""

    tail: tuple[Linear, ...]
    scale: Float[Array, " width"]
    offset: Float[Array, " width"]

    @classmethod
    def of(cls, mlp: MLP) -> "Perceptron":
        # GenCast's norms are conditional, but it has a transformer as its processor.
        assert isinstance(mlp.norm, LayerNorm)
        return cls(mlp.tail(), *mlp.norm.scale_and_offset())

    def __call__(self, first: Float[Array, "*n hidden"]) -> tuple[Float[Array, "*n width"], Float[Array, "*n"]]:
        """Rows scaled to unit variance, and the scale factors in float32."""
        normed, inverse = through_to_unit_variance(self.tail, first)
        return normed, inverse[..., 0]

    def scaled(self, normed: Float[Array, "*n width"]) -> Float[Array, "*n width"]:
        """The output from rows of unit variance."""
        return normed * self.scale + self.offset

    def back(
        self,
        first: Float[Array, "n hidden"],
        inverse: Float[Array, " n"],
        normed: Float[Array, "n width"] | None,
        gradient: Float[Array, "n width"],
    ) -> tuple[Float[Array, "n width"], "Perceptron", Float[Array, "n hidden"]]:
        """Rows of unit variance (recomputed if `normed` is None), and gradients of the parameters and of `first`."""
        wide, back = jax.vjp(through, self.tail, first)
        normed = (wide * inverse[:, None]).astype(first.dtype) if normed is None else normed
        # The barrier keeps XLA from computing this product twice, once for each sum, which is slower than storing it.
        along = jax.lax.optimization_barrier(gradient * normed)
        of_scale, of_offset = along.sum(axis=0), gradient.sum(axis=0)
        # Scaling to unit variance removes the gradient's component along the rows.
        mean = jnp.matmul(along, self.scale.astype(along.dtype), precision="highest")[:, None] / along.shape[-1]
        inner = inverse[:, None] * (gradient * self.scale - normed * mean)
        of_tail, for_first = back(inner.astype(first.dtype))
        return normed, Perceptron(of_tail, of_scale, of_offset), for_first


class InteractionMaps(eqx.Module):
    """The maps of an interaction, by their inputs."""

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
