"""Examples turned about the Earth's axis."""

import dataclasses

import equinox as eqx
import jax
import numpy as np
import pytest

from airmass.core.errors import InputError
from airmass.data.loading.frames import Frames
from airmass.fields.grid import LatLonGrid
from airmass.models.objectives.base import Example
from airmass.training.rotation import require_rows, rotated
from tests.training.small import SMALL, small_model
from tests.training.test_update import Trainer, recipe_with


def test_everything_is_turned_by_the_same_number_of_columns(small_store):
    frames = Frames(small_store, SMALL.task)
    model, (rows, columns) = small_model(SMALL, frames), frames.grid.shape
    # The column that a point lies in, in every field; rows apart by a thousand.
    origin = (1000 * np.arange(rows)[:, None] + np.arange(columns)).reshape(1, -1, 1).astype(np.float32)
    example = Example(np.repeat(origin, 3, 0), np.repeat(origin, 3, 0), np.int32(7))
    shifts = set()
    for seed in range(20):
        read, turned = rotated(model, example, columns, jax.random.key(seed))
        shift = int(columns - turned.frames[0, 0, 0]) % columns
        expected = np.roll(origin.reshape(rows, columns), shift, axis=1).ravel()
        for field in (turned.frames, turned.forcings):
            np.testing.assert_array_equal(field[..., 0], np.broadcast_to(expected, field.shape[:2]))
        static = np.roll(np.asarray(model.static).reshape(rows, columns, -1), shift, axis=1).reshape(rows * columns, -1)
        np.testing.assert_array_equal(read.static, static)
        assert int(turned.valid_time) == 7
        shifts.add(shift)
    assert len(shifts) > columns / 3
    unforced = eqx.tree_at(lambda e: e.forcings, example, example.forcings[..., :0])
    assert rotated(model, unforced, columns, jax.random.key(0))[1].forcings.shape == unforced.forcings.shape


def test_updates_are_of_turned_examples(small_store):
    """A batch turned by hand, by the updates of a recipe without turning, has the loss of one that turns it."""
    turning = Trainer(recipe_with({"batch": 1, "rotate": True}), small_store)
    plain = Trainer(recipe_with({"batch": 1}), small_store)
    found = float(turning.update(0).loss)
    batch, model = plain.batch(0), plain.fixed.model
    (rows, columns), losses = plain.frames.grid.shape, []
    for shift in range(columns):

        def turn(field, shift=shift):
            split = np.asarray(field).reshape(*field.shape[:-2], rows, columns, field.shape[-1])
            return np.roll(split, shift, axis=-2).reshape(field.shape)

        fields = turn(batch.examples.frames), turn(batch.examples.forcings)
        whole = eqx.tree_at(lambda b: (b.examples.frames, b.examples.forcings), batch, fields)
        plain.fixed = plain.fixed._replace(model=dataclasses.replace(model, static=turn(model.static)))
        losses.append(float(plain.update(0, whole).loss))
    assert np.ptp(losses) > 1e-4 * found and np.isclose(losses, found, rtol=1e-6).any()


def test_a_device_must_have_whole_rows():
    with pytest.raises(InputError, match=r"whole rows on every device: 181 rows on devices.space 2"):
        require_rows(LatLonGrid.equiangular(181, 360, poles=True), 2)
    require_rows(LatLonGrid.equiangular(32, 64), 2)
