"""The two perceptrons of one interaction step: messages on edges, updates of nodes (Lam et al. 2023, supplement 3.5)."""

import equinox as eqx
import jax
from jaxtyping import Float, Int, PRNGKeyArray

from airmass.arrays import Array
from airmass.nn.mlp import MLP, Condition


class Interaction(eqx.Module):
    """m = MLP([edge, sender, receiver]); receiver + MLP([receiver, sum of m]); edge + m.

    The first linear map of the messages splits by the rows of its weight: nodes are mapped before they are gathered
    to edges, of which there are more, and where edges do not change their part is computed once for many steps.
    """

    edge_mlp: MLP
    node_mlp: MLP

    def __init__(self, width: int, hidden_layers: int, *, key: PRNGKeyArray, size_condition: int = 0):
        edge_key, node_key = jax.random.split(key)
        tail = [width] * (hidden_layers + 1)
        self.edge_mlp = MLP([3 * width, *tail], key=edge_key, size_condition=size_condition)
        self.node_mlp = MLP([2 * width, *tail], key=node_key, size_condition=size_condition)

    def on_edges(self, edge: Float[Array, "*n width"]) -> Float[Array, "*n hidden"]:
        """The edges' part of the first map, with its bias."""
        first = self.edge_mlp.layers[0]
        return edge @ first.weight[: edge.shape[-1]] + first.bias

    def on_senders(self, sender: Float[Array, "sender width"]) -> Float[Array, "sender hidden"]:
        """The senders' part of the first map."""
        width = sender.shape[-1]
        return sender @ self.edge_mlp.layers[0].weight[width : 2 * width]

    def on_receivers(self, receiver: Float[Array, "receiver width"]) -> Float[Array, "receiver hidden"]:
        """The receivers' part of the first map."""
        return receiver @ self.edge_mlp.layers[0].weight[2 * receiver.shape[-1] :]

    def messages(self, first: Float[Array, "*n hidden"], condition: Condition = None) -> Float[Array, "*n width"]:
        """Messages from the sum of the first map's three parts."""
        return self.edge_mlp.rest(first, condition)

    def update(
        self,
        receiver: Float[Array, "receiver width"],
        incoming: Float[Array, "receiver width"],
        condition: Condition = None,
    ) -> Float[Array, "receiver width"]:
        """The receivers after their messages."""
        first, width = self.node_mlp.layers[0], receiver.shape[-1]
        hidden = receiver @ first.weight[:width] + incoming @ first.weight[width:] + first.bias
        return receiver + self.node_mlp.rest(hidden, condition)


def at_receivers(nodes: Float[Array, "receiver width"], receivers: Int[Array, " edge"]) -> Float[Array, "edge width"]:
    """A row for each edge; a padding edge, whose receiver is one past the last, gets some row or other."""
    return nodes.at[receivers].get(mode="clip")


def add_at_receivers(
    total: Float[Array, "receiver width"], messages: Float[Array, "edge width"], receivers: Int[Array, " edge"]
) -> Float[Array, "receiver width"]:
    """`total` with each message added at its receiver; padding edges fall off the end."""
    return total.at[receivers].add(messages.astype(total.dtype), mode="drop")


def over_tiles(body, carry, xs, recompute: bool = False):
    """`jax.lax.scan` over the leading axis of `xs`, without a loop where there is one tile.

    With `recompute` the backward pass makes each tile's activations again.
    """
    body = jax.checkpoint(body) if recompute else body
    if jax.tree.leaves(xs)[0].shape[0] > 1:
        return jax.lax.scan(body, carry, xs)
    carry, out = body(carry, jax.tree.map(lambda x: x[0], xs))
    return carry, jax.tree.map(lambda x: x[None], out)
