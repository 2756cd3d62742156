"""Settings of a GraphCast with noise in its norms, free of JAX."""

from dataclasses import dataclass
from typing import Annotated

from airmass.core.typed import Range
from airmass.models.graphcast.settings import GraphCastSettings


@dataclass(frozen=True)
class GraphCastEnsembleSettings(GraphCastSettings):
    """Sizes of a GraphCast, and of the noise that moves its norms.

    A member's noise of a step is `noise_channels` normal numbers for the whole globe. Training scores `members` of an
    example together. Forecasts draw noise of the standard deviation `noise_scale`, training always of 1.
    """

    noise_channels: Annotated[int, Range(1, 4096)] = 32
    members: Annotated[int, Range(2, 256)] = 2
    noise_scale: Annotated[float, Range(0, 100)] = 1.0
