"""Memory and arithmetic of functional generative networks, estimated before anything is compiled.

Counted as for GenCast, which has the same encoder, transformer and decoder, with narrow edges and one evaluation of the
network a frame.
"""

from dataclasses import replace

from airmass.models.fgn.settings import FGNSettings
from airmass.models.footprint import Footprint, Sizes, UpdateCosts, Work, fixed_channels, largest_first, parameter_bytes
from airmass.models.mesh.counts import (
    Counts,
    attended,
    attention,
    encoder_and_decoder,
    table_bytes,
    transformer_activations,
)
from airmass.models.mesh.neighbours import BLOCK

# Bytes on a CPU of the process, without and with a compiled update; time of all divided by that of matrix products.
_BASE, _BASE_OF_UPDATE, _OVERHEAD = 630e6, 1980e6, 1.25
# Latents between encoder and decoder with their gradients; scaled frames of a member and step.
_LATENTS, _FRAMES = 4, 6


def footprint(settings: FGNSettings, sizes: Sizes) -> Footprint:
    """Memory and arithmetic of a forecast."""
    n, width, task = _counts(settings, sizes.shape), settings.width, sizes.task
    row, kinds = sizes.size * width, n.encoder_kinds + n.decoder_kinds
    masks, scores = attention(settings, n.mesh)
    channels = task.history * sizes.prognostic + fixed_channels(task) / 2
    parts = {
        "Python, JAX and compiling": 0 if sizes.accelerator else _BASE,
        "parameters": parameter_bytes(sizes, settings),
        "edges before weather": table_bytes(n) + sizes.size * settings.edge_width * kinds,
        "first maps of edges": row * kinds,
        "attention masks": masks,
        # In, out and on the host; the frame besides is held while it is written.
        "state and forcings": 4
        * n.grid
        * (3 * task.history * sizes.prognostic + 3 * sizes.targets + fixed_channels(task)),
        "grid latents": 2 * row * n.grid,
        "mesh latents and one tile": n.mesh * (5 * row + 2 * sizes.size * settings.feedforward)
        + row * 2 * n.tile_edges
        + 4 * BLOCK * attended(settings, n.mesh) * 3 * settings.heads,
    }
    products = (
        n.grid * width * channels
        + encoder_and_decoder(n, width, settings.hidden_layers, sizes.targets)
        + settings.layers * n.mesh * (4 * width**2 + 2 * width * settings.feedforward)
        + scores / 2
        + kinds * settings.edge_width * width
    )
    return Footprint(largest_first(parts), 2 * products, 1)


def update_costs(settings: FGNSettings, work: Work) -> UpdateCosts:
    """Memory and arithmetic of an update, in which the members of an example go side by side, as examples do."""
    n, members = _counts(settings, work.shape), settings.members // work.member
    # Attention makes its scores again whatever else is kept: one of its two products.
    scores = attention(settings, n.mesh)[1] / 2
    again = work.made_again + (settings.recompute > 0)
    flops = (3 + again) * footprint(settings, Sizes(work.task, work.shape)).flops + scores
    all_members = replace(work, together=work.together * members)
    activations = transformer_activations(settings, n, all_members, _LATENTS)
    return UpdateCosts(_BASE_OF_UPDATE, table_bytes(n), activations, _FRAMES * members, members * flops, _OVERHEAD)


def _counts(settings: FGNSettings, shape: tuple[int, int]) -> Counts:
    return Counts.of(settings, shape, finest_only=True)
