"""Settings of a GraphCast, free of JAX."""

from dataclasses import dataclass

from airmass.models.settings import ModelSettings, check_recompute


@dataclass(frozen=True)
class GraphCastSettings(ModelSettings):
    """Sizes of a GraphCast. The published 1 degree model has the defaults and 35,979,347 parameters.

    `corner_length` is what features of mesh to grid edges are divided by; None is the longest of them.
    `recompute` is memory for arithmetic in the backward pass. 0 keeps the activations of every layer. 1 keeps one array
    an edge and step and makes the others again, and all of encoder and decoder tile by tile. k keeps mesh nodes and
    edges every k steps alone, and what 0 keeps of the k steps it is at.
    """

    mesh_level: int = 5
    width: int = 512
    steps: int = 16
    hidden_layers: int = 1
    radius_fraction: float = 0.6
    corner_length: float | None = None
    recompute: int = 1

    def __post_init__(self):
        check_recompute(self.recompute)
