"""The interaction network: messages on edges, updates of nodes (Lam et al. 2023, supplement 3.5)."""

from collections.abc import Sequence
from itertools import accumulate

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, Int, PRNGKeyArray

from airmass.core.types import Array
from airmass.models.nn.mlp import MLP, Condition, Linear
from airmass.models.nn.product import product


class Interaction(eqx.Module):
    """Messages m = MLP([edge, sender, receiver]); updates receiver + MLP([receiver, sum of m / divisor]) and edge + m.

    The first linear map of the messages is split by rows of its weight. Nodes are mapped before they are gathered to
    the more numerous edges, and the part of edges that do not change is computed once for many steps. Without
    `reads_receivers` messages do not depend on receivers. Edges may be narrower than nodes.
    """

    edge_mlp: MLP
    node_mlp: MLP
    reads_receivers: bool = eqx.field(static=True)
    divisor: float = eqx.field(static=True)

    def __init__(
        self,
        width: int,
        hidden_layers: int,
        *,
        key: PRNGKeyArray,
        size_condition: int = 0,
        edge_width: int | None = None,
        reads_receivers: bool = True,
        divisor: float = 1.0,
    ):
        edge_key, node_key = jax.random.split(key)
        tail = [width] * (hidden_layers + 1)
        rows = (width if edge_width is None else edge_width) + (1 + reads_receivers) * width
        self.edge_mlp = MLP([rows, *tail], key=edge_key, size_condition=size_condition)
        self.node_mlp = MLP([2 * width, *tail], key=node_key, size_condition=size_condition)
        self.reads_receivers, self.divisor = reads_receivers, divisor

    @property
    def width(self) -> int:
        """Width of messages and receivers."""
        return self.node_mlp.layers[0].weight.shape[-2] // 2

    @property
    def edge_width(self) -> int:
        """Width of edges."""
        return self.edge_mlp.layers[0].weight.shape[-2] - (1 + self.reads_receivers) * self.width

    @property
    def dtype(self) -> jnp.dtype:
        """Dtype of the parameters, and so of the matrix products."""
        return self.edge_mlp.layers[0].weight.dtype

    def on_edges(self, edge: Float[Array, "*n width"]) -> Float[Array, "*n hidden"]:
        """The edges' part of the first map, with its bias."""
        return self.for_edges(edge)

    def on_embedded(
        self, normed: Float[Array, "kind width"], embedder: MLP, condition: Condition = None
    ) -> Float[Array, "kind hidden"]:
        """`on_edges` of embedded edges `normed`, with the scale and offset of their norm merged into the weight."""
        assert embedder.norm is not None  # only output MLPs have none
        scale, offset = embedder.norm.scale_and_offset(condition)
        first = self.edge_mlp.layers[0]
        weight = first.weight[: normed.shape[-1]]
        return normed @ (scale[:, None] * weight) + (offset @ weight + first.bias)

    @property
    def for_edges(self) -> Linear:
        """The edges' rows of the first map, with its bias."""
        first = self.edge_mlp.layers[0]
        return eqx.tree_at(lambda linear: linear.weight, first, first.weight[: self.edge_width])

    @property
    def for_senders(self) -> Float[Array, "width hidden"]:
        """The senders' rows of the first map."""
        return self.edge_mlp.layers[0].weight[self.edge_width : self.edge_width + self.width]

    @property
    def for_receivers(self) -> Float[Array, "width hidden"]:
        """The receivers' rows of the first map; none where messages do not read them."""
        return self.edge_mlp.layers[0].weight[self.edge_width + self.width :]

    @property
    def for_updates(self) -> Float[Array, "width hidden"]:
        """The receivers' rows of the update's first map."""
        return self.node_mlp.layers[0].weight[: self.width]

    @property
    def for_incoming(self) -> Float[Array, "width hidden"]:
        """The rows of the update's first map for the sum of messages, divided by the divisor."""
        weight = self.node_mlp.layers[0].weight[self.width :]
        return weight if self.divisor == 1 else weight / self.divisor

    def updated(
        self,
        receiver: Float[Array, "receiver width"],
        hidden: Float[Array, "receiver hidden"],
        condition: Condition = None,
    ) -> Float[Array, "receiver width"]:
        """The receivers after the update, from the output `hidden` of the update's first map, without its bias."""
        return receiver + self.node_mlp.rest(hidden + self.node_mlp.layers[0].bias, condition)


def fused_matmul(x: Float[Array, "*n in"], *weights: Float[Array, "in _out"]) -> Sequence[Float[Array, "*n _out"]]:
    """`x @ weight` for each weight, as one product, which takes a CPU about a seventh less time than two."""
    ends = list(accumulate(weight.shape[-1] for weight in weights))
    return jnp.split(product(x, jnp.concatenate(weights, axis=-1)), ends[:-1], axis=-1)


def at_receivers(nodes: Float[Array, "receiver width"], receivers: Int[Array, " edge"]) -> Float[Array, "edge width"]:
    """The receiver's row for each edge; a padding edge, whose receiver is one past the last, gets an arbitrary row."""
    return jnp.asarray(nodes).at[receivers].get(mode="clip")


def add_at_receivers(
    total: Float[Array, "receiver width"], messages: Float[Array, "edge width"], receivers: Int[Array, " edge"]
) -> Float[Array, "receiver width"]:
    """`total` with each message added at its receiver; those of padding edges are dropped."""
    return jnp.asarray(total).at[receivers].add(messages.astype(total.dtype), mode="drop")
