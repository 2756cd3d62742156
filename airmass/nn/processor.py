"""Interaction steps along a mesh, in tiles of edges, with a backward pass of their own.

Differentiated as it stands, a loop over tiles that changes edges in place keeps a copy of all edges for each tile.
Here the backward pass goes through the tiles again. An edge before a step is the edge after it less its message, so
that one array an edge and step is kept, the message before its norm's scale, and none of the edges themselves.
"""

import dataclasses
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from airmass.arrays import Array
from airmass.nn.interaction import Interaction, add_at_receivers, at_receivers, together
from airmass.nn.loops import over_tiles, summed_over
from airmass.nn.mlp import LayerNorm, Linear, inverse_deviation, through
from airmass.nn.summed import Behind
from airmass.tiles import SHARED, EdgeTiles

Nodes = Float[Array, "mesh width"]
Edges = Float[Array, "tile edge width"]


class Kept(eqx.Module):
    """What the backward pass needs of each step. `first` is None where it is made again."""

    mesh: Float[Array, "step mesh width"]
    incoming: Float[Array, "step mesh width"]
    normed: Float[Array, "step tile edge width"]
    inverse: Float[Array, "step tile edge"]
    first: Float[Array, "step tile edge hidden"] | None


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def interact(
    keep: bool,
    space: str | None,
    steps: Interaction,
    carry: tuple[Nodes, Edges],
    edges: EdgeTiles,
    on_kinds: Float[Array, "kind hidden"] | None = None,
) -> tuple[Nodes, Edges]:
    """Mesh nodes and edges, both in float32 whatever the weights are, after every step of the stack `steps`.

    `on_kinds` stands in for the edges' part of the first map where edges of a kind are still equal: for one step alone.
    With `keep`, no product over edges is made again in the backward pass, for twice the memory. `space` names the axis
    of devices that share the edges; each of them has all nodes.
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
    low = mesh.astype(interaction.dtype)
    on_senders, on_receivers, mapped = together(
        low, interaction.for_senders, interaction.for_receivers, interaction.for_updates
    )
    weights = _of_edges(interaction)

    def tile(carry, rows):
        # The edges are carried and changed in place: as inputs and outputs of the loop they would exist twice.
        total, edge, kept = carry
        tile, senders, receivers, kinds = rows
        before = edge[tile]
        on_edge = weights.first(before.astype(low.dtype)) if on_kinds is None else on_kinds[kinds]
        groups, receiver = _groups(receivers)
        first = on_edge + on_senders[senders] + _spread(at_receivers(on_receivers, receiver))
        wide = through(weights.tail, first).astype(jnp.float32)
        inverse = inverse_deviation(wide)
        normed = (wide * inverse).astype(low.dtype)
        messages = normed * weights.scale + weights.offset
        total = add_at_receivers(total, _of_groups(messages, groups < len(mesh)), receiver)
        kept = _put(kept, (number, tile), normed=normed, inverse=inverse[..., 0], first=first)
        return (total, edge.at[tile].set(before + messages), kept), None

    (total, edge, kept), _ = over_tiles(tile, (jnp.zeros_like(mesh), edge, kept), _numbered(edges))
    incoming = summed_over(space, total)
    kept = _put(kept, (number,), mesh=mesh, incoming=incoming)
    return interaction.update(mesh, mapped, incoming.astype(low.dtype)), edge, kept


def finish(
    interaction: Interaction, messages: Behind, carry: tuple[Nodes, Edges], edges: EdgeTiles, space: str | None
) -> Nodes:
    """Mesh nodes after one step more, the last, whose edges nothing reads. For forecasts alone: see `Behind`."""
    mesh, edge = carry
    low = mesh.astype(interaction.dtype)
    on_senders, on_receivers, mapped = together(
        low, interaction.for_senders, interaction.for_receivers, interaction.for_updates
    )

    def tile(total, rows):
        edge, senders, receivers = rows
        groups, receiver = _groups(receivers)
        on_edge = interaction.on_edges(edge.astype(low.dtype))
        first = on_edge + on_senders[senders] + _spread(at_receivers(on_receivers, receiver))
        parts = (_of_groups(part, groups < len(mesh)) for part in messages.parts(interaction, first, None))
        return tuple(add_at_receivers(*pair, receiver) for pair in zip(total, parts, strict=True)), None

    rows = edge, edges.senders, edges.receivers
    total, _ = over_tiles(tile, messages.start(interaction, len(mesh)), rows)
    sums = tuple(summed_over(space, part) for part in total)
    return interaction.updated(mesh, mapped + messages.arriving(interaction, None)(sums))


def _forward_for_gradient(keep, space, steps: Interaction, carry, edges: EdgeTiles, on_kinds):
    mesh, edge = carry
    count, hidden = _count(steps), steps.edge_mlp.layers[0].bias.shape[-1]
    nodes, low = jnp.empty((count, *mesh.shape), mesh.dtype), steps.dtype
    kept = Kept(
        nodes,
        nodes,
        jnp.empty((count, *edge.shape), low),
        jnp.empty((count, *edge.shape[:-1]), jnp.float32),
        jnp.empty((count, *edge.shape[:-1], hidden), low) if keep else None,
    )
    mesh, edge, kept = _forward(space, steps, edges, (mesh, edge, kept), jnp.arange(count), on_kinds)
    return (mesh, edge), (steps, edges, kept, edge, on_kinds)


def _backward(keep, space, residuals, gradient):
    steps, edges, kept, edge, on_kinds = residuals
    for_kinds = None if on_kinds is None else jnp.zeros(on_kinds.shape, jnp.float32)

    def step(carry, numbered):
        number, interaction = numbered
        return _step_back(space, number, interaction, edges, kept, carry, on_kinds)

    carry, numbers = (*gradient, edge, for_kinds), jnp.arange(_count(steps))
    (for_mesh, for_edge, _, for_kinds), for_steps = over_tiles(step, carry, (numbers, steps), reverse=True)
    for_kinds = None if on_kinds is None else for_kinds.astype(on_kinds.dtype)
    return for_steps, (for_mesh, for_edge), None, for_kinds


interact.defvjp(_forward_for_gradient, _backward)


def _step_back(space, number, interaction: Interaction, edges: EdgeTiles, kept: Kept, carry, on_kinds):
    """From gradients after a step to those before it and the step's own; the edges themselves go back with them."""
    for_mesh, for_edge, edge, for_kinds = carry
    mesh = kept.mesh[number]
    _, back = jax.vjp(_update, interaction, mesh, kept.incoming[number])
    of_update, mesh_by_update, for_incoming = back(for_mesh)
    for_incoming = summed_over(space, for_incoming)
    on_nodes, back_to_nodes = jax.vjp(_on_nodes, interaction, mesh)
    weights, back_to_weights = jax.vjp(_of_edges, interaction)

    def tile(carry, rows):
        edge, for_edge, for_nodes, for_kinds, of_weights = carry
        tile, senders, receivers, kinds = rows
        normed, inverse = kept.normed[number, tile], kept.inverse[number, tile][:, None]
        before = edge[tile] - (normed * weights.scale + weights.offset)
        _, receiver = _groups(receivers)
        arriving = _spread(at_receivers(for_incoming, receiver))
        for_message = for_edge[tile] + jnp.where((receivers < len(mesh))[:, None], arriving, 0)
        for_wide = inverse * _without(for_message * weights.scale, normed)
        if kept.first is not None:
            first = kept.first[number, tile]
        else:
            on_edge = weights.first(before.astype(normed.dtype)) if on_kinds is None else on_kinds[kinds]
            first = on_edge + on_nodes[0][senders] + _spread(at_receivers(on_nodes[1], receiver))
        _, back = jax.vjp(through, weights.tail, first)
        of_tail, for_first = back(for_wide.astype(normed.dtype))
        of_scale, of_offset = (for_message * normed).sum(axis=0), for_message.sum(axis=0)
        if on_kinds is None:
            _, back = jax.vjp(lambda linear, x: linear(x), weights.first, before.astype(normed.dtype))
            of_first, through_first = back(for_first)
            for_edge = for_edge.at[tile].add(through_first.astype(for_edge.dtype))
        else:
            of_first = jax.tree.map(jnp.zeros_like, weights.first)
            for_kinds = for_kinds.at[kinds].add(for_first.astype(for_kinds.dtype))
        of_tile = _EdgeWeights(of_first, of_tail, of_scale, of_offset)
        of_weights = jax.tree.map(lambda total, x: total + x, of_weights, of_tile)
        at_groups = for_first.reshape(-1, SHARED, for_first.shape[-1]).sum(axis=1)
        for_nodes = (
            for_nodes[0].at[senders].add(for_first.astype(jnp.float32)),
            add_at_receivers(for_nodes[1], at_groups, receiver),
        )
        return (edge.at[tile].set(before), for_edge, for_nodes, for_kinds, of_weights), None

    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, jnp.float32), (on_nodes, weights))
    (edge, for_edge, for_nodes, for_kinds, of_weights), _ = over_tiles(
        tile, (edge, for_edge, zeros[0], for_kinds, zeros[1]), _numbered(edges)
    )
    of_maps, mesh_by_maps = back_to_nodes(_like(for_nodes, on_nodes))
    (of_edges,) = back_to_weights(_like(of_weights, weights))
    of_step = jax.tree.map(lambda a, b, c: a + b + c, of_update, of_maps, of_edges)
    return (mesh_by_update + mesh_by_maps, for_edge, edge, for_kinds), of_step


