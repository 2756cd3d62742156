"""One interaction step: messages along edges, summed at their receivers (Battaglia et al. 2016; Lam et al. 2023, 3.5)."""

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

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

    def messages(
        self,
        edge: Float[Array, "edge width"],
        sender: Float[Array, "sender width"],
        receiver: Float[Array, "receiver width"],
        edges: EdgeSet,
    ) -> Float[Array, "edge width"]:
        """One message an edge. The first linear map is taken on nodes, before they are gathered to edges."""
        first = self.edge_mlp.layers[0]
        on_edge, on_sender, on_receiver = first.split(edge, sender, receiver)
        hidden = on_edge + on_sender[edges.senders] + (on_receiver + first.bias)[edges.receivers]
        return self.edge_mlp.rest(hidden)

    def update(
        self, receiver: Float[Array, "receiver width"], incoming: Float[Array, "receiver width"]
    ) -> Float[Array, "receiver width"]:
        """The receivers after their messages."""
        on_node, on_sum = self.node_mlp.layers[0].split(receiver, incoming)
        return receiver + self.node_mlp.rest(on_node + on_sum + self.node_mlp.layers[0].bias)


def sum_at_receivers(
    messages: Float[Array, "edge width"], edges: EdgeSet, n_receivers: int
) -> Float[Array, "receiver width"]:
    return jax.ops.segment_sum(messages, edges.receivers, n_receivers, indices_are_sorted=True)
