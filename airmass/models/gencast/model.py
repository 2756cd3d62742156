"""GenCast (Price et al. 2025, doi:10.1038/s41586-024-08252-9): a denoiser of the next frame given the last two."""

import dataclasses
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec
from jaxtyping import Float, PRNGKeyArray

from airmass.core.types import Array
from airmass.diffusion.precondition import denoise
from airmass.fields.channels import ChannelLayout
from airmass.fields.grid import LatLonGrid
from airmass.fields.linear_residual import Calibration, LinearResidual
from airmass.fields.normalise import Normaliser
from airmass.fields.task import Task
from airmass.models.gencast.settings import GenCastSettings
from airmass.models.graphcast.model import network_sizes, shared_axis
from airmass.models.grid_mesh import (
    Decoder,
    DecoderEmbedded,
    DecoderPrecomputed,
    Encoder,
    EncoderEmbedded,
    EncoderPrecomputed,
)
from airmass.models.mesh.graph import build_graphs
from airmass.models.mesh.icosphere import icosphere
from airmass.models.mesh.neighbours import Neighbours
from airmass.models.mesh.tiles import Tiles
from airmass.models.nn.attention_choice import Attend
from airmass.models.nn.mlp import Linear, in_precision
from airmass.models.nn.transformer import Transformer
from airmass.models.state import State


class NoiseEncoder(eqx.Module):
    """Noise level to condition: waves of its logarithm, all cosines first, through a small perceptron."""

    layers: tuple[Linear, ...]
    frequencies: int = eqx.field(static=True)
    base_period: float = eqx.field(static=True)

    def __init__(self, settings: GenCastSettings, *, key: PRNGKeyArray):
        sizes = [2 * settings.frequencies, *settings.encoder_sizes]
        keys = jax.random.split(key, len(sizes) - 1)
        self.layers = tuple(Linear(a, b, key=k) for a, b, k in zip(sizes[:-1], sizes[1:], keys, strict=True))
        self.frequencies, self.base_period = settings.frequencies, settings.base_period

    def __call__(self, sigma: Float[Array, ""]) -> Float[Array, " condition"]:
        angles = 2 * math.pi / self.base_period * jnp.arange(1, self.frequencies + 1) * jnp.log(sigma)
        x = self.layers[0](jnp.concatenate([jnp.cos(angles), jnp.sin(angles)]))
        for layer in self.layers[1:]:
            x = layer(jax.nn.gelu(x))
        return x.astype(self.layers[0].weight.dtype)


class DenoiserNetwork(eqx.Module):
    """The graph transformer between scaled noisy targets and the preconditioned output. Every leaf is a parameter."""

    noise_encoder: NoiseEncoder
    encoder: Encoder
    transformer: Transformer
    decoder: Decoder
    recompute: int = eqx.field(static=True)

    def __init__(self, settings: GenCastSettings, channels: int, outputs: int, *, key: PRNGKeyArray):
        noise_key, encoder_key, transformer_key, decoder_key = jax.random.split(key, 4)
        width, hidden, size = settings.width, settings.hidden_layers, settings.encoder_sizes[-1]
        self.noise_encoder = NoiseEncoder(settings, key=noise_key)
        self.encoder = Encoder(channels, width, hidden, key=encoder_key, size_condition=size)
        self.transformer = Transformer(
            width, settings.layers, settings.heads, settings.feedforward, size, key=transformer_key
        )
        self.decoder = Decoder(outputs, width, hidden, key=decoder_key, size_condition=size)
        self.recompute = settings.recompute

    def embedded(self, tiles: Tiles) -> "DenoiserEmbedded":
        """The part that depends on parameters and geometry alone."""
        return DenoiserEmbedded(self.encoder.embedded(tiles), self.decoder.embedded(tiles))

    def precomputed(self, embedded: "DenoiserEmbedded", sigma: Float[Array, ""]) -> "DenoiserPrecomputed":
        """The part that depends on the noise level too, shared by all members."""
        condition = self.noise_encoder(sigma)
        return DenoiserPrecomputed(
            condition,
            self.encoder.precomputed(embedded.encoder, condition),
            self.decoder.precomputed(embedded.decoder, condition),
        )

    def fixed(self, tiles: Tiles, x: Float[Array, "node channel"], tile) -> Float[Array, "node hidden"]:
        """The first linear map of a tile's nodes without the noisy targets: shared by all noise levels of a frame.

        `x` are the conditioning channels; noisy targets follow them in the rows of the weight, structural features
        close it.
        """
        first = self.encoder.embed_grid.layers[0]
        return x @ first.weight[: x.shape[-1]] + tiles.grid_features[tile] @ first.weight[-3:] + first.bias

    def __call__(
        self,
        tiles: Tiles,
        neighbours: Neighbours,
        precomputed: "DenoiserPrecomputed",
        fixed: Float[Array, "tile node hidden"],
        noisy: Float[Array, "grid target"],
    ) -> Float[Array, "grid target"]:
        targets = noisy.shape[-1]
        for_noisy = self.encoder.embed_grid.layers[0].weight[-3 - targets : -3]

        def first(tile):
            return fixed[tile] + tiles.rows(noisy, tile) @ for_noisy

        condition, tile_by_tile = precomputed.condition, self.recompute > 0
        grid, mesh = self.encoder(tiles, precomputed.encoder, first, condition, tile_by_tile)
        mesh = self.transformer(mesh, neighbours, condition, self.recompute)
        return self.decoder(tiles, precomputed.decoder, grid, mesh, condition, tile_by_tile)


