"""Channels: labelled fields are packed into one array, with a channel for every (variable, level), and unpacked."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Float

from airmass.core.errors import InputError
from airmass.fields.grid import LatLonGrid
from airmass.fields.variables import VARIABLES

Channel = tuple[str, int | None]


@dataclass(frozen=True)
class ChannelLayout:
    """Channels in order. Each is a variable's long name and its level in hPa, None for a field not on levels."""

    channels: tuple[Channel, ...]

    @classmethod
    def of(cls, names: tuple[str, ...], levels: tuple[int, ...]) -> "ChannelLayout":
        """Channels by variable name, then by level: the order of the published models."""
        channels: list[Channel] = []
        for name in sorted(names):
            channels += [(name, level) for level in levels] if VARIABLES[name].on_levels else [(name, None)]
        return cls(tuple(channels))

    def __len__(self) -> int:
        return len(self.channels)

    @property
    def variables(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for name, _ in self.channels))

    def levels(self, name: str) -> tuple[int, ...]:
        return tuple(level for found, level in self.channels if found == name and level is not None)

    def columns(self, name: str) -> slice:
        """The slice of a variable's channels, which are contiguous."""
        first = [found for found, _ in self.channels].index(name)
        return slice(first, first + max(1, len(self.levels(name))))

    def index(self, channel: Channel) -> int:
        try:
            return self.channels.index(channel)
        except ValueError:
            name, level = channel
            raise InputError(f"no channel for {name}{'' if level is None else f' at {level} hPa'}") from None

    def pack(self, dataset: xr.Dataset) -> Float[np.ndarray, "*time node channel"]:
        """Stack fields of dims ([time,] [level,] latitude, longitude) into channels on grid nodes, as float32."""
        parts = []
        for name in self.variables:
            field = dataset[name]
            if levels := self.levels(name):
                field = field.sel(level=list(levels)).transpose(..., "latitude", "longitude", "level")
            else:
                field = field.transpose(..., "latitude", "longitude").expand_dims("level", axis=-1)
            values = np.asarray(field.values, np.float32)
            parts.append(values.reshape(*values.shape[:-3], -1, values.shape[-1]))
        return np.concatenate(parts, axis=-1)

    def unpack(self, array: Float[np.ndarray, "*lead node channel"], grid: LatLonGrid) -> Mapping[str, np.ndarray]:
        """Fields by name, of shape (*lead, [level,] latitude, longitude)."""
        fields = {}
        for name in self.variables:
            values = np.asarray(array[..., self.columns(name)])
            values = np.moveaxis(values, -1, -2).reshape(*values.shape[:-2], -1, *grid.shape)
            fields[name] = values if self.levels(name) else values[..., 0, :, :]
        return fields
