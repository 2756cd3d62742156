"""What trackers share: frames of fields, tracks, and the protocol of a tracker."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float

from airmass.fields.grid import LatLonGrid

Channel = tuple[str, int | None]  # variable and level in hPa


@dataclass(frozen=True)
class Frame:
    """Fields at one valid time, in the units of the table of variables."""

    time: np.datetime64
    grid: LatLonGrid
    fields: Mapping[Channel, Float[np.ndarray, "latitude longitude"]]

    def __getitem__(self, channel: Channel) -> Float[np.ndarray, "latitude longitude"]:
        return self.fields[channel]


@dataclass(frozen=True)
class Point:
    """A feature at one time: position in degrees, longitude in [0, 360), and its `values` by column name.

    Wind is in m s-1 and pressure in Pa.
    """

    time: np.datetime64
    lat: float
    lon: float
    values: Mapping[str, float]


@dataclass(frozen=True)
class Track:
    """Points of one feature in order of time; `name` is that of an observed storm, or a number within the run."""

    name: str
    points: tuple[Point, ...]


class Tracker(Protocol):
    """A method of finding tracks in the frames of one run: one initial time and member, or an analysis."""

    @property
    def name(self) -> str: ...

    @property
    def settings(self) -> Any:
        """Criteria, a dataclass."""
        ...

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Channels that every frame must have."""
        ...

    @property
    def columns(self) -> Mapping[str, str]:
        """Names and units of the values of each point."""
        ...

    def tracks(self, frames: Iterator[Frame], observed: Mapping[str, tuple[Point, ...]]) -> list[Track]:
        """Tracks in frames that come in order of time; each frame is looked at once, so that one is held at a time.

        `observed` are the points of storms until the initial time, which has one of each; they are continued.
        """
        ...
