"""The processor: interaction steps along the mesh, in tiles of edges, with a hand-written backward pass.

The automatic gradient of a loop over tiles that updates edges in place would save a copy of all edges for each tile.
Here the backward pass loops over the tiles again. Edges and mesh nodes before a step are those after it minus the
step's increments, so neither are saved. Saved for each edge is the output of its first map, from which one product
gives its message; for mesh nodes, which are few, every value that saves a product.
"""

import dataclasses
from functools import partial, reduce

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from airmass.core.types import Array
from airmass.models.mesh.tiles import SHARED, EdgeTiles
from airmass.models.nn.interaction import Interaction, add_at_receivers, at_receivers, fused_matmul
from airmass.models.nn.loops import at_place, over_tiles, summed_over, with_place
from airmass.models.nn.mlp import Linear
from airmass.models.nn.perceptron import InteractionMaps
from airmass.models.nn.product import product
from airmass.models.nn.summed import LinearAfterSum

Nodes = Float[Array, "mesh width"]
Edges = Float[Array, "tile edge width"]


class SavedActivations(eqx.Module):
    """Values of each step saved for the backward pass, in the precision of products. `normed` is None if recomputed."""

    incoming: Float[Array, "step mesh width"]
    mesh_first: Float[Array, "step mesh hidden"]
    mesh_normed: Float[Array, "step mesh width"]
    mesh_inverse: Float[Array, "step mesh"]
    first: Float[Array, "step tile edge hidden"]
    inverse: Float[Array, "step tile edge"]
    normed: Float[Array, "step tile edge width"] | None


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def interact(
    keep: bool,
    space: str | None,
    steps: Interaction,
    carry: tuple[Nodes, Edges],
    edges: EdgeTiles,
    on_kinds: Float[Array, "kind hidden"] | None = None,
) -> tuple[Nodes, Edges]:
    """Mesh nodes and edges after all steps of the stack `steps`, in float32 at every precision of the weights.

    `on_kinds` replaces the edges' part of the first map while edges of a kind are still equal: for the first step only.
    With `keep`, no product over edges is recomputed in the backward pass, for twice the memory. `space` names the axis
    of devices that share the edges; each device has all nodes.
    """
    numbers = jnp.arange(_count(steps))
    return _forward(space, steps, edges, (*carry, None), numbers, on_kinds)[:2]


def _forward(space, steps: Interaction, edges: EdgeTiles, carry, numbers, on_kinds):
    def step(carry, numbered):
        number, interaction = numbered
        return _step(space, number, interaction, edges, carry, on_kinds), None

    return over_tiles(step, carry, (numbers, steps))[0]


def _step(space, number, interaction: Interaction, edges: EdgeTiles, carry, on_kinds):
    mesh, edge, kept = carry
    parts = InteractionMaps.of(interaction)
    on_nodes, mapped = _rows_on_nodes(parts.on_nodes, mesh)
    low = mapped.dtype

    def tile(carry, rows):
        # The edges are carried and updated in place: as inputs and outputs of the loop they would exist twice.
        total, edge, kept = carry
        tile, senders, receivers, kinds = rows
        before = at_place(edge, tile)
        on_edge = parts.on_edges(before.astype(low)) if on_kinds is None else on_kinds[kinds]
        groups, receiver = _groups(receivers)
        first = on_edge + _from_nodes(on_nodes, senders, receiver)
        normed, inverse = parts.messages(first)
        messages = parts.messages.scaled(normed)
        total = add_at_receivers(total, _of_groups(messages, groups < len(mesh)), receiver)
        kept = _put(kept, (number, tile), first=first, normed=normed, inverse=inverse)
        return (total, with_place(edge, before + messages, tile), kept), None

    (total, edge, kept), _ = over_tiles(tile, (jnp.zeros_like(mesh), edge, kept), _numbered(edges))
    incoming = summed_over(space, total).astype(low)
    first = mapped + parts.on_incoming(incoming)
    normed, inverse = parts.updates(first)
    kept = _put(kept, (number,), incoming=incoming, mesh_first=first, mesh_normed=normed, mesh_inverse=inverse)
    return mesh + parts.updates.scaled(normed), edge, kept


