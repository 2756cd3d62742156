"""Functional generative networks (WeatherNext 2; Alet et al. 2025, arXiv:2506.10772): a frame from two and from noise.

A member's noise of a step is one short vector for the globe. It enters every norm, so that all points and layers are
moved together and fields stay consistent in space; members differ in nothing else.
"""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec
from jaxtyping import Float, PRNGKeyArray

from airmass.core.types import Array
from airmass.fields.channels import ChannelLayout
from airmass.fields.normalise import Normaliser
from airmass.fields.task import Task
from airmass.fields.variables import CYCLONE_EXISTS
from airmass.models.fgn.settings import FGNSettings
from airmass.models.graphcast.model import shared_axis
from airmass.models.grid_mesh import Decoder, DecoderEmbedded, Encoder, EncoderEmbedded
from airmass.models.members import draw, step
from airmass.models.mesh.graph import build_graphs
from airmass.models.mesh.icosphere import icosphere
from airmass.models.mesh.neighbours import Neighbours
from airmass.models.mesh.tiles import Tiles
from airmass.models.model import Trained
from airmass.models.nn.attention_choice import Attend
from airmass.models.nn.mlp import ConditionalNorm, in_precision
from airmass.models.nn.transformer import Transformer
from airmass.models.state import State

# Forcings that are the same all over the globe; mesh nodes read these alone.
UNIFORM = ("year_progress_cos", "year_progress_sin")
# Outputs between 0 and 1, by a sigmoid of the network's output less this: most points have no cyclone near.
UNIT_INTERVAL, _SHIFT = (CYCLONE_EXISTS,), 2.0
# Published conditioning maps start nearly, but not quite, at zero, so that members differ from the first update on.
_FIRST_CONDITIONING = 1e-8


class FGNNetwork(eqx.Module):
    """The graph transformer: normalised inputs and a condition in, scaled outputs out. Every leaf is a parameter."""

    condition_encoder: Float[Array, "noise condition"]
    encoder: Encoder
    transformer: Transformer
    decoder: Decoder
    recompute: int = eqx.field(static=True)

    def __init__(self, settings: FGNSettings, channels: int, mesh_channels: int, outputs: int, *, key: PRNGKeyArray):
        noise_key, encoder_key, transformer_key, decoder_key, norm_key = jax.random.split(key, 5)
        width, hidden, size = settings.width, settings.hidden_layers, settings.condition
        noise = jax.random.truncated_normal(noise_key, -2, 2, (settings.noise_channels, size))
        encoder = Encoder(
            channels, width, hidden, key=encoder_key, size_condition=size, mesh_channels=mesh_channels,
            edge_width=settings.edge_width, reads_receivers=False, divisor=settings.divisor,
        )  # fmt: skip
        transformer = Transformer(
            width, settings.layers, settings.heads, settings.feedforward, size, key=transformer_key
        )
        decoder = Decoder(outputs, width, hidden, key=decoder_key, size_condition=size, edge_width=settings.edge_width)
        self.condition_encoder = noise / jnp.sqrt(settings.noise_channels)
        parts = (encoder, _starting_as_identity(transformer), decoder)
        self.encoder, self.transformer, self.decoder = _barely_conditioned(parts, norm_key)
        self.recompute = settings.recompute

    def embedded(self, tiles: Tiles) -> "FGNEmbedded":
        """The part that depends on parameters and geometry alone."""
        return FGNEmbedded(self.encoder.embedded(tiles), self.decoder.embedded(tiles))

    def condition(self, noise: Float[Array, " noise"]) -> Float[Array, " condition"]:
        """The condition that every norm reads, from a member's noise."""
        return noise.astype(self.condition_encoder.dtype) @ self.condition_encoder

    def first_map(self, tiles: Tiles, x: Float[Array, "node channel"], tile) -> Float[Array, "node hidden"]:
        """The first linear map of a tile's grid nodes, which no noise enters."""
        return self.encoder.embed_grid.layers[0](jnp.concatenate([x, tiles.grid_features[tile]], axis=-1))

    def __call__(
        self,
        tiles: Tiles,
        neighbours: Neighbours,
        embedded: "FGNEmbedded",
        inputs: "Inputs",
        noise: Float[Array, " noise"],
    ) -> Float[Array, "grid target"]:
        condition, tile_by_tile = self.condition(noise), self.recompute > 0
        on_mesh = dataclasses.replace(embedded.encoder, mesh=self.encoder.embedded_mesh(tiles, inputs.on_mesh))
        encoded = self.encoder.precomputed(on_mesh, condition)
        grid, mesh = self.encoder(tiles, encoded, lambda tile: inputs.first[tile], condition, tile_by_tile)
        mesh = self.transformer(mesh, neighbours, condition, self.recompute)
        decoded = self.decoder.precomputed(embedded.decoder, condition)
        return self.decoder(tiles, decoded, grid, mesh, condition, tile_by_tile)


