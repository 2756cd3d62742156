"""One interaction step: messages along edges, summed at their receivers (Lam et al. 2023, supplement 3.5)."""

import equinox as eqx
import jax
from jaxtyping import Float, PRNGKeyArray

from airmass.arrays import Array
from airmass.graph import EdgeSet
from airmass.nn.mlp import MLP


class Interaction(eqx.Module):
    """m = MLP([edge, sender, receiver]); receiver + MLP([receiver, sum of m]); edge + m."""

    edge_mlp: MLP
    node_mlp: MLP

    def __init__(self, width: int, hidden_layers: int, *, key: PRNGKeyArray):
        edge_key, node_key = jax.random.split(key)
        tail = [width] * (hidden_layers + 1)
        self.edge_mlp = MLP([3 * width, *tail], key=edge_key)
        self.node_mlp = MLP([2 * width, *tail], key=node_key)

    def on_edges(self, edge: Float[Array, "edge width"]) -> Float[Array, "edge hidden"]:
        """The edges' part of the first map, with its bias."""
        first = self.edge_mlp.layers[0]
        return edge @ first.weight[: edge.shape[-1]] + first.bias

    def messages(
        self,
        on_edges: Float[Array, "edge hidden"],
        sender: Float[Array, "sender width"],
        receiver: Float[Array, "receiver width"],
        edges: EdgeSet,
    ) -> Float[Array, "edge width"]:
        """One message an edge, given `on_edges` of the edges.

        The first linear map splits by the rows of its weight: nodes are mapped before they are gathered to edges, of
        which there are more, and where edges do not change their part is computed once for many steps.
        """
        width = sender.shape[-1]
        weight = self.edge_mlp.layers[0].weight
        on_sender, on_receiver = sender @ weight[-2 * width : -width], receiver @ weight[-width:]
        return self.edge_mlp.rest(on_edges + on_sender[edges.senders] + on_receiver[edges.receivers])

    def update(
        self, receiver: Float[Array, "receiver width"], incoming: Float[Array, "receiver width"]
    ) -> Float[Array, "receiver width"]:
        """The receivers after their messages."""
        first, width = self.node_mlp.layers[0], receiver.shape[-1]
        hidden = receiver @ first.weight[:width] + incoming @ first.weight[width:] + first.bias
        return receiver + self.node_mlp.rest(hidden)


def sum_at_receivers(
    messages: Float[Array, "edge width"], edges: EdgeSet, n_receivers: int
) -> Float[Array, "receiver width"]:
    return jax.ops.segment_sum(messages, edges.receivers, n_receivers, indices_are_sorted=True)
