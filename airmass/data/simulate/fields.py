"""Interpolation from the circulation model's layers and Gaussian grid to pressure levels and an even grid."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

# Lapse rate of the standard atmosphere in K m-1, assumed below ground.
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

    Below the lowest layer, also below ground, temperature increases by 6.5 K a km and geopotential is hydrostatic, as
    in analyses on pressure levels; other fields have the lowest layer's value there. Above the top layer all have the
    top layer's value. `levels` are in hPa, pressures in Pa.
    """

    def __init__(self, levels: tuple[int, ...], column: Column, gravity: float, gas_constant: float):
        self.column, self.gas_constant = column, gas_constant
        # dlnT / dlnp at the lapse rate.
        self.exponent = LAPSE_RATE * gas_constant / gravity
        self.gravity = gravity
        target = jnp.log(jnp.asarray(levels, jnp.float32) * 100)[:, None, None]
        x = column.log_pressure
        self.thickness = jnp.diff(x, axis=0)
        # Position of a level in each segment between two layers: 0 above it, 1 below it.
        self.fraction = jnp.clip((target[:, None] - x[:-1]) / self.thickness, 0, 1)
        self.below = jnp.maximum(target - x[-1], 0)
        self.above = jnp.minimum(target - x[0], 0)

    def linear(self, field: Float[jax.Array, "layer lon lat"]) -> Float[jax.Array, "level lon lat"]:
        return field[0] + jnp.einsum("lsxy,sxy->lxy", self.fraction, jnp.diff(field, axis=0))

    def temperature(self) -> Float[jax.Array, "level lon lat"]:
        return self.linear(self.column.temperature) * jnp.exp(self.exponent * self.below)

    def geopotential(self) -> Float[jax.Array, "level lon lat"]:
        """Geopotential, hydrostatic between layers too: a parabola, since virtual temperature is linear there.

        Linear interpolation would be up to 30 m too low half-way between two layers.
        """
        warm = self.column.virtual_temperature
        bend = self.thickness * jnp.diff(warm, axis=0)
        bend = jnp.einsum("lsxy,sxy->lxy", self.fraction * (1 - self.fraction), bend)
        inside = self.linear(self.column.geopotential) + self.gas_constant / 2 * bend
        under = warm[-1] / self.exponent * jnp.expm1(self.exponent * self.below)
        return inside - self.gas_constant * (under + warm[0] * self.above)

    def mean_sea_level_pressure(self) -> Float[jax.Array, "lon lat"]:
        """Surface pressure in Pa reduced to sea level with the lapse rate."""
        column = self.column
        depth = jnp.log(column.surface_pressure) - column.log_pressure[-1]
        surface_temperature = column.temperature[-1] * jnp.exp(self.exponent * depth)
        warming = LAPSE_RATE * column.surface_geopotential / (self.gravity * surface_temperature)
        return column.surface_pressure * jnp.exp(jnp.log1p(warming) / self.exponent)


class Regrid:
    """Conservative remapping from a Gaussian grid to an evenly spaced one: area means of the source's cells.

    A row of the Gaussian grid has its quadrature weight as its width in the sine of latitude, so that global means,
    above all of surface pressure, are those of the circulation model up to rounding.
    """

    def __init__(self, n_source: tuple[int, int], n_target: tuple[int, int]):
        """Grid sizes as (longitude, latitude)."""
        self.longitude = jnp.asarray(_longitude_overlaps(n_source[0], n_target[0]), jnp.float32)
        self.latitude = jnp.asarray(_latitude_overlaps(n_source[1], n_target[1]), jnp.float32)

    def __call__(self, field: Float[jax.Array, "*level lon lat"]) -> Float[jax.Array, "*level latitude longitude"]:
        return jnp.einsum("ax,by,...xy->...ba", self.longitude, self.latitude, field)

    def weighted(self, field: Float[jax.Array, "lon lat"], weight: Float[jax.Array, "lon lat"]) -> jax.Array:
        """Mean over each target cell weighted by `weight`; meaningless where the weight is near zero."""
        return self(field * weight) / jnp.maximum(self(weight), 1e-3)


def _latitude_overlaps(n_source: int, n_target: int) -> Float[np.ndarray, "target source"]:
    _, weights = np.polynomial.legendre.leggauss(n_source)
    source = np.concatenate([[-1], np.cumsum(weights)[:-1] - 1, [1]])
    target = np.sin(np.linspace(-np.pi / 2, np.pi / 2, n_target + 1))
    return _overlaps(source, target)


def _longitude_overlaps(n_source: int, n_target: int) -> Float[np.ndarray, "target source"]:
    """Overlaps in longitude; both grids have their first cell centred at 0 degrees, so overlaps wrap around."""
    source = (np.arange(-n_source, 2 * n_source + 1) - 0.5) / n_source
    target = (np.arange(n_target + 1) - 0.5) / n_target
    return _overlaps(source, target).reshape(n_target, 3, n_source).sum(axis=1)


def _overlaps(source: Float[np.ndarray, " m"], target: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n-1 m-1"]:
    """The fraction of each target cell that is in each source cell, from the cells' bounds."""
    upper = np.minimum(target[1:, None], source[None, 1:])
    lower = np.maximum(target[:-1, None], source[None, :-1])
    return np.maximum(upper - lower, 0) / np.diff(target)[:, None]
