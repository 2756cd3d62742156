"""A member of an ensemble depends on the seed, the initial time and its own number alone."""

import dataclasses
from itertools import islice

import jax
import numpy as np
import pytest

from airmass.data.loading.frames import Frames
from airmass.models.family import families
from airmass.models.members import draw
from airmass.models.members_family import MembersFamily
from airmass.models.runner import Written
from tests.models.test_family_contract import DATES, small_recipe
from tests.training.small import small_saved

STEPS = 2


@pytest.fixture(scope="module")
def case(small_store):
    """A random model, its task, the frames that it starts from, and their time."""
    recipe = small_recipe("fgn", calibrated=True, forced=())
    frames = Frames(small_store, recipe.task, DATES)
    saved = small_saved(recipe, frames)
    columns = list(saved.normaliser.prognostic_columns)
    history = frames.window(0, recipe.task.history)[..., columns]
    return saved.model(frames.static()), recipe.task, frames.grid, history, frames.times[1].astype("datetime64[ns]")


def run(case, members, seed=0, noise=None, made=None):
    model, task, grid, history, init = case
    runner = families()["fgn"].runner(model, task, grid, seed=seed, noise=noise)
    frames = runner.frames(history, init, members, *([made] if made else []))
    steps = [[np.asarray(frame) for frame in by_member] for by_member in islice(frames, STEPS)]
    return np.array(steps).swapaxes(0, 1)


@pytest.fixture(scope="module")
def three(case):
    return run(case, [0, 1, 2])


def test_a_member_does_not_depend_on_others(case, three):
    np.testing.assert_array_equal(run(case, [2])[0], three[2])
    assert all((a != b).any() for a, b in ((three[0], three[1]), (three[0], run(case, [0], seed=1)[0])))


def test_a_member_goes_on_from_its_newest_frames_to_the_same_bits(case, three):
    newest = np.asarray(case[0].normaliser.prognostic(three[1]))
    made = Written(1, [newest[:1]])
    np.testing.assert_array_equal(run(case, [1], made=made)[0, 0], three[1, 1])


def test_given_noise_is_that_of_its_member_and_step(case):
    noise = np.random.default_rng(0).normal(size=(2, STEPS, case[0].noise_channels)).astype(np.float32)
    both = run(case, [0, 1], noise=noise)
    np.testing.assert_array_equal(run(case, [0, 1], noise=noise[::-1])[::-1], both)
    assert (both[0] != both[1]).any()


@pytest.mark.parametrize("family", [n for n, f in families().items() if isinstance(f, MembersFamily)])
def test_noise_of_forecasts_has_the_scale_of_the_settings(small_store, family):
    """Drawn with half the scale, a member is that of half its noise; without any, members are one."""
    recipe = small_recipe(family, calibrated=True, forced=())
    frames = Frames(small_store, recipe.task, DATES)
    drawn = {}
    for scale in (1.0, 0.5, 0.0):
        settings = dataclasses.replace(recipe.model, noise_scale=scale)
        model = small_saved(dataclasses.replace(recipe, model=settings), frames).model(frames.static())
        drawn[scale] = draw(model, jax.random.key(5))
        assert drawn[scale].shape == (model.noise_channels,)
    np.testing.assert_array_equal(drawn[0.5], drawn[1.0] / 2)
    assert not drawn[0.0].any() and drawn[1.0].all()
