"""GenCast beside the published code's golden vectors, and what follows from its construction."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from airmass.models.gencast.objective import denoising_loss
from airmass.models.gencast.published import to_published
from airmass.models.objectives.base import Example
from airmass.models.objectives.losses.base import WeightedLoss
from airmass.models.objectives.settings import LossSettings
from airmass.models.state import State
from tests.golden_case import GOLDEN_GENCAST as GOLDEN


@functools.cache
def _model():
    return jax.tree.map(jnp.asarray, GOLDEN.model)


def _state() -> State:
    history = _model().normaliser.prognostic(jnp.asarray(GOLDEN.frames[:2]))
    return State(history, jnp.int32(0))


def test_a_sample_under_fixed_noise_is_the_published_one():
    model = _model().ready(inference=True)
    frame = jax.jit(lambda model: model.prepare(_state(), jnp.asarray(GOLDEN.forcings)))(model)
    denoise = jax.jit(lambda model, frame, x, sigma: model.denoise(frame, x, sigma))
    noise = jnp.asarray(GOLDEN.noise)
    sampler = GOLDEN.published.sampler
    scaled = sampler.sample(lambda x, sigma: denoise(model, frame, x, sigma), lambda step: noise)
    sample, expected = np.asarray(model.restore(frame, scaled)), GOLDEN.prediction[0]
    np.testing.assert_array_equal(np.isnan(sample), np.isnan(expected))
    for name in GOLDEN.layout.variables:
        columns = GOLDEN.layout.columns(name)
        spread = np.nanstd(expected[:, columns], axis=0)
        assert np.nanmax(np.abs(sample[:, columns] - expected[:, columns]) / spread) < 1e-4, name


@pytest.fixture(scope="module")
def losses():
    """Loss, terms and gradient by noise level."""
    loss = WeightedLoss(LossSettings(), GOLDEN.layout, GOLDEN.grid)
    example = Example(GOLDEN.frames[:3], GOLDEN.forcings, np.int32(0))

    def objective(network, sigma):
        model = dataclasses.replace(_model(), network=network)
        value, errors = denoising_loss(model, loss, example, 2, GOLDEN.noise, sigma)
        return value, loss.weights.terms(errors)

    compiled = jax.jit(jax.value_and_grad(objective, has_aux=True))
    return {sigma: compiled(_model().network, jnp.float32(sigma)) for sigma in (0.02, 1.0, 88.0)}


@pytest.mark.parametrize("sigma", [0.02, 1.0, 88.0])
def test_loss_and_its_terms_are_the_published_ones(losses, sigma):
    (value, terms), _ = losses[sigma]
    np.testing.assert_allclose(value, GOLDEN.expected[f"loss@{sigma}"], rtol=1e-4)
    for name, term in zip(GOLDEN.layout.variables, terms, strict=True):
        np.testing.assert_allclose(term, GOLDEN.expected[f"loss@{sigma}/{name}"], rtol=1e-4, err_msg=name)


def test_gradient_norms_are_the_published_ones(losses):
    _, gradient = losses[88.0]
    flat = to_published(gradient, GOLDEN.published.task)
    expected = {k.removeprefix("grad_norm:"): v for k, v in GOLDEN.expected.items() if k.startswith("grad_norm:")}
    assert flat.keys() == expected.keys()
    for name, norm in expected.items():
        np.testing.assert_allclose(np.linalg.norm(flat[name]), norm, rtol=1e-3, atol=1e-12, err_msg=name)