def last_step(
    interaction: Interaction, messages: LinearAfterSum, carry: tuple[Nodes, Edges], edges: EdgeTiles, space: str | None
) -> Nodes:
    """Mesh nodes after the last step, whose edges are not used.

    For inference only: the gradient of this loop takes longer than the hand-written one of `interact`.
    """
    mesh, edge = carry
    parts = InteractionMaps.of(interaction)
    on_nodes, mapped = _rows_on_nodes(parts.on_nodes, mesh)

    def tile(total, rows):
        edge, senders, receivers = rows
        groups, receiver = _groups(receivers)
        on_edge = parts.on_edges(edge.astype(mapped.dtype))
        first = on_edge + _from_nodes(on_nodes, senders, receiver)
        summands = (_of_groups(part, groups < len(mesh)) for part in messages.parts(first))
        return tuple(add_at_receivers(*pair, receiver) for pair in zip(total, summands, strict=True)), None

    rows = edge, edges.senders, edges.receivers
    total, _ = over_tiles(tile, messages.start(len(mesh)), rows)
    sums = tuple(summed_over(space, part) for part in total)
    return interaction.updated(mesh, mapped + messages.arriving(interaction, None)(sums))


def _forward_for_gradient(keep, space, steps: Interaction, carry, edges: EdgeTiles, on_kinds):
    mesh, edge = carry
    count, low = _count(steps), steps.dtype
    of_edges, of_nodes = (mlp.layers[0].bias.shape[-1] for mlp in (steps.edge_mlp, steps.node_mlp))
    kept = SavedActivations(
        incoming=jnp.empty((count, *mesh.shape), low),
        mesh_first=jnp.empty((count, len(mesh), of_nodes), low),
        mesh_normed=jnp.empty((count, *mesh.shape), low),
        mesh_inverse=jnp.empty((count, len(mesh)), jnp.float32),
        first=jnp.empty((count, *edge.shape[:-1], of_edges), low),
        inverse=jnp.empty((count, *edge.shape[:-1]), jnp.float32),
        normed=jnp.empty((count, *edge.shape), low) if keep else None,
    )
    mesh, edge, kept = _forward(space, steps, edges, (mesh, edge, kept), jnp.arange(count), on_kinds)
    return (mesh, edge), (steps, edges, kept, mesh, edge, on_kinds)


def _backward(keep, space, residuals, gradient):
    steps, edges, kept, mesh, edge, on_kinds = residuals
    for_kinds = None if on_kinds is None else jnp.zeros(on_kinds.shape, jnp.float32)

    def step(carry, numbered):
        number, interaction = numbered
        return _step_back(space, number, interaction, edges, kept, carry)

    carry, numbers = (*gradient, mesh, edge, for_kinds), jnp.arange(_count(steps))
    (for_mesh, for_edge, _, _, for_kinds), for_steps = over_tiles(step, carry, (numbers, steps), reverse=True)
    for_kinds = None if on_kinds is None else for_kinds.astype(on_kinds.dtype)
    return for_steps, (for_mesh, for_edge), None, for_kinds


interact.defvjp(_forward_for_gradient, _backward)


