"""Distance of an initial state from the climate that a checkpoint learned."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from airmass.data.plausible import HEAVY_TAILS, Channel, Usual
from airmass.fields.variables import VARIABLES

# Of 360 frames of a simulated climate none is farther than 1.43; a real analysis against that climate is at 1.63.
OUTSIDE = 1.5


@dataclass(frozen=True)
class Departure:
    """The channel whose frame is farthest from the means of the statistics, as a root mean square, in spreads.

    A frame of the climate itself is 1 spread from its mean, by the definition of a spread; less than 1 is a calmer one.
    """

    channel: Channel
    spreads: float

    @property
    def factor(self) -> float:
        """The ratio to the climate's own distance, or its inverse where it is less."""
        return max(self.spreads, 1 / self.spreads) if self.spreads else np.inf

    @property
    def outside(self) -> bool:
        return self.factor > OUTSIDE

    def __str__(self) -> str:
        name, level = self.channel
        at = f" at {level} hPa" if level is not None else ""
        found = f"{name}{at} is {self.spreads:.2f} spreads from the mean of the checkpoint's climate"
        own = "where its own states are 1 (root mean square)"
        return f"{found}, {own}: {'outside of what it learned' if self.outside else 'within what it learned'}"


def departure(frame: Float[np.ndarray, "node channel"], channels: Sequence[Channel], usual: Usual) -> Departure | None:
    """The channel of a frame that is farthest from the statistics; None if all have heavy tails.

    Humidity, rain and vertical velocity are left out: single storms make them far. Grid points count alike, as in the
    statistics.
    """
    found = []
    for column, channel in enumerate(channels):
        if channel in usual and VARIABLES[channel[0]].units not in HEAVY_TAILS:
            mean, spread = usual[channel]
            away = (frame[:, column].astype(np.float64) - mean) / spread
            found.append(Departure(channel, float(np.sqrt(np.nanmean(away**2)))))
    return max(found, key=lambda one: one.factor, default=None)