class DenoiserEmbedded(eqx.Module):
    """Embeddings of edges and mesh nodes up to the scale of their norm."""

    encoder: EncoderEmbedded
    decoder: DecoderEmbedded


class DenoiserPrecomputed(eqx.Module):
    """The network's view of its graphs at one noise level."""

    condition: Float[Array, " condition"]
    encoder: EncoderPrecomputed
    decoder: DecoderPrecomputed


class PreparedFrame(eqx.Module):
    """The known part of a frame before it is sampled.

    `fixed` is the conditioning part of the first map, `base` what targets are added to: the newest frame with missing
    values filled, or what is expected after the history. `missing` says where any frame of the history had none.
    `expected` is what a calibration expects after the history.
    """

    fixed: Float[Array, "tile node hidden"]
    base: Float[Array, "node prognostic"]
    missing: Float[Array, "node prognostic"]
    expected: Float[Array, "node prognostic"] | None = None


class GenCast(eqx.Module):
    """The denoiser and what surrounds it. Only `network` is trained.

    `fill` replaces missing values (sea surface temperature over land) in inputs, one number a prognostic channel. A
    `calibration` is done to every frame that is drawn; training knows none.
    """

    network: DenoiserNetwork
    tiles: Tiles
    neighbours: Neighbours
    normaliser: Normaliser
    static: Float[Array, "node static"]
    fill: Float[Array, " prognostic"]
    step_hours: int = eqx.field(static=True)
    precision: str = eqx.field(static=True, default="float32")
    linear_residual: LinearResidual | None = None
    calibration: Calibration | None = None
    embedded: DenoiserEmbedded | None = None

    @property
    def space(self) -> str | None:
        """The axis of devices that share the grid."""
        return self.tiles.space

    def ready(self, inference: bool = False) -> "GenCast":
        """The same model with the part that neither weather nor noise level enters computed.

        The network's arithmetic is done in `precision`; scaling, sampling, residual sums and states stay float32.
        Whether a derivative will be taken, which `inference` denies, makes a difference to GraphCast alone.
        """
        network, tiles = in_precision((self.network, self.tiles), self.precision)
        return dataclasses.replace(self, network=network, tiles=tiles, embedded=network.embedded(tiles))

    def specs(self) -> "GenCast":
        """Where each array, or tree of arrays, lies on a mesh of devices that share an example: `tiles.specs`.

        The transformer's mesh nodes are on every device, and each of them runs all of it.
        """
        along, everywhere = PartitionSpec(self.tiles.space), PartitionSpec()
        parts: dict[str, Any] = dict.fromkeys(("network", "neighbours", "normaliser", "fill"), everywhere)
        parts |= {"static": along, "embedded": None if self.embedded is None else everywhere}
        parts |= {"linear_residual": None if self.linear_residual is None else everywhere}
        parts |= {"calibration": None if self.calibration is None else everywhere}
        return dataclasses.replace(self, tiles=self.tiles.specs(), **parts)

    def precomputed(self, sigma: Float[Array, ""]) -> DenoiserPrecomputed:
        """The part of `denoise` that depends on the noise level alone."""
        embedded = self.embedded or self.network.embedded(self.tiles)
        return self.network.precomputed(embedded, sigma)

    def prepare(self, state: State, forcing: Float[Array, "window node forcing"]) -> PreparedFrame:
        """Inputs shared by every denoising of the frame after `state`.

        `forcing` holds the frames at the history's times and at the target time.
        """
        missing = jnp.isnan(state.history).any(axis=0)
        history = self.filled(state.history)
        base = history[-1] if self.linear_residual is None else self.linear_residual.expected(history)

        def fixed(_, tile):
            fields = (self.tiles.rows(field, tile) for field in (history, forcing, self.static))
            x = self.normaliser.inputs(*fields)
            if self.linear_residual is not None:
                change = self.tiles.rows(base - history[-1], tile)
                x = jnp.concatenate([x, change / self.normaliser.prognostic(self.normaliser.target_scale)], axis=-1)
            return None, self.network.fixed(self.tiles, x.astype(self.tiles.grid_features.dtype), tile)

        _, fixed_map = jax.lax.scan(fixed, None, jnp.arange(self.tiles.count))
        expected = None if self.calibration is None else self.calibration.residual.expected(history)
        return PreparedFrame(fixed_map, base, missing, expected)

    def denoise(
        self,
        frame: PreparedFrame,
        noisy: Float[Array, "node target"],
        sigma: Float[Array, ""],
        precomputed: DenoiserPrecomputed | None = None,
    ) -> Float[Array, "node target"]:
        """Expected scaled targets given them plus noise of standard deviation `sigma`."""
        precomputed = precomputed or self.precomputed(sigma)

        def network(scaled, _):
            low = scaled.astype(frame.fixed.dtype)
            return self.network(self.tiles, self.neighbours, precomputed, frame.fixed, low).astype(jnp.float32)

        return denoise(network, noisy, sigma)

    def target(self, frame: PreparedFrame, physical: Float[Array, "node target"]) -> Float[Array, "node target"]:
        """The target of `denoise` for a physical frame without missing values: the inverse of `restore`."""
        scaled = self.normaliser.target(physical, frame.base)
        if self.linear_residual is None:
            return scaled
        return self.normaliser.with_prognostic(
            scaled, self.linear_residual.whitened(self.normaliser.prognostic(scaled))
        )

    def coloured(self, scaled: Float[Array, "node target"]) -> Float[Array, "node target"]:
        """Targets in units of the normaliser's scales."""
        if self.linear_residual is None:
            return scaled
        return self.normaliser.with_prognostic(
            scaled, self.linear_residual.coloured(self.normaliser.prognostic(scaled))
        )

    def counted(self, errors: Float[Array, "node target"]) -> Float[Array, "node target"]:
        """Errors of targets as a loss should see them: harmonics by their share in a channel whose spread is one."""
        if self.linear_residual is None:
            return errors
        coloured = self.linear_residual.coloured(self.normaliser.prognostic(errors))
        return self.normaliser.with_prognostic(errors, coloured / self.linear_residual.size)

    def restore(self, frame: PreparedFrame, scaled: Float[Array, "node target"]) -> Float[Array, "node target"]:
        """The physical frame, missing where the history was."""
        physical = self.normaliser.restore(self.coloured(scaled), frame.base)
        newest = self.normaliser.prognostic(physical)
        if self.calibration is not None:
            assert frame.expected is not None
            newest = self.calibration(newest, frame.expected)
        whole = self.normaliser.with_prognostic(physical, jnp.where(frame.missing, jnp.nan, newest))
        return self.normaliser.bounded(whole)

    def advance(self, state: State, frame: Float[Array, "node target"]) -> State:
        """The state with `frame` as its newest."""
        return state.advanced(self.normaliser.prognostic(frame), self.step_hours)

    def filled(self, history: Float[Array, "*lead prognostic"]) -> Float[Array, "*lead prognostic"]:
        """Without missing values."""
        return jnp.where(jnp.isnan(history), self.fill, history)


