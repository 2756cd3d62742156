"""Convolutions on the sphere's latitude-longitude grid: periodic in longitude, across the poles in latitude."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Float, PRNGKeyArray

from airmass.core.errors import InputError
from airmass.core.types import Array
from airmass.models.nn.mlp import unit_gain
from airmass.models.nn.product import product


class Convolution(eqx.Module):
    """A linear map of each node's neighbourhood of `size` x `size` grid points, without a bias.

    As one matrix product over gathered neighbourhoods: on a CPU its gradient takes twice its own time, and optimisers
    see the matrix that it is.
    """

    weight: Float[Array, "in out"]
    size: int = eqx.field(static=True)

    def __init__(self, channels: int, outputs: int, size: int, *, key: PRNGKeyArray):
        self.weight, self.size = unit_gain(key, size * size * channels, outputs), size

    def __call__(
        self, x: Float[Array, "*lead row column channel"], on_poles: bool = False
    ) -> Float[Array, "*lead row column output"]:
        rows, columns = x.shape[-3:-1]
        padded = padded_on_sphere(x, self.size // 2, on_poles)
        shifts = [(i, j) for i in range(self.size) for j in range(self.size)]
        around = jnp.concatenate([padded[..., i : i + rows, j : j + columns, :] for i, j in shifts], axis=-1)
        return product(around, self.weight)


def padded_on_sphere(
    x: Float[Array, "*lead row column channel"], width: int, on_poles: bool
) -> Float[Array, "*lead padded_row padded_column channel"]:
    """The field with `width` more grid points on every side, as they lie on the sphere.

    East of the last column is the first. Beyond a pole lies the same latitude half the way round; a row on the pole
    itself (`on_poles`) is not repeated. Latents have no direction that would turn about there.
    """
    rows, columns = x.shape[-3:-1]
    if width > min(rows - on_poles, columns):
        raise InputError(f"a grid of {rows} x {columns} is too small for a kernel of {2 * width + 1}")
    beyond = jnp.roll(x, columns // 2, axis=-2)
    south = beyond[..., on_poles : width + on_poles, :, :][..., ::-1, :, :]
    north = beyond[..., rows - width - on_poles : rows - on_poles, :, :][..., ::-1, :, :]
    whole = jnp.concatenate([south, x, north], axis=-3)
    return jnp.concatenate([whole[..., columns - width :, :], whole, whole[..., :width, :]], axis=-2)