def _step_back(space, number, interaction: Interaction, edges: EdgeTiles, kept: SavedActivations, carry):
    """Gradients before a step and of its parameters, from those after it; nodes and edges before it are restored."""
    for_mesh, for_edge, mesh, edge, for_kinds = carry
    parts, back_to_interaction = jax.vjp(InteractionMaps.of, interaction)
    inverse, normed = at_place(kept.mesh_inverse, number), at_place(kept.mesh_normed, number)
    _, of_updates, for_mapped = parts.updates.back(at_place(kept.mesh_first, number), inverse, normed, for_mesh)
    mesh = mesh - parts.updates.scaled(normed)
    _, back = jax.vjp(_applied, parts.on_incoming, at_place(kept.incoming, number))
    of_incoming, for_incoming = back(for_mapped)
    for_incoming = summed_over(space, for_incoming.astype(jnp.float32))

    def tile(carry, rows):
        edge, for_edge, for_nodes, for_kinds, of_weight, of_messages = carry
        tile, senders, receivers, kinds = rows
        groups, receiver = _groups(receivers)
        arriving = jnp.where((receivers < len(mesh))[:, None], _spread(at_receivers(for_incoming, receiver)), 0)
        first, inverse = at_place(kept.first, number, tile), at_place(kept.inverse, number, tile)
        normed = None if kept.normed is None else at_place(kept.normed, number, tile)
        for_message = at_place(for_edge, tile) + arriving
        normed, of_tile, for_first = parts.messages.back(first, inverse, normed, for_message)
        of_messages = jax.tree.map(jnp.add, of_messages, of_tile)
        before = at_place(edge, tile) - parts.messages.scaled(normed)
        if for_kinds is None:
            _, back = jax.vjp(product, before.astype(first.dtype), parts.on_edges.weight)
            through_first, of_tile = back(for_first)
            # Reading this again from the edges that are updated in place would make a copy first.
            passing = for_message - arriving
            for_edge, of_weight = with_place(for_edge, passing + through_first, tile), of_weight + of_tile
        else:
            for_kinds = for_kinds.at[kinds].add(for_first.astype(for_kinds.dtype))
        wide = for_first.astype(jnp.float32)
        for_nodes = (
            for_nodes[0].at[senders].add(wide),
            add_at_receivers(for_nodes[1], _of_groups(wide, jnp.ones(groups.shape, bool)), receiver),
        )
        return (with_place(edge, before, tile), for_edge, for_nodes, for_kinds, of_weight, of_messages), None

    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, jnp.float32), (parts.on_edges.weight, parts.messages))
    for_nodes = jnp.zeros((len(mesh), parts.on_edges.bias.size)), jnp.zeros((len(mesh), parts.on_edges.bias.size))
    carry, _ = over_tiles(tile, (edge, for_edge, for_nodes, for_kinds, *zeros), _numbered(edges))
    edge, for_edge, for_nodes, for_kinds, of_weight, of_messages = carry
    # Each edge has one sender, so the sum over senders is the sum over edges.
    of_bias = for_nodes[0].sum(axis=0) if for_kinds is None else jnp.zeros_like(parts.on_edges.bias)
    _, back = jax.vjp(_on_nodes, parts.on_nodes, mesh)
    of_nodes, through_nodes = back((*_like(for_nodes, parts.on_nodes[:2]), for_mapped))
    of_edges = eqx.tree_at(lambda linear: (linear.weight, linear.bias), parts.on_edges, (of_weight, of_bias))
    of_parts = InteractionMaps(of_edges, of_nodes, of_incoming, of_messages, of_updates)
    (of_step,) = back_to_interaction(_like(of_parts, parts))
    return (for_mesh + through_nodes, for_edge, mesh, edge, for_kinds), of_step


def _applied(linear: Linear, x):
    return linear(x)


def _on_nodes(weights: tuple[Float[Array, "width hidden"], ...], mesh: Nodes):
    """A node's part of three first maps: as sender, as receiver, and in its own update."""
    return tuple(fused_matmul(mesh.astype(weights[0].dtype), *weights))


def _rows_on_nodes(weights: tuple[Float[Array, "width hidden"], ...], mesh: Nodes):
    """`_on_nodes` as rows, three for each node, and the last of them.

    Rows are gathered from the product as it is in memory; splitting it in three would copy it first.
    """
    rows = mesh.astype(weights[0].dtype) @ jnp.concatenate(weights, axis=-1)
    rows = rows.reshape(-1, weights[0].shape[-1])
    return rows, rows[2::3]


def _from_nodes(on_nodes: Float[Array, "three_mesh hidden"], senders, receiver) -> Float[Array, "edge hidden"]:
    """The nodes' part of the edges' first map; each edge has a sender, each group one receiver."""
    return on_nodes[3 * senders] + _spread(at_receivers(on_nodes, 3 * receiver + 1))


def _groups(receivers):
    """Receivers by group of `SHARED`, and the receiver of each group; padding has the highest number."""
    groups = receivers.reshape(-1, SHARED)
    return groups, groups.min(axis=1)


def _of_groups(values: Float[Array, "edge some"], counts: Bool[Array, "group shared"]) -> Float[Array, "group some"]:
    """Sums over each group's edges that count, as explicit additions: a reduction would materialise all summands."""
    values = values.reshape(*counts.shape, -1)
    summands = (jnp.where(counts[:, place, None], values[:, place], 0) for place in range(SHARED))
    return reduce(jnp.add, summands)


def _spread(at_groups: Float[Array, "group width"]) -> Float[Array, "edge width"]:
    return jnp.repeat(at_groups, SHARED, axis=0)


def _numbered(edges: EdgeTiles):
    return jnp.arange(edges.senders.shape[0]), edges.senders, edges.receivers, edges.kinds


def _put(kept: SavedActivations | None, place: tuple, **values) -> SavedActivations | None:
    """`kept` with values at `place`; None if nothing is saved."""
    if kept is None:
        return None
    fields = {name: getattr(kept, name) for name in values}
    put = {name: with_place(field, values[name], *place) for name, field in fields.items() if field is not None}
    return dataclasses.replace(kept, **put)


def _like(tree, template):
    return jax.tree.map(lambda x, like: x.astype(like.dtype), tree, template)


def _count(steps: Interaction) -> int:
    return jax.tree.leaves(steps)[0].shape[0]