class _EdgeWeights(eqx.Module):
    """The part of an interaction that runs over edges."""

    first: Linear
    tail: tuple[Linear, ...]
    scale: Float[Array, " width"]
    offset: Float[Array, " width"]


def _of_edges(interaction: Interaction) -> _EdgeWeights:
    norm = interaction.edge_mlp.norm
    assert isinstance(norm, LayerNorm)  # GenCast, whose norms have a condition, has a transformer in this place
    return _EdgeWeights(interaction.for_edges, interaction.edge_mlp.tail(), *norm.scale_and_offset())


def _on_nodes(interaction: Interaction, mesh: Nodes) -> tuple[Nodes, Nodes]:
    """The senders' and the receivers' part of the first map."""
    low = mesh.astype(interaction.dtype)
    on_senders, on_receivers = together(low, interaction.for_senders, interaction.for_receivers)
    return on_senders, on_receivers


def _update(interaction: Interaction, mesh: Nodes, incoming: Nodes) -> Nodes:
    low = mesh.astype(interaction.dtype)
    return interaction.update(mesh, low @ interaction.for_updates, incoming.astype(low.dtype))


def _without(gradient: Float[Array, "edge width"], normed: Float[Array, "edge width"]) -> Float[Array, "edge width"]:
    """A gradient less its part along `normed`, which scaling to unit variance takes away."""
    return gradient - normed * (gradient * normed).mean(axis=-1, keepdims=True)