def gencast(
    network: DenoiserNetwork,
    settings: GenCastSettings,
    grid: LatLonGrid,
    normaliser: Normaliser,
    static: Float[np.ndarray, "node static"],
    fill: Float[np.ndarray, " prognostic"],
    step_hours: int,
    precision: str = "float32",
    parts: int = 1,
    attend: Attend | None = None,
    linear_residual: LinearResidual | None = None,
    calibration: Calibration | None = None,
) -> GenCast:
    """GenCast on `grid`, as `graphcast`. `fill` replaces missing values, by prognostic channel.

    `attend` is what `attention_here` chose, by default plain JAX. `linear_residual` is drawn in place of changes where
    the settings ask for that, `calibration` is there where one has been measured.
    """
    linear_residual = linear_residual if settings.linear_residual else None
    graphs = build_graphs(
        grid, settings.mesh_level, settings.radius_fraction, finest_only=True, corner_length=settings.corner_length
    )
    neighbours = dataclasses.replace(Neighbours.within(icosphere(settings.mesh_level), settings.hops), by=attend)
    tiles = Tiles.of(graphs, parts=parts, space=shared_axis(parts))
    model = GenCast(
        network, tiles, neighbours, normaliser, static, fill, step_hours, precision, linear_residual, calibration
    )
    return jax.tree.map(jnp.asarray, model)


def denoiser_sizes(task: Task, linear_residual: bool = False) -> tuple[int, int]:
    """Input channels (without the three structural ones) and outputs of a denoiser for `task`."""
    channels, outputs = network_sizes(task)
    expected = len(ChannelLayout.of(task.prognostic, task.levels)) if linear_residual else 0
    return channels + expected + outputs, outputs
