"""From the circulation model's layers and Gaussian grid to pressure levels and an evenly spaced grid."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

# Of the standard atmosphere, in K m-1: what air below ground is taken to follow.
LAPSE_RATE = 0.0065


class Column(NamedTuple):
    """The circulation model's state on its layers, top down, and its surface."""

    log_pressure: Float[jax.Array, "layer lon lat"]
    temperature: Float[jax.Array, "layer lon lat"]
    virtual_temperature: Float[jax.Array, "layer lon lat"]
    geopotential: Float[jax.Array, "layer lon lat"]
    surface_pressure: Float[jax.Array, "lon lat"]
    surface_geopotential: Float[jax.Array, "lon lat"]


class ToPressure:
    """Interpolation to pressure levels, linear in the logarithm of pressure.

    Below the lowest layer, also below ground, temperature rises by 6.5 K a km and geopotential follows
    hydrostatically, as is usual for analyses on pressure levels; everything else keeps the lowest layer's value, and
    the uppermost's above the top layer. `levels` are in hPa, pressures in Pa.
    """

    def __init__(self, levels: tuple[int, ...], column: Column, gravity: float, gas_constant: float):
        self.column, self.gas_constant = column, gas_constant
        # dlnT / dlnp at the lapse rate.
        self.exponent = LAPSE_RATE * gas_constant / gravity
        self.gravity = gravity
        target = jnp.log(jnp.asarray(levels, jnp.float32) * 100)[:, None, None]
        x = column.log_pressure
        self.thickness = jnp.diff(x, axis=0)
        # How far into each segment between two layers a level lies: 0 above it, 1 below it.
        self.fraction = jnp.clip((target[:, None] - x[:-1]) / self.thickness, 0, 1)
        self.below = jnp.maximum(target - x[-1], 0)
        self.above = jnp.minimum(target - x[0], 0)

    def linear(self, field: Float[jax.Array, "layer lon lat"]) -> Float[jax.Array, "level lon lat"]:
        return field[0] + jnp.einsum("lsxy,sxy->lxy", self.fraction, jnp.diff(field, axis=0))

    def temperature(self) -> Float[jax.Array, "level lon lat"]:
        return self.linear(self.column.temperature) * jnp.exp(self.exponent * self.below)

    def geopotential(self) -> Float[jax.Array, "level lon lat"]:
        """Hydrostatic between layers too: where virtual temperature is linear, geopotential is a parabola.

        A straight line instead would be up to 30 m too low half-way between two layers.
        """
        warm = self.column.virtual_temperature
        bend = self.thickness * jnp.diff(warm, axis=0)
        bend = jnp.einsum("lsxy,sxy->lxy", self.fraction * (1 - self.fraction), bend)
        inside = self.linear(self.column.geopotential) + self.gas_constant / 2 * bend
        under = warm[-1] / self.exponent * jnp.expm1(self.exponent * self.below)
        return inside - self.gas_constant * (under + warm[0] * self.above)

    def mean_sea_level_pressure(self) -> Float[jax.Array, "lon lat"]:
        """Surface pressure in Pa brought down to sea level through air at the lapse rate."""
        column = self.column
        depth = jnp.log(column.surface_pressure) - column.log_pressure[-1]
        surface_temperature = column.temperature[-1] * jnp.exp(self.exponent * depth)
        warming = LAPSE_RATE * column.surface_geopotential / (self.gravity * surface_temperature)
        return column.surface_pressure * jnp.exp(jnp.log1p(warming) / self.exponent)


class Regrid:
    """Conservative remapping from a Gaussian grid to an evenly spaced one: area means of the source's cells.

    A row of the Gaussian grid spans its quadrature weight in the sine of latitude, so that global means, of surface
    pressure first of all, are those of the circulation model to rounding.
    """

    def __init__(self, n_source: tuple[int, int], n_target: tuple[int, int]):
        """Grid sizes as (longitude, latitude)."""
        self.longitude = jnp.asarray(_longitude_overlaps(n_source[0], n_target[0]), jnp.float32)
        self.latitude = jnp.asarray(_latitude_overlaps(n_source[1], n_target[1]), jnp.float32)

    def __call__(self, field: Float[jax.Array, "*level lon lat"]) -> Float[jax.Array, "*level latitude longitude"]:
        return jnp.einsum("ax,by,...xy->...ba", self.longitude, self.latitude, field)

    def weighted(self, field: Float[jax.Array, "lon lat"], weight: Float[jax.Array, "lon lat"]) -> jax.Array:
        """Mean over the part of each target cell given by `weight`, without meaning where there is next to none."""
        return self(field * weight) / jnp.maximum(self(weight), 1e-3)


def _latitude_overlaps(n_source: int, n_target: int) -> Float[np.ndarray, "target source"]:
    _, weights = np.polynomial.legendre.leggauss(n_source)
    source = np.concatenate([[-1], np.cumsum(weights)[:-1] - 1, [1]])
    target = np.sin(np.linspace(-np.pi / 2, np.pi / 2, n_target + 1))
    return _overlaps(source, target)


def _longitude_overlaps(n_source: int, n_target: int) -> Float[np.ndarray, "target source"]:
    """Both grids have the centre of their first cell at 0 degrees, so cells are compared a turn to either side too."""
    source = (np.arange(-n_source, 2 * n_source + 1) - 0.5) / n_source
    target = (np.arange(n_target + 1) - 0.5) / n_target
    return _overlaps(source, target).reshape(n_target, 3, n_source).sum(axis=1)


def _overlaps(source: Float[np.ndarray, " m"], target: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n-1 m-1"]:
    """The share of each target cell that lies in each source cell, from the cells' bounds."""
    upper = np.minimum(target[1:, None], source[None, 1:])
    lower = np.maximum(target[:-1, None], source[None, :-1])
    return np.maximum(upper - lower, 0) / np.diff(target)[:, None]
