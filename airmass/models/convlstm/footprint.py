"""What a ConvLSTM takes before it is compiled."""

from airmass.models.convlstm.model import POSITIONS, network_sizes
from airmass.models.convlstm.settings import ConvLSTMSettings
from airmass.models.footprint import Footprint, Sizes, UpdateCosts, Work, fixed_channels, largest_first, parameter_bytes

# Bytes of a CPU's process that forecasts, and of one that compiles an update.
_BASE, _BASE_OF_UPDATE = 480e6, 1000e6
# How much longer all takes than the matrix products: neighbourhoods are gathered for each of them.
_OVERHEAD = 1.6
# Rows as wide as the network that the backward pass finds by node, besides neighbourhoods: of a layer's frame, of an
# encoded frame, and of the decoder; as XLA has them on a CPU at 64 x 32 and 96 x 45, widths of 32 to 128.
_LAYER_ROWS, _FRAME_ROWS, _DECODER_ROWS = 7, 8, 6
# Scaled inputs, targets, outputs and what is between.
_FRAMES = 7


def footprint(settings: ConvLSTMSettings, sizes: Sizes) -> Footprint:
    """Memory and arithmetic of a forecast."""
    nodes, row, area = sizes.nodes, sizes.size * settings.width, settings.kernel**2
    history = sizes.task.history
    parts = {
        "Python, JAX and compiling": 0 if sizes.accelerator else _BASE,
        "parameters": parameter_bytes(sizes, settings),
        "state and forcings": 4 * nodes
        * (3 * history * sizes.prognostic + 3 * sizes.targets + fixed_channels(sizes.task)),
        "latents of all frames": 2 * history * nodes * row,
        "neighbourhoods and gates": nodes * row * (2 * area + 8),
    }  # fmt: skip
    return Footprint(largest_first(parts), 2 * _products(settings, sizes.task) * nodes)


def update_costs(settings: ConvLSTMSettings, work: Work) -> UpdateCosts:
    """Memory and arithmetic of an update."""
    flops = (3 + work.made_again) * footprint(settings, Sizes(work.task, work.shape)).flops
    area, history = settings.kernel**2, work.task.history
    row = work.together * (work.size if work.accelerator else 4) * settings.width * work.nodes
    # What is gone back to is gathered for every frame but the first.
    layers = settings.layers * (area * (2 * history - 1) + _LAYER_ROWS * history)
    ends = history * (area + _FRAME_ROWS) + 2 * area + _DECODER_ROWS
    activations = {
        "activations of the layers": work.copies * layers * row,
        "activations of encoder and decoder": work.copies * ends * row,
        "neighbourhoods gone back through": 2 * area * row,
    }
    return UpdateCosts(_BASE_OF_UPDATE, 0, activations, _FRAMES, flops, _OVERHEAD)


def _products(settings: ConvLSTMSettings, task) -> float:
    """Of a node: each frame's encoding, its part of every layer, and the decoder."""
    width, area, (channels, outputs) = settings.width, settings.kernel**2, network_sizes(task)
    frames = task.history * ((channels + POSITIONS) * width + area * width**2)
    layers = settings.layers * area * 4 * width**2 * (2 * task.history - 1)
    return frames + layers + 2 * area * width**2 + width * outputs
