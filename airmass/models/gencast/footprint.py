"""What GenCast takes before it is compiled."""

from airmass.models.footprint import Footprint, Sizes, UpdateCosts, Work, fixed_channels, largest_first, parameter_bytes
from airmass.models.gencast.settings import GenCastSettings
from airmass.models.mesh.counts import (
    Counts,
    attended,
    attention,
    encoder_and_decoder,
    table_bytes,
    transformer_activations,
)
from airmass.models.mesh.neighbours import BLOCK

# Peak of whole forecasts on a 10 degree grid with a network of width 16 or 32, bytes.
_BASE = 630e6
# Bytes on a CPU where an update is compiled and not read from the cache: fitted to runs of `gencast-demo`.
_BASE_OF_UPDATE = 1980e6
# How much longer all takes than the matrix products: fitted to gradients of GenCast Mini at 1 degree.
_OVERHEAD = 1.25
# Latents between encoder and decoder, of the conditioning and the gradients of both; scaled frames, noise with them.
_LATENTS, _FRAMES = 4, 8


def footprint(settings: GenCastSettings, sizes: Sizes) -> Footprint:
    """Memory and arithmetic of a forecast."""
    n, width, row = _counts(settings, sizes.shape), settings.width, sizes.size * settings.width
    task, prognostic, targets, together = sizes.task, sizes.prognostic, sizes.targets, sizes.together
    masks, scores = attention(settings, n.mesh)
    geometry = row * (n.encoder_kinds + n.decoder_kinds + n.mesh)
    parts = {
        "Python, JAX and compiling": 0 if sizes.accelerator else _BASE,
        "parameters": parameter_bytes(sizes, settings),
        "edges and nodes before weather": table_bytes(n) + geometry,
        # At one noise level, and at the next, which JAX prepares meanwhile.
        "edges and nodes at a noise level": 2 * (geometry + row * n.mesh),
        "attention masks": masks,
        "noise tables": noise_tables(sizes.shape),
        "state and forcings": 4 * n.grid * (3 * together * task.history * prognostic + fixed_channels(task)),
        "conditioning on the last frames": together * n.grid * (row + 5 * prognostic),
        "the sampler's fields": 4 * n.grid * targets * (4 * together + 3),
        "grid latents": row * n.grid,
        "mesh latents and one tile": n.mesh * (5 * row + 2 * sizes.size * settings.feedforward)
        + row * 2 * n.tile_edges
        + 4 * BLOCK * attended(settings, n.mesh) * 3 * settings.heads,
    }
    square = width**2
    products = (
        n.grid * width * targets
        + encoder_and_decoder(n, width, settings.hidden_layers, targets)
        + settings.layers * n.mesh * (4 * square + 2 * width * settings.feedforward)
        + scores / 2
        + (n.encoder_kinds + n.decoder_kinds + n.mesh) * square / together
    )
    return Footprint(largest_first(parts), 2 * products, sizes.evaluations)


def update_costs(settings: GenCastSettings, work: Work) -> UpdateCosts:
    """Memory and arithmetic of an update."""
    n = _counts(settings, work.shape)
    # Attention makes its scores again whatever else is kept: one of its two products.
    scores = attention(settings, n.mesh)[1] / 2
    again = work.made_again + (settings.recompute > 0)
    flops = (3 + again) * footprint(settings, Sizes(work.task, work.shape)).flops + scores
    return UpdateCosts(_BASE_OF_UPDATE, table_bytes(n), _activations(settings, n, work), _FRAMES, flops, _OVERHEAD)


def noise_tables(shape: tuple[int, int]) -> float:
    """Of Legendre functions that noise is drawn with: a triangle of degrees and orders over half of the rows."""
    return 2.0 * (shape[1] // 2) ** 2 * ((shape[0] + 1) // 2)


def _counts(settings: GenCastSettings, shape: tuple[int, int]) -> Counts:
    return Counts.of(settings, shape, finest_only=True)


def _activations(settings: GenCastSettings, n: Counts, work: Work) -> dict[str, float]:
    """Bytes of activations in the backward pass; on several devices each has all of the transformer."""
    return transformer_activations(settings, n, work, _LATENTS) | {"noise tables": noise_tables(work.shape)}