def _groups(receivers):
    """Receivers by group of `SHARED`, and the one of each group; padding has the highest number."""
    groups = receivers.reshape(-1, SHARED)
    return groups, groups.min(axis=1)


def _of_groups(values: Float[Array, "edge some"], counts: Bool[Array, "group shared"]) -> Float[Array, "group some"]:
    """Sums over each group's edges that count."""
    return jnp.where(counts[..., None], values.reshape(*counts.shape, -1), 0).sum(axis=1)


def _spread(at_groups: Float[Array, "group width"]) -> Float[Array, "edge width"]:
    return jnp.repeat(at_groups, SHARED, axis=0)


def _numbered(edges: EdgeTiles):
    return jnp.arange(edges.senders.shape[0]), edges.senders, edges.receivers, edges.kinds


def _put(kept: Kept | None, place: tuple, **values) -> Kept | None:
    """`kept` with values at a place, where anything is kept."""
    if kept is None:
        return None
    fields = {name: getattr(kept, name) for name in values}
    put = {name: field.at[place].set(values[name]) for name, field in fields.items() if field is not None}
    return dataclasses.replace(kept, **put)


def _like(tree, template):
    return jax.tree.map(lambda x, like: x.astype(like.dtype), tree, template)


def _count(steps: Interaction) -> int:
    return jax.tree.leaves(steps)[0].shape[0]
