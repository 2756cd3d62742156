"""What every loss must do; a new file in objectives/losses joins by itself."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import properscoring
import pytest

from airmass.core.errors import InputError
from airmass.fields.channels import ChannelLayout
from airmass.fields.grid import LatLonGrid
from airmass.fields.harmonics import legendre
from airmass.models.objectives.losses import loss_named, loss_names
from airmass.models.objectives.losses.base import WeightedLoss, loss_of, require_grid, require_loss
from airmass.models.objectives.losses.fair_crps import crps
from airmass.models.objectives.settings import LossSettings
from airmass.recipes.recipes import RECIPES

GRID, LAYOUT = LatLonGrid.equiangular(4, 8), ChannelLayout.of(("temperature", "2m_temperature"), (500, 850))
every_loss = pytest.mark.parametrize("name", loss_names())


def _fields(name: str) -> tuple[np.ndarray, np.ndarray]:
    rng, loss = np.random.default_rng(0), loss_named(name)
    members = rng.normal(size=(loss.most_members or max(2, loss.least_members), GRID.size, len(LAYOUT)))
    return members.astype(np.float32), rng.normal(size=members.shape[1:]).astype(np.float32)


@every_loss
def test_its_terms_add_up_to_it_and_it_is_least_for_the_truth(name):
    loss, (members, target) = WeightedLoss(LossSettings(kind=name), LAYOUT, GRID), _fields(name)
    value, terms = loss(members, target)
    assert terms.shape == (len(LAYOUT),) and value > 0
    np.testing.assert_allclose(loss.weights.total(terms), value, rtol=1e-5)
    perfect, _ = loss(np.broadcast_to(target, members.shape), target)
    assert perfect == pytest.approx(0, abs=1e-6) and perfect < value


@every_loss
def test_errors_k_times_as_large_are_reported_k_times_as_large_in_a_unit(name):
    """Where the unit is the variable's own, what is reported grows as errors and scales do."""
    loss, (members, target) = WeightedLoss(LossSettings(kind=name), LAYOUT, GRID), _fields(name)
    scale = np.array([1.0, 2.0, 3.0], np.float32)
    shown = [loss.kind.reported(np.asarray(loss(k * members, k * target)[1]), scale) for k in (1, 3)]
    assert loss.kind.reports and shown[0].shape == scale.shape
    if loss.kind.unit is None:
        np.testing.assert_allclose(shown[1], 3 * shown[0], rtol=1e-4)
        doubled = loss.kind.reported(np.asarray(loss(members, target)[1]), 2 * scale)
        np.testing.assert_allclose(doubled, 2 * shown[0], rtol=1e-5)


@every_loss
def test_where_the_truth_is_missing_nothing_is_scored_and_no_gradient_flows(name):
    loss, (members, target) = WeightedLoss(LossSettings(kind=name), LAYOUT, GRID), _fields(name)
    target[3, 1] = np.nan
    (value, _), gradient = jax.value_and_grad(lambda m: loss(m, target), has_aux=True)(members)
    assert np.isfinite(value) and np.isfinite(gradient).all() and (gradient[:, 3, 1] == 0).all()
    moved = members.copy()
    moved[:, 3, 1] += 5
    assert loss(moved, target)[0] == value


@every_loss
def test_gradients_are_finite_differences_and_finite_at_ties(name):
    loss, (members, target) = WeightedLoss(LossSettings(kind=name), LAYOUT, GRID), _fields(name)
    gradient = jax.grad(lambda m: loss(m, target)[0])(members)
    direction = np.random.default_rng(1).normal(size=members.shape).astype(np.float32)
    # A short step: scores have a kink wherever two values are equal.
    near = [float(loss(members + sign * 3e-4 * direction, target)[0]) for sign in (1, -1)]
    np.testing.assert_allclose((near[0] - near[1]) / 6e-4, (gradient * direction).sum(), rtol=2e-2, atol=4e-3)
    tied = np.broadcast_to(target, members.shape)
    assert np.isfinite(jax.grad(lambda m: loss(m, target)[0])(jnp.asarray(tied))).all()


