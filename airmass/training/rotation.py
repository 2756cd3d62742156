"""Rotation of examples about the Earth's axis, so that a model meets more weather than its few days hold.

The laws of motion are the same at every longitude, but for the surface below: an example is as true after it has been
turned with everything that it lies on.
"""

from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float, PRNGKeyArray

from airmass.core.errors import InputError
from airmass.core.types import Array
from airmass.fields.grid import LatLonGrid
from airmass.models.objectives.base import Example


def require_rows(grid: LatLonGrid, space: int) -> None:
    """Raise InputError where a device along the axis `space` would have a part of a row."""
    if (rows := grid.shape[0]) % space:
        raise InputError(f"training.rotate needs whole rows on every device: {rows} rows on devices.space {space}")


def rotated(model: Any, example: Example, columns: int, key: PRNGKeyArray) -> tuple[Any, Example]:
    """An example, with the static fields of the model that reads it, turned by a random number of grid columns."""
    shift = jax.random.randint(key, (), 0, columns)

    def turn(field: Float[Array, "*lead node channel"]) -> Float[Array, "*lead node channel"]:
        *lead, nodes, channels = field.shape
        rows = field.reshape(*lead, nodes // columns, columns, channels)
        return jnp.roll(rows, shift, axis=-2).reshape(field.shape)

    turned = eqx.tree_at(lambda e: (e.frames, e.forcings), example, (turn(example.frames), turn(example.forcings)))
    return replace(model, static=turn(model.static)), turned
