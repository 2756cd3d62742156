"""Ensemble metrics against closed forms, against the independent library `scores`, and against their expectations."""

import numpy as np
import pytest
import scores as independent
import xarray as xr
from scipy.stats import norm

from airmass.evaluation.metrics import Fields, known_metrics, score_sum
from airmass.evaluation.metrics.rank_histogram import rank_frequencies
from airmass.evaluation.metrics.spectrum import zonal_power
from airmass.fields.grid import LatLonGrid, latitude_weights

GRID = LatLonGrid.equiangular(16, 32)
WEIGHTS = np.repeat(latitude_weights(GRID.latitude), 32)
ALIKE = np.ones(40_000)


def value(name, members, truth, weights=WEIGHTS, **options):
    metric = known_metrics()[name]
    return float(metric.finish(score_sum(metric, Fields(members, truth, weights, **options)).mean))


def drawn(m, spread=1.0, seed=0):
    """Members, and truth of unit variance about the same centre; (member, 5, node)."""
    rng = np.random.default_rng(seed)
    return spread * rng.standard_normal((m, 5, ALIKE.size)), rng.standard_normal((5, ALIKE.size))


@pytest.mark.parametrize("m", [2, 3, 10])
def test_crps_agrees_with_scores(m):
    rng = np.random.default_rng(m)
    members, truth = 280 + rng.standard_normal((m, 5, GRID.size)), 280 + rng.standard_normal((5, GRID.size))
    dims = ("init_time", "latitude", "longitude")
    observed = xr.DataArray(truth.reshape(5, *GRID.shape), dims=dims, coords={"latitude": GRID.latitude})
    forecast = xr.DataArray(
        members.reshape(m, 5, *GRID.shape), dims=("number", *dims), coords={"latitude": GRID.latitude}
    )
    weights = independent.functions.create_latitude_weights(observed.latitude)
    expected = independent.probability.crps_for_ensemble(forecast, observed, "number", method="fair", weights=weights)
    assert value("crps", members, truth) == pytest.approx(float(expected), rel=1e-10)


@pytest.mark.parametrize("m", [2, 20])
def test_fair_crps_of_gaussian_members_is_that_of_the_gaussian_whatever_their_number(m):
    """Gneiting et al. 2005: sigma (z (2 Phi(z) - 1) + 2 phi(z) - 1 / sqrt(pi)), here with sigma 1 and z the truth."""
    members, truth = drawn(m)
    expected = truth * (2 * norm.cdf(truth) - 1) + 2 * norm.pdf(truth) - 1 / np.sqrt(np.pi)
    assert value("crps", members, truth, ALIKE) == pytest.approx(expected.mean(), abs=0.005)


def test_crps_of_a_single_forecast_is_its_absolute_error():
    members, truth = drawn(1)
    assert value("crps", members, truth, ALIKE) == pytest.approx(np.abs(members[0] - truth).mean(), rel=1e-12)


@pytest.mark.parametrize("m", [2, 5, 30])
def test_spread_equals_error_for_exchangeable_truth(m):
    members, truth = drawn(m)
    assert value("spread", members, truth, ALIKE) == pytest.approx(1, abs=0.01)
    assert value("rmse", members, truth, ALIKE) == pytest.approx(np.sqrt(1 + 1 / m), abs=0.01)
    assert value("spread_skill", members, truth, ALIKE) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("m", [2, 3, 10])
def test_spread_and_its_ratio_to_the_error_are_those_of_numpy_and_scores(m):
    """Spread and error differ between dates, so that roots taken before the means would show."""
    rng = np.random.default_rng(m)
    size = np.linspace(0.5, 3, 5)[:, None]
    members = 280 + size * rng.standard_normal((m, 5, GRID.size))
    truth = 280 + size[::-1] * rng.standard_normal((5, GRID.size))
    spread = np.sqrt(np.average(np.var(members, axis=0, ddof=1).mean(axis=0), weights=WEIGHTS))
    assert value("spread", members, truth) == pytest.approx(spread, rel=1e-10)
    forecast, observed = (xr.DataArray(x, dims=("init_time", "node")) for x in (members.mean(axis=0), truth))
    error = independent.continuous.rmse(forecast, observed, weights=xr.DataArray(WEIGHTS, dims="node"))
    expected = np.sqrt((m + 1) / m) * spread / float(error)
    assert value("spread_skill", members, truth) == pytest.approx(expected, rel=1e-10)


def test_an_ensemble_too_narrow_by_half_says_so():
    members, truth = drawn(10, spread=0.5)
    assert value("spread_skill", members, truth, ALIKE) == pytest.approx(
        np.sqrt(1.1 * 0.25 / (1 + 0.25 / 10)), abs=0.01
    )


