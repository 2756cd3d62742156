"""Settings of a GraphCast, free of JAX."""

from dataclasses import dataclass
from typing import Annotated

from airmass.core.typed import Range, check
from airmass.models.settings import ModelSettings


@dataclass(frozen=True)
class GraphCastSettings(ModelSettings):
    """Sizes of a GraphCast. The published 1 degree model has the defaults and 35,979,347 parameters.

    `corner_length` is what features of mesh to grid edges are divided by; None is the longest of them.
    `recompute` is memory for arithmetic in the backward pass. 0 keeps the activations of every layer. 1 keeps one array
    an edge and step and makes the others again, and all of encoder and decoder tile by tile. k keeps mesh nodes and
    edges every k steps alone, and what 0 keeps of the k steps it is at.
    """

    mesh_level: Annotated[int, Range(0, 8)] = 5
    width: Annotated[int, Range(1, 16384)] = 512
    steps: Annotated[int, Range(1, 1024)] = 16
    hidden_layers: Annotated[int, Range(1, 64)] = 1
    radius_fraction: Annotated[float, Range(0, 10, above=True)] = 0.6
    corner_length: Annotated[float, Range(0, above=True)] | None = None
    recompute: Annotated[int, Range(0, 1024)] = 1

    def __post_init__(self):
        check(self, "model")
