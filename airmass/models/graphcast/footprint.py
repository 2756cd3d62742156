"""What GraphCast takes before it is compiled."""

from airmass.models.footprint import Footprint, Sizes, UpdateCosts, Work, fixed_channels, largest_first, parameter_bytes
from airmass.models.graphcast.model import network_sizes
from airmass.models.graphcast.settings import GraphCastSettings
from airmass.models.mesh.counts import Counts, MeshWork, encoder_and_decoder, table_bytes

# Peak of whole forecasts on a 10 degree grid with a network of width 16 or 32, bytes.
_BASE = 570e6
# Bytes on a CPU where an update is compiled and not read from the cache: fitted to runs of `demo`.
_BASE_OF_UPDATE = 1650e6
# How much longer all takes than the matrix products: fitted to gradients at 1 degree with `recompute` 1. The mesh's
# edges are gathered, added up and written in every step.
_OVERHEAD = 1.4
# Of a forward pass, what the backward pass makes again with `recompute` of 0, 1 and more.
_MADE_AGAIN = (0, 0.6, 1)
# Latents between encoder and decoder, and scaled inputs, targets, outputs and what is between.
_LATENTS, _FRAMES = 2, 7


def footprint(settings: GraphCastSettings, sizes: Sizes) -> Footprint:
    """Memory and arithmetic of a forecast."""
    n, width, row = Counts.of(settings, sizes.shape), settings.width, sizes.size * settings.width
    task, prognostic, targets = sizes.task, sizes.prognostic, sizes.targets
    parts = {
        "Python, JAX and compiling": 0 if sizes.accelerator else _BASE,
        "parameters": parameter_bytes(sizes, settings),
        "edges and nodes before weather": table_bytes(n)
        + row * (n.encoder_kinds + n.decoder_kinds + 2 * n.mesh + 2 * n.mesh_kinds),
        # In, out and on the host; the frame besides is held while it is written.
        "state and forcings": 4 * n.grid * (3 * task.history * prognostic + 3 * targets + fixed_channels(task)),
        "grid latents": row * n.grid,
        "mesh edges": 2 * row * n.mesh_edges,
        "mesh latents and one tile": row * (5 * n.mesh + 2 * n.tile_edges),
    }
    hidden, square = settings.hidden_layers, width**2
    products = (
        n.grid * width * (network_sizes(task)[0] + 3)
        + encoder_and_decoder(n, width, hidden, targets)
        + settings.steps * (n.mesh_edges * (1 + hidden) + n.mesh * (4 + hidden)) * square
        - n.mesh_edges * square  # the first step's edges are geometry
    )
    return Footprint(largest_first(parts), 2 * products)


def update_costs(settings: GraphCastSettings, work: Work) -> UpdateCosts:
    """Memory and arithmetic of an update."""
    n = Counts.of(settings, work.shape)
    again = work.made_again + _MADE_AGAIN[min(settings.recompute, 2)]
    flops = (3 + again) * footprint(settings, Sizes(work.task, work.shape)).flops
    return UpdateCosts(_BASE_OF_UPDATE, table_bytes(n), _activations(settings, n, work), _FRAMES, flops, _OVERHEAD)


def _activations(settings: GraphCastSettings, n: Counts, work: Work) -> dict[str, float]:
    """Bytes of activations in the backward pass."""
    on_mesh, every, layers = MeshWork(n, settings, work, _LATENTS, True), settings.recompute, settings.steps
    # The first step, whose edges are still geometry, stands by itself; of the others some are groups' starts only.
    kept = layers if every <= 1 else 1 + min(every, layers - 1)
    starts = 0 if every <= 1 else (layers - 1) // every
    # An interaction keeps what the first map gave, and unless it is made again the message before its scale.
    edges = kept * on_mesh.of_edges(1 if every == 1 else 2) + starts * on_mesh.wide
    # After the last step, and the gradient; in a rollout those of the step's start besides.
    at_work = (4 if work.rollout > 1 else 2) * on_mesh.wide * n.mesh_edges / work.space
    examples = work.together * work.copies
    return on_mesh.shared | {
        "activations on mesh edges": examples * edges * n.mesh_edges / work.space,
        "activations on mesh nodes": examples * (3 * kept + starts) * on_mesh.wide * n.mesh,
        "edges or a tile gone back through": work.together * (max(at_work, on_mesh.tile) if every else at_work),
    }
