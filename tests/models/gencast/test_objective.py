"""What GenCast learns from: noise levels and losses against closed forms."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from airmass.core.errors import InputError
from airmass.data.loading.examples import Examples
from airmass.data.loading.frames import Frames
from airmass.data.preparation.linear_residuals import linear_residual_of
from airmass.diffusion.noise_levels import TrainingNoise
from airmass.diffusion.samplers.dpmpp_2s import DPMSolver2S
from airmass.diffusion.sphere import SphereNoise
from airmass.fields.harmonics import Harmonics
from airmass.fields.linear_residual import LinearResidual
from airmass.fields.normalise import Normaliser
from airmass.forecasting.checkpoints.model_file import named_leaves, read_model
from airmass.models.gencast.model import GenCast
from airmass.models.gencast.objective import GenCastObjective
from airmass.models.gencast.settings import DiffusionSettings, GenCastSettings
from airmass.models.objectives.base import Example
from airmass.models.objectives.losses.base import WeightedLoss
from airmass.models.state import State
from airmass.recipes.settings import DeviceSettings, TrainingSettings
from airmass.training.run_folder import WarmStart
from airmass.training.train import train
from tests.training.small import SMALL, small_model

TINY = dataclasses.replace(
    SMALL,
    model=GenCastSettings(
        mesh_level=1, width=8, layers=2, heads=2, hops=2, feedforward=16, encoder_sizes=(8, 8), recompute=0
    ),
    training=TrainingSettings(updates=(6,), rollout=(1,), batch=2),
    diffusion=DiffusionSettings(sampling=DPMSolver2S(levels=3)),
)


INNOVATION = dataclasses.replace(TINY, model=dataclasses.replace(TINY.model, linear_residual=True))


def _silent(model: GenCast) -> GenCast:
    last = model.network.decoder.output.layers[-1]
    return eqx.tree_at(lambda m: m.network.decoder.output.layers[-1], model, jax.tree.map(jnp.zeros_like, last))


@pytest.mark.slow
def test_a_network_that_says_nothing_is_off_by_the_noise_or_by_the_change(small_store):
    """With c_skip x alone the error of x0 is (s n - s2 x0) / (s2 + 1), and the weight is (s2 + 1) / s2."""
    frames = Frames(small_store, TINY.task)
    model = _silent(small_model(TINY, frames))
    loss = jax.tree.map(jnp.asarray, WeightedLoss(TINY.loss, frames.layout, frames.grid))
    white = SphereNoise.build(frames.grid.latitude, frames.grid.longitude)
    batch = Examples(frames, TINY.loader, 0, 16).read(0, 1)
    examples = [Example(*(leaf[i] for leaf in batch)) for i in range(16)]

    @eqx.filter_jit
    def one(model, example, key, noise):
        return GenCastObjective(loss, white, noise, TINY.task.history)(model, example, key)[0]

    def mean(low: float, high: float) -> float:
        noise = TrainingNoise(max_noise=high, min_noise=low)
        return float(np.mean([one(model, e, jax.random.key(i), noise) for i, e in enumerate(examples)]))

    def change(example: Example) -> float:
        last = model.normaliser.prognostic(example.frames[1])
        target = model.normaliser.target(example.frames[2], last)
        return float(loss(jnp.zeros_like(target)[None], target)[0])

    # Little noise: its own unit variance at every point. Much noise: the change itself.
    np.testing.assert_allclose(mean(0.02, 0.03), float(np.sum(loss.weights.by_variable)), rtol=0.1)
    np.testing.assert_allclose(mean(80.0, 88.0), np.mean([change(e) for e in examples]), rtol=0.03)


@pytest.mark.parametrize(("training", "sampling"), [((0.03, 88.0), (0.03, 80.0)), ((0.02, 80.0), (0.03, 80.0))])
def test_noise_ranges_that_touch_are_refused(training, sampling):
    with pytest.raises(InputError, match="expected a range wider on both ends"):
        DiffusionSettings(
            TrainingNoise(min_noise=training[0], max_noise=training[1]),
            DPMSolver2S(min_noise=sampling[0], max_noise=sampling[1]),
        )


def test_noise_that_should_last_in_harmonics_the_grid_has_not_is_refused_before_training(small_store, tmp_path):
    sampling = dataclasses.replace(TINY.diffusion.sampling, memory=0.5, memory_degrees=100)
    recipe = dataclasses.replace(TINY, diffusion=dataclasses.replace(TINY.diffusion, sampling=sampling))
    with pytest.raises(InputError, match="memory_degrees is 100, expected at most"):
        train(recipe, small_store, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def whitened(small_store):
    """A model that says nothing, with innovations whose spread falls with the degree."""
    frames = Frames(small_store, TINY.task)
    model = _silent(small_model(INNOVATION, frames))
    harmonics = Harmonics.build(frames.grid.latitude, frames.grid.longitude)
    channels, n = len(model.normaliser.history_std), frames.grid.shape[1] // 2
    spread = np.linspace(2, 0.05, n)[:, None] * np.linspace(0.5, 1, channels)
    mean = frames.at(frames.times)[..., list(Normaliser.columns(TINY.task))].mean(axis=0)
    linear_residual = LinearResidual(
        mean,
        np.full((2, n, n, channels), 0.25, np.complex64),
        np.broadcast_to(spread, (n, n, channels)).astype(np.float32),
        harmonics,
    )
    return frames, jax.tree.map(jnp.asarray, dataclasses.replace(model, linear_residual=linear_residual))


def _variance(linear_residual: LinearResidual) -> np.ndarray:
    """Of drawn innovations, by channel: as they fall with the degree alone, the same at every node."""
    degrees = np.arange(linear_residual.spread.shape[1])
    return np.einsum("d,dc->c", 2 * degrees + 1, np.square(linear_residual.spread[0])) / len(degrees) ** 2


def test_loss_of_whitened_targets_counts_each_harmonic_by_its_share_of_the_weather(whitened):
    """As above at little noise: the error is the noise, in the colours of the innovations, of unit variance."""
    frames, model = whitened
    loss = jax.tree.map(jnp.asarray, WeightedLoss(TINY.loss, frames.layout, frames.grid))
    white = SphereNoise.build(frames.grid.latitude, frames.grid.longitude)
    example = Example(*(leaf[0] for leaf in Examples(frames, TINY.loader, 0, 1).read(0, 1)))
    noise = TrainingNoise(max_noise=0.0021, min_noise=0.002)

    @eqx.filter_jit
    def errors(model, key):
        return GenCastObjective(loss, white, noise, TINY.task.history)(model, example, key)[1][0]

    found = np.mean([errors(model, jax.random.key(i)) for i in range(400)], axis=0)
    np.testing.assert_allclose(found, 1, rtol=0.1)
    np.testing.assert_allclose(model.linear_residual.size, np.sqrt(_variance(model.linear_residual)), rtol=1e-5)
    harmonics, spread = model.linear_residual.harmonics, model.linear_residual.spread
    waves = np.zeros((2, 8, 8, len(frames.layout)), np.complex64)
    waves[0, 2, 3], waves[1, 2, 7] = 1, 1
    first, second = (np.asarray(model.counted(harmonics.synthesise(wave))) for wave in waves)
    columns = list(model.normaliser.prognostic_columns)
    ratio = np.abs(harmonics.analyse(second)[2, 7] / harmonics.analyse(first)[2, 3])[columns]
    np.testing.assert_allclose(ratio, spread[2, 7] / spread[2, 3], rtol=1e-3)


def test_a_target_is_what_restores_the_frame(whitened):
    frames, model = whitened
    window = jnp.asarray(frames.window(0, 3))
    state = State(model.normaliser.prognostic(window[:2]), jnp.int32(0))
    frame = model.prepare(state, jnp.zeros((3, frames.grid.size, len(TINY.task.forcing))))
    # What harmonics do not resolve of a frame is no target: only the resolved part comes back.
    target = model.target(frame, window[2])
    again = model.target(frame, model.restore(frame, target))
    np.testing.assert_allclose(again, target, atol=2e-2)
    lost = model.normaliser.target(window[2], frame.base) - model.coloured(target)
    resolved = model.linear_residual.harmonics.filtered(model.normaliser.prognostic(lost), model.linear_residual.spread)
    np.testing.assert_allclose(resolved, 0, atol=1e-3)


@pytest.mark.slow
def test_samples_of_a_silent_network_have_the_spectrum_of_the_innovations(whitened):
    """Their variance is short by what 20 levels of the sampler fall short for unit data, 2.6 % (docs/diffusion.md)."""
    frames, model = whitened
    settings = DPMSolver2S(churn=0)
    white = SphereNoise.build(frames.grid.latitude, frames.grid.longitude)
    window = jnp.asarray(frames.window(0, 2))
    state = State(model.normaliser.prognostic(window), jnp.int32(0))
    frame = model.prepare(state, jnp.zeros((3, frames.grid.size, len(TINY.task.forcing))))
    denoise = jax.jit(lambda x, sigma: model.denoise(frame, x, sigma))

    def power(seed):
        drawn = settings.sample(denoise, lambda _: white.draw(jax.random.key(seed), len(frames.layout)))
        added = model.normaliser.target(model.restore(frame, drawn), frame.base)
        return np.square(np.abs(model.linear_residual.harmonics.analyse(model.normaliser.prognostic(added))))

    inside = np.arange(8)[:, None] <= np.arange(8)
    ratio = (np.mean([power(seed) for seed in range(200)], axis=0) / np.square(model.linear_residual.spread))[inside]
    short = 0.987**2
    np.testing.assert_allclose(ratio, short, atol=6 * np.sqrt(2 / 200))
    np.testing.assert_allclose(ratio.mean(), short, atol=0.02)


def test_innovations_are_refused_where_harmonics_fail():
    with pytest.raises(InputError, match="space is 2, expected 1"):
        dataclasses.replace(INNOVATION, devices=DeviceSettings(space=2))
    task = dataclasses.replace(TINY.task, prognostic=(*TINY.task.prognostic, "sea_surface_temperature"))
    with pytest.raises(InputError, match="sea_surface_temperature is missing over land"):
        dataclasses.replace(INNOVATION, task=task)


@pytest.mark.slow
def test_a_run_keeps_its_innovations_and_a_start_makes_its_own(small_store, tmp_path):
    short = dataclasses.replace(INNOVATION, training=TrainingSettings(updates=(2,), rollout=(1,)))
    first = read_model(train(short, small_store, tmp_path / "first"))
    frames = Frames(small_store, short.task)
    expected = named_leaves(linear_residual_of(frames, first.normaliser.target_scale))
    half = (str(frames.times[0])[:10], str(frames.times[len(frames.times) // 2])[:10])
    other = dataclasses.replace(short, training=dataclasses.replace(short.training, dates=half))
    second = read_model(
        train(other, small_store, tmp_path / "second", start=WarmStart(tmp_path / "first" / "model.npz"))
    )
    own = named_leaves(linear_residual_of(Frames(small_store, short.task, half), second.normaliser.target_scale))
    for name, leaf in named_leaves(first.linear_residual).items():
        np.testing.assert_array_equal(leaf, expected[name], err_msg=name)
        np.testing.assert_allclose(named_leaves(second.linear_residual)[name], own[name], rtol=1e-5, err_msg=name)
    assert not np.allclose(second.linear_residual.spread, first.linear_residual.spread)


def test_a_recipe_knows_diffusion_where_its_model_does():
    with pytest.raises(InputError, match="settings of diffusion"):
        dataclasses.replace(TINY, diffusion=None)
    with pytest.raises(InputError, match="expected 1: GenCast learns one frame"):
        dataclasses.replace(TINY, training=TrainingSettings(updates=(1,), rollout=(2,)))
