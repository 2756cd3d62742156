"""Sizes of a functional generative network. Importing this needs no JAX."""

from dataclasses import dataclass
from typing import Annotated

from airmass.core.errors import InputError
from airmass.core.typed import Range, check
from airmass.models.settings import ModelSettings


@dataclass(frozen=True)
class FGNSettings(ModelSettings):
    """Sizes of a functional generative network; the defaults are those of the published WeatherNext 2 at 0.25 degrees.

    A member's noise of a step is `noise_channels` normal numbers for the whole globe, from which one matrix makes the
    condition of size `condition` that every norm reads. Edges have `edge_width` channels. Sums of messages that reach
    mesh nodes are divided by `divisor`. Training scores `members` of an example together. `corner_length` is what
    features of mesh to grid edges are divided by; None is the longest of them. Forecasts draw noise of the standard
    deviation `noise_scale`, training always of 1: above 1 members spread more than they learned to.

    With `recompute` 0 the backward pass finds every activation kept; with k it makes those of k blocks at a time again,
    and those of each tile of encoder and decoder.
    """

    mesh_level: Annotated[int, Range(0, 8)] = 6
    width: Annotated[int, Range(1, 16384)] = 768
    layers: Annotated[int, Range(1, 1024)] = 24
    heads: Annotated[int, Range(1, 1024)] = 6
    hops: Annotated[int, Range(1, 256)] = 32
    feedforward: Annotated[int, Range(1, 65536)] = 3072
    hidden_layers: Annotated[int, Range(1, 64)] = 1
    edge_width: Annotated[int, Range(1, 16384)] = 32
    noise_channels: Annotated[int, Range(1, 4096)] = 32
    condition: Annotated[int, Range(1, 4096)] = 32
    divisor: Annotated[float, Range(0, 1e6, above=True)] = 4.0
    members: Annotated[int, Range(2, 256)] = 2
    noise_scale: Annotated[float, Range(0, 100)] = 1.0
    radius_fraction: Annotated[float, Range(0, 10, above=True)] = 0.6
    corner_length: Annotated[float, Range(0, above=True)] | None = None
    recompute: Annotated[int, Range(0, 1024)] = 1

    def __post_init__(self):
        check(self, "model")
        if self.width % self.heads:
            raise InputError(f"model.width is {self.width}, expected a multiple of model.heads, {self.heads}")