class FGNEmbedded(eqx.Module):
    """Embeddings of edges and mesh nodes up to the scale of their norm."""

    encoder: EncoderEmbedded
    decoder: DecoderEmbedded


class Inputs(eqx.Module):
    """Inputs of a step other than noise, shared by members that start from one state.

    `first` is the value of the first map on grid nodes, `on_mesh` the channels of all mesh nodes, `base` the newest
    frame with missing values filled, and `missing` says where any frame of the history had none.
    """

    first: Float[Array, "tile node hidden"]
    on_mesh: Float[Array, " channel"]
    base: Float[Array, "node prognostic"]
    missing: Float[Array, "node prognostic"]


class FGN(eqx.Module):
    """The forecast step of one member. Only `network` is trained; everything else is geometry, scales, static fields.

    `fill` replaces missing values (sea surface temperature over land) in inputs, one number a prognostic channel.
    `uniform` are the columns of forcings that mesh nodes read, `unit_interval` those of targets between 0 and 1.
    """

    network: FGNNetwork
    tiles: Tiles
    neighbours: Neighbours
    normaliser: Normaliser
    static: Float[Array, "node static"]
    fill: Float[Array, " prognostic"]
    step_hours: int = eqx.field(static=True)
    uniform: tuple[int, ...] = eqx.field(static=True)
    unit_interval: tuple[int, ...] = eqx.field(static=True)
    precision: str = eqx.field(static=True, default="float32")
    noise_scale: float = eqx.field(static=True, default=1.0)
    embedded: FGNEmbedded | None = None

    def ready(self, inference: bool = False) -> "FGN":
        """The same model with the part that neither weather nor noise enters computed, for use over many steps.

        The network's arithmetic is done in `precision`; scaling, residual sums and states stay float32. Whether a
        derivative will be taken, which `inference` denies, makes no difference here.
        """
        network, tiles = in_precision((self.network, self.tiles), self.precision)
        return dataclasses.replace(self, network=network, tiles=tiles, embedded=network.embedded(tiles))

    def specs(self) -> "FGN":
        """Where each array, or tree of arrays, lies on a mesh of devices that share an example: `tiles.specs`."""
        along, everywhere = PartitionSpec(self.tiles.space), PartitionSpec()
        parts: dict[str, Any] = dict.fromkeys(("network", "neighbours", "normaliser", "fill"), everywhere)
        parts |= {"static": along, "embedded": None if self.embedded is None else everywhere}
        return dataclasses.replace(self, tiles=self.tiles.specs(), **parts)

    def prepare(self, state: State, forcing: Float[Array, "window node forcing"]) -> Inputs:
        """Inputs that all members of a step from `state` share.

        `forcing` holds the frames at the history's times and at the target time.
        """
        missing = jnp.isnan(state.history).any(axis=0)
        history = self.filled(state.history)

        def first(_, tile):
            fields = (self.tiles.rows(field, tile) for field in (history, forcing, self.static))
            x = self.normaliser.inputs(*fields).astype(self.tiles.grid_features.dtype)
            return None, self.network.first_map(self.tiles, x, tile)

        _, on_grid = jax.lax.scan(first, None, jnp.arange(self.tiles.count))
        scaled = (forcing[:, 0] - self.normaliser.forcing_mean) / self.normaliser.forcing_std
        on_mesh = jnp.concatenate([scaled[:, column] for column in self.uniform]) if self.uniform else jnp.zeros(0)
        return Inputs(on_grid, on_mesh.astype(on_grid.dtype), history[-1], missing)

    def predict(self, inputs: Inputs, noise: Float[Array, " noise"]) -> Float[Array, "node target"]:
        """The network's output in the scaled space in which losses compare, of one member's noise."""
        embedded = self.embedded or self.network.embedded(self.tiles)
        output = self.network(self.tiles, self.neighbours, embedded, inputs, noise).astype(jnp.float32)
        for column in self.unit_interval:
            output = jnp.asarray(output).at[:, column].set(jax.nn.sigmoid(output[:, column] - _SHIFT))
        return output

    def target(self, inputs: Inputs, physical: Float[Array, "node target"]) -> Float[Array, "node target"]:
        """The target of `predict` for a physical frame without missing values: the inverse of `restore`."""
        return self.normaliser.target(physical, inputs.base)

    def restore(self, inputs: Inputs, output: Float[Array, "node target"]) -> Float[Array, "node target"]:
        """The physical frame, missing where the history was."""
        physical = self.normaliser.restore(output, inputs.base)
        newest = jnp.where(inputs.missing, jnp.nan, self.normaliser.prognostic(physical))
        return self.normaliser.with_prognostic(physical, newest)

    def step(
        self, state: State, forcing: Float[Array, "window node forcing"], *, key: PRNGKeyArray
    ) -> tuple[State, Float[Array, "node target"]]:
        """One step ahead of one member, whose noise is drawn from `key`: the next state and its physical frame."""
        return step(self, state, forcing, draw(self, key))

    @property
    def noise_channels(self) -> int:
        """Size of a member's noise of a step."""
        return self.network.condition_encoder.shape[0]

    @property
    def space(self) -> str | None:
        """The axis of devices that share a grid."""
        return self.tiles.space

    def advance(self, state: State, frame: Float[Array, "node target"]) -> State:
        """The state with `frame` as its newest."""
        return state.advanced(self.normaliser.prognostic(frame), self.step_hours)

    def filled(self, history: Float[Array, "*lead prognostic"]) -> Float[Array, "*lead prognostic"]:
        """Without missing values."""
        return jnp.where(jnp.isnan(history), self.fill, history)