@pytest.mark.parametrize("m", [1, 2, 4])
def test_energy_score_of_one_node_is_crps_and_of_all_is_its_definition(m):
    rng = np.random.default_rng(3)
    members, truth = rng.standard_normal((m, 4, GRID.size)), rng.standard_normal((4, GRID.size))
    alone = members[..., :1], truth[..., :1], np.ones(1)
    assert value("energy", *alone) == pytest.approx(value("crps", *alone), rel=1e-6)
    share = WEIGHTS / WEIGHTS.sum()

    def norm_of(x):
        return np.sqrt(np.sum(share * x**2, axis=-1))

    pairs = sum(norm_of(a - b) for a in members for b in members)
    expected = np.mean([norm_of(member - truth) for member in members], axis=0)
    expected = expected - (pairs / (2 * m * (m - 1)) if m > 1 else 0)
    assert value("energy", members, truth) == pytest.approx(expected.mean(), rel=1e-10)


def test_brier_score_and_skill_written_out():
    truth = np.array([[0.0, 2.0, 3.0, 0.0]])
    members = np.array([[[0.0, 2.0, 0.0, 5.0]], [[0.0, 2.0, 4.0, 0.0]]])
    options = {"thresholds": {0.9: np.ones((1, 4)), 0.1: np.full((1, 4), 0.5)}}
    brier = ((0 - 0) ** 2 + (1 - 1) ** 2 + (0.5 - 1) ** 2 + (0.5 - 0) ** 2) / 4
    usual = (0.1**2 + 0.9**2 + 0.9**2 + 0.1**2) / 4
    assert value("brier_above_0.9", members, truth, np.ones(4), **options) == pytest.approx(brier)
    assert value("brier_skill_above_0.9", members, truth, np.ones(4), **options) == pytest.approx(1 - brier / usual)
    below = ((1 - 1) ** 2 + 0 + (0.5 - 0) ** 2 + (0.5 - 1) ** 2) / 4
    assert value("brier_below_0.1", members, truth, np.ones(4), **options) == pytest.approx(below)


def test_members_of_the_climatology_have_next_to_no_brier_skill_and_lose_what_few_members_do():
    members, truth = drawn(20)
    found = value("brier_skill_above_0.9", members, truth, ALIKE, thresholds={0.9: np.full_like(truth, norm.ppf(0.9))})
    assert found == pytest.approx(-1 / 20, abs=0.01)


def ranks(members, truth, weights=ALIKE, present=None):
    return rank_frequencies(Fields(members, truth, weights, None, present)).mean(axis=0)


def test_rank_histogram_is_flat_for_exchangeable_truth_and_a_u_for_a_narrow_ensemble():
    np.testing.assert_allclose(ranks(*drawn(4)), np.full(5, 0.2), atol=0.005)
    narrow = ranks(*drawn(4, spread=0.4))
    assert narrow[0] > 0.3 and narrow[-1] > 0.3 and narrow[1:-1].max() < 0.15
    wide = ranks(*drawn(4, spread=3.0))
    assert wide[2] > 0.25 > 0.12 > wide[0]


def test_ties_are_shared_evenly_and_areas_count():
    members = np.array([[[0.0, 0.0, 1.0]], [[0.0, 2.0, 2.0]]])
    truth = np.array([[0.0, 0.0, 3.0]])
    # Node 0 may be of ranks 0, 1, 2; node 1 of 0 or 1; node 2 lies above both.
    expected = np.array([1 / 3 + 2 / 2, 1 / 3 + 2 / 2, 1 / 3 + 5]) / 8
    np.testing.assert_allclose(ranks(members, truth, np.array([1.0, 2.0, 5.0])), expected)
    some = ranks(members, truth, np.array([1.0, 2.0, 5.0]), np.array([[True, True, False]]))
    np.testing.assert_allclose(some, np.array([4 / 3, 4 / 3, 1 / 3]) / 3)


def test_zonal_power_of_waves_and_its_sum():
    latitude, longitude = (np.deg2rad(angle).reshape(GRID.shape) for angle in GRID.nodes)
    power = zonal_power((3 + 2 * np.cos(5 * longitude + latitude))[None], GRID.latitude)[0]
    expected = np.zeros(17)
    expected[0], expected[5] = 9, 2
    np.testing.assert_allclose(power, expected, atol=1e-12)
    field = np.random.default_rng(0).standard_normal((2, *GRID.shape))
    inner = np.abs(GRID.latitude) <= 60
    weights = np.cos(np.deg2rad(GRID.latitude[inner]))
    total = np.average((field[:, inner] ** 2).mean(axis=-1), axis=1, weights=weights)
    np.testing.assert_allclose(zonal_power(field, GRID.latitude).sum(axis=-1), total)