def test_the_empirical_score_is_that_of_another_library():
    rng = np.random.default_rng(0)
    members, target = rng.normal(size=(5, 40)), rng.normal(size=40)
    found = crps(jnp.asarray(members), jnp.asarray(target), share=0.0)
    np.testing.assert_allclose(found, properscoring.crps_ensemble(target, members.T), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("count", [2, 5])
def test_the_fair_score_does_not_depend_on_the_number_of_members(count):
    """Of normal members and truth its mean is 1 / sqrt(pi): E|x - y| = 2 / sqrt(pi), less half of that."""
    rng = np.random.default_rng(0)
    members, target = rng.normal(size=(count, 200_000)), rng.normal(size=200_000)
    score = crps(jnp.asarray(members, jnp.float32), jnp.asarray(target, jnp.float32)).mean()
    assert float(score) == pytest.approx(np.pi**-0.5, rel=0.01)


def test_alpha_lies_between_the_empirical_score_and_the_fair_one():
    members, target = _fields("fair_crps")
    empirical, between, fair = (
        WeightedLoss(LossSettings("almost_fair_crps", alpha=alpha), LAYOUT, GRID)(members, target)[0]
        for alpha in (0.0, 0.3, 1.0)
    )
    np.testing.assert_allclose(fair, WeightedLoss(LossSettings("fair_crps"), LAYOUT, GRID)(members, target)[0])
    np.testing.assert_allclose(between, 0.7 * empirical + 0.3 * fair, rtol=1e-6)
    usual = WeightedLoss(LossSettings("almost_fair_crps"), LAYOUT, GRID)(members, target)[0]
    np.testing.assert_allclose(usual, 0.05 * empirical + 0.95 * fair, rtol=1e-6)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (LossSettings("fair_crps", alpha=0.9), "loss.alpha is 0.9, but fair_crps has no settings of its own"),
        (LossSettings("almost_fair_crps", scales=(4,)), r"loss.scales is \(4,\), but almost_fair_crps takes alpha"),
        (
            LossSettings("multiscale_crps", spectral=1.0),
            "loss.spectral is 1.0, but multiscale_crps takes alpha, scales",
        ),
    ],
)
def test_a_setting_that_a_loss_does_not_have_is_refused(settings, words):
    with pytest.raises(InputError, match=words):
        require_loss(settings, 2, "FGN")


@pytest.mark.parametrize("scales", [(), (8, 4), (4, 4)])
def test_scales_that_do_not_rise_are_refused(scales):
    with pytest.raises(InputError, match=r"loss\.scales is \(.*expected rising total wavenumbers, one or more"):
        LossSettings("multiscale_crps", scales=scales)


def test_a_grid_without_harmonics_is_refused_where_scales_are_compared():
    odd, flat = LatLonGrid.equiangular(4, 7), LatLonGrid.equiangular(4, 16)
    require_grid(LossSettings("fair_crps"), odd)
    for kind in ("multiscale_crps", "spectral_crps"):
        with pytest.raises(InputError, match="harmonics: 7 longitudes, expected an even number"):
            require_grid(LossSettings(kind), odd)
        with pytest.raises(InputError, match="harmonics: 4 latitudes, expected 8 or more to resolve 8 degrees"):
            require_grid(LossSettings(kind), flat)
    require_grid(LossSettings("multiscale_crps", scales=(1,)), flat)


FINE = LatLonGrid.equiangular(32, 64)


def _harmonic(order: int, degree: int, size: float) -> np.ndarray:
    """A field of one real harmonic whose mean square over the sphere is size^2."""
    latitude, longitude = np.deg2rad(FINE.latitude), np.deg2rad(FINE.longitude)
    row = legendre(latitude, np.array([order]), degree + 1)[degree - order, 0] * np.sqrt(4 * np.pi)
    wave = np.sqrt(2) * np.cos(order * longitude) if order else np.ones(len(longitude))
    return (size * row[:, None] * wave).reshape(-1, 1).astype(np.float32)