def fgn(
    trained: Trained,
    static: Float[np.ndarray, "node static"],
    precision: str = "float32",
    parts: int = 1,
    attend: Attend | None = None,
) -> FGN:
    """The model on the grid of `trained`, over static fields; every leaf is an array of JAX.

    With `parts` above 1 it is for that many devices along the axis `space`. `attend` is what `attention_here` chose, by
    default plain JAX.
    """
    settings, task = trained.settings, trained.task
    assert isinstance(settings, FGNSettings) and trained.fill is not None
    level = settings.mesh_level
    graphs = build_graphs(
        trained.grid, level, settings.radius_fraction, finest_only=True, corner_length=settings.corner_length
    )
    neighbours = dataclasses.replace(Neighbours.within(icosphere(level), settings.hops), by=attend)
    tiles = Tiles.of(graphs, parts=parts, space=shared_axis(parts))
    model = FGN(
        trained.network, tiles, neighbours, trained.normaliser, static, trained.fill, task.step, uniform_columns(task),
        unit_interval_columns(task), precision, settings.noise_scale,
    )  # fmt: skip
    return jax.tree.map(jnp.asarray, model)


def sizes(task: Task) -> tuple[int, int, int]:
    """Channels of grid and mesh nodes (without the three structural ones), and outputs, of a network for `task`."""
    prognostic, static = (len(ChannelLayout.of(names, task.levels)) for names in (task.prognostic, task.static))
    channels = task.history * prognostic + (task.history + 1) * len(task.forcing) + static
    uniform = (task.history + 1) * len(uniform_columns(task))
    return channels, uniform, len(ChannelLayout.of(task.targets, task.levels))


def uniform_columns(task: Task) -> tuple[int, ...]:
    """Columns of the forcings that mesh nodes read."""
    return tuple(i for i, name in enumerate(task.forcing) if name in UNIFORM)


def unit_interval_columns(task: Task) -> tuple[int, ...]:
    """Columns of targets between 0 and 1."""
    channels = ChannelLayout.of(task.targets, task.levels).channels
    return tuple(i for i, (name, _) in enumerate(channels) if name in UNIT_INTERVAL)


def _starting_as_identity(transformer: Transformer) -> Transformer:
    """Blocks that add nothing before they have learned, and queries, keys and values of the published variance."""
    blocks = transformer.blocks
    layers = len(blocks.query)
    gain = jnp.sqrt(2 / layers)

    def changed(t: Transformer):
        return (
            t.blocks.attended.weight, t.blocks.down.weight,
            t.blocks.query, t.blocks.key, t.blocks.value, t.blocks.up.weight,
        )  # fmt: skip

    still = (jnp.zeros_like(blocks.attended.weight), jnp.zeros_like(blocks.down.weight))
    moved = (gain * leaf for leaf in (blocks.query, blocks.key, blocks.value, blocks.up.weight))
    return eqx.tree_at(changed, transformer, (*still, *moved))


def _barely_conditioned(parts, key: PRNGKeyArray):
    """The same modules with conditioning maps that are nearly zero."""
    norms, tree = jax.tree.flatten(parts, is_leaf=lambda leaf: isinstance(leaf, ConditionalNorm))
    keys = jax.random.split(key, len(norms))

    def first(norm, key):
        if not isinstance(norm, ConditionalNorm):
            return norm
        weight = norm.linear.weight
        drawn = _FIRST_CONDITIONING * jax.random.truncated_normal(key, -2, 2, weight.shape)
        return eqx.tree_at(lambda n: n.linear.weight, norm, drawn)

    return jax.tree.unflatten(tree, [first(norm, k) for norm, k in zip(norms, keys, strict=True)])
