"""What GenCast learns from: noise levels and losses against closed forms."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from airmass.data.examples import Examples
from airmass.data.loader import Frames
from airmass.diffusion.schedule import SamplerSettings, TrainingNoise
from airmass.diffusion.sphere import SphereNoise
from airmass.errors import InputError
from airmass.losses.squared_error import SquaredError
from airmass.models.gencast import GenCastSettings
from airmass.training.denoising import DenoisingObjective
from airmass.training.objective import Example
from airmass.training.settings import DiffusionSettings, TrainingSettings
from tests.training.small import SMALL, small_model

TINY = dataclasses.replace(
    SMALL,
    model=GenCastSettings(
        mesh_level=1, width=8, layers=2, heads=2, hops=2, feedforward=16, encoder_sizes=(8, 8), recompute=0
    ),
    training=TrainingSettings(updates=(6,), rollout=(1,), batch=2),
    diffusion=DiffusionSettings(sampling=SamplerSettings(levels=3)),
)


def test_a_network_that_says_nothing_is_off_by_the_noise_or_by_the_change(small_store):
    """With c_skip x alone the error of x0 is (s n - s2 x0) / (s2 + 1), and the weight is (s2 + 1) / s2."""
    frames = Frames(small_store, TINY.task)
    model = small_model(TINY, frames)
    model = eqx.tree_at(
        lambda m: m.network.decoder.output.layers[-1],
        model,
        replace_fn=lambda last: jax.tree.map(jnp.zeros_like, last),
    )
    loss = jax.tree.map(jnp.asarray, SquaredError(TINY.loss, frames.layout, frames.grid))
    white = SphereNoise.build(frames.grid.latitude, frames.grid.longitude)
    batch = Examples(frames, TINY.loader, 0, 16).read(0, 1)
    examples = [Example(*(leaf[i] for leaf in batch)) for i in range(16)]

    @eqx.filter_jit
    def one(model, example, key, noise):
        return DenoisingObjective(loss, white, noise, TINY.task.history)(model, example, key)[0]

    def mean(low: float, high: float) -> float:
        noise = TrainingNoise(max_noise=high, min_noise=low)
        return float(np.mean([one(model, e, jax.random.key(i), noise) for i, e in enumerate(examples)]))

    def change(example: Example) -> float:
        last = model.normaliser.prognostic(example.frames[1])
        target = model.normaliser.target(example.frames[2], last)
        return float(loss(jnp.zeros_like(target), target)[0])

    # Little noise: its own unit variance at every point. Much noise: the change itself.
    np.testing.assert_allclose(mean(0.02, 0.03), float(np.sum(loss.by_variable)), rtol=0.1)
    np.testing.assert_allclose(mean(80.0, 88.0), np.mean([change(e) for e in examples]), rtol=0.03)


@pytest.mark.parametrize(("training", "sampling"), [((0.03, 88.0), (0.03, 80.0)), ((0.02, 80.0), (0.03, 80.0))])
def test_noise_ranges_that_touch_are_refused(training, sampling):
    with pytest.raises(InputError, match="expected training to be wider on both ends"):
        DiffusionSettings(
            TrainingNoise(min_noise=training[0], max_noise=training[1]),
            SamplerSettings(min_noise=sampling[0], max_noise=sampling[1]),
        )


def test_a_recipe_knows_diffusion_where_its_model_does():
    with pytest.raises(InputError, match="settings of diffusion"):
        dataclasses.replace(TINY, diffusion=None)
    with pytest.raises(InputError, match="expected 1: GenCast learns one frame"):
        dataclasses.replace(TINY, training=TrainingSettings(updates=(1,), rollout=(2,)))