@pytest.mark.parametrize("order", [0, 3])
def test_the_spectral_part_is_the_score_of_a_harmonics_amplitude(order):
    """Of n degrees, amplitudes a and b of two members and 0 of the truth: (|a| + |b| - |a - b|) / 2 n / n^2."""
    layout, degree, n = ChannelLayout.of(("2m_temperature",), ()), 7, 32
    members = np.stack([_harmonic(order, degree, size) for size in (2.0, -1.0)])
    target = np.zeros_like(members[0])
    with_part, without = (
        WeightedLoss(LossSettings("spectral_crps", spectral=share), layout, FINE)(members, target)[0]
        for share in (10.0, 0.0)
    )
    plain = WeightedLoss(LossSettings("fair_crps"), layout, FINE)(members, target)[0]
    np.testing.assert_allclose(without, plain, rtol=1e-6)
    pair = WeightedLoss(LossSettings("spectral_crps", spectral=10.0), layout, FINE)(members[:1].repeat(2, 0), target)[0]
    alone = WeightedLoss(LossSettings("fair_crps"), layout, FINE)(members[:1].repeat(2, 0), target)[0]
    np.testing.assert_allclose(with_part - without, 0, atol=1e-4)  # (2 + 1) / 2 - 3 / 2
    np.testing.assert_allclose(pair - alone, 10 * 2.0 * n / n**2, rtol=1e-3)


def test_the_parts_of_a_multiscale_loss_add_up_and_scales_halve():
    loss = loss_of(LossSettings("multiscale_crps", scales=(4, 12)))
    weights = WeightedLoss(
        LossSettings("multiscale_crps", scales=(4, 12)), ChannelLayout.of(("2m_temperature",), ()), FINE
    ).weights
    field = _harmonic(2, 4, 1.0)
    parts = [np.asarray(part[0]) for part in loss.parts(field[None], weights.harmonics)]
    np.testing.assert_allclose(sum(parts), field, atol=1e-5)
    np.testing.assert_allclose(parts[0], field / 2, atol=2e-4)
    np.testing.assert_allclose(parts[1], (2 ** -(1 / 9) - 0.5) * field, atol=2e-4)


def test_pointwise_losses_have_their_closed_forms():
    errors = jnp.asarray([-3.0, -0.5, 0.0, 0.5, 3.0])
    np.testing.assert_allclose(loss_named("huber").of_errors(errors), [2.5, 0.125, 0, 0.125, 2.5])
    np.testing.assert_allclose(loss_named("log_cosh").of_errors(errors), np.log(np.cosh(errors)), rtol=1e-5, atol=1e-6)
    assert np.isfinite(loss_named("log_cosh").of_errors(jnp.asarray([1e30]))).all()


def test_a_loss_of_whole_fields_is_refused_where_devices_share_them():
    with pytest.raises(InputError, match="space is 2, expected 1: energy_score compares whole fields"):
        require_loss(LossSettings("energy_score"), 2, "FGN", 2)


def test_a_denoiser_takes_squared_errors_alone():
    with pytest.raises(InputError, match=r"loss\.kind is huber, expected squared_error"):
        dataclasses.replace(RECIPES["gencast-demo"], loss=LossSettings(kind="huber"))


def test_members_that_a_loss_does_not_take_are_refused():
    with pytest.raises(InputError, match="squared_error, for members: 1, but FGN trains with 2"):
        require_loss(LossSettings(), 2, "FGN")
    for recipe in RECIPES.values():
        require_loss(recipe.loss, recipe.family.training_members(recipe.model), recipe.family.title)


def test_an_unknown_loss_is_refused():
    with pytest.raises(InputError, match="unknown loss 'squred_error'; known are absolute_error, "):
        LossSettings(kind="squred_error")
