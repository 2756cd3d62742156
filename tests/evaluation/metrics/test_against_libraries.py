"""Metrics against independent libraries (scores, properscoring, scipy) and closed forms, to 1e-6."""

from dataclasses import replace

import numpy as np
import properscoring
import pytest
import scores as independent
import scores.spatial
import xarray as xr
from scipy.spatial.distance import cdist, pdist
from scipy.stats import norm

from airmass.data.formats.climatology import QUANTILES
from airmass.evaluation.metrics import Fields, known_metrics, score_sum
from airmass.evaluation.metrics.events import EVENTS, economic_value, probability_table_of, rates, unpacked
from airmass.evaluation.metrics.seeps import Wetness
from airmass.fields.grid import LatLonGrid, latitude_weights

GRID = LatLonGrid.equiangular(16, 32)
EQUAL = np.ones(GRID.size)
AREAS = np.repeat(latitude_weights(GRID.latitude), 32)
EVENT = next(event for event in EVENTS if event.name == "above_0.9")
DIMS = ("number", "init_time", "node")


def drawn(m=7, seed=0, n=6, rho=0.7):
    """Members and truth that share a part of their variance, and the 0.9 quantile of both."""
    rng = np.random.default_rng(seed)
    signal = rng.standard_normal((n, GRID.size))
    members = rho * signal + np.sqrt(1 - rho**2) * rng.standard_normal((m, n, GRID.size))
    truth = rho * signal + np.sqrt(1 - rho**2) * rng.standard_normal((n, GRID.size))
    return members, truth, np.full(truth.shape, norm.ppf(0.9))


def fields_of(members, truth, limit=None, weights=EQUAL):
    thresholds = {} if limit is None else {0.9: limit}
    return Fields(members, truth, weights, np.zeros_like(truth), None, thresholds, GRID)


def value(name, fields):
    metric = known_metrics()[name]
    return float(metric.finish(score_sum(metric, fields).mean))


def arrays(members, truth):
    return xr.DataArray(members, dims=DIMS), xr.DataArray(truth, dims=DIMS[1:])


def test_mean_absolute_error():
    members, truth, _ = drawn()
    forecast, observed = arrays(members, truth)
    expected = independent.continuous.mae(forecast.mean("number"), observed)
    assert value("mae", fields_of(members, truth)) == pytest.approx(float(expected), rel=1e-9)


def test_biased_crps_is_that_of_properscoring_and_scores():
    members, truth, _ = drawn()
    found = value("crps_biased", fields_of(members, truth))
    assert found == pytest.approx(properscoring.crps_ensemble(truth, np.moveaxis(members, 0, -1)).mean(), rel=1e-9)
    forecast, observed = arrays(members, truth)
    assert found == pytest.approx(
        float(independent.probability.crps_for_ensemble(forecast, observed, "number", method="ecdf")), rel=1e-9
    )


def test_threshold_weighted_crps():
    members, truth, limit = drawn()
    forecast, observed = arrays(members, truth)
    expected = independent.probability.tail_tw_crps_for_ensemble(
        forecast, observed, "number", float(limit[0, 0]), tail="upper", method="fair"
    )
    assert value("tw_crps_above_0.9", fields_of(members, truth, limit)) == pytest.approx(float(expected), rel=1e-9)


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_quantile_score(level):
    members, truth, _ = drawn()
    forecast, observed = arrays(members, truth)
    quantile = forecast.quantile(level, "number").drop_vars("quantile")
    expected = independent.continuous.quantile_score(quantile, observed, level)
    assert value(f"quantile_score_{level:g}", fields_of(members, truth)) == pytest.approx(float(expected), rel=1e-9)


def contingency(members, truth, limit):
    forecast, observed = arrays((members > limit).mean(axis=0)[None], truth > limit)
    return independent.categorical.BinaryContingencyManager(
        (forecast[0] >= 0.5).astype(float), observed.astype(float)
    ).transform()


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("csi", "critical_success_index"),
        ("ets", "equitable_threat_score"),
        ("sedi", "symmetric_extremal_dependence_index"),
    ],
)
@pytest.mark.parametrize("m", [1, 7])
def test_contingency_scores(name, theirs, m):
    members, truth, limit = drawn(m)
    expected = float(getattr(contingency(members, truth, limit), theirs)())
    assert value(f"{name}_above_0.9", fields_of(members, truth, limit)) == pytest.approx(expected, rel=1e-9)


def test_roc_area_and_economic_value():
    members, truth, limit = drawn(10)  # ten members: their shares are the classes
    share, event = (members > limit).mean(axis=0), (truth > limit).astype(float)
    auc = independent.probability.roc_auc(xr.DataArray(share, dims=DIMS[1:]), xr.DataArray(event, dims=DIMS[1:]))
    fields = fields_of(members, truth, limit)
    assert value("roc_area_above_0.9", fields) == pytest.approx(float(auc), rel=1e-9)
    table = probability_table_of(EVENT)(fields).mean(axis=0)
    hit_rate, _ = rates(table)
    assert hit_rate[0] == 0 and hit_rate[-1] == pytest.approx(1)
    thresholds = np.round(np.arange(0.05, 1, 0.1), 6).tolist()
    ratios = [0.05, 0.1, 0.3]
    expected = independent.probability.relative_economic_value(
        xr.DataArray(share, dims=DIMS[1:]), xr.DataArray(event, dims=DIMS[1:]), cost_loss_ratios=ratios,
        probability_thresholds=thresholds,
    )  # fmt: skip
    best = expected.max("probability_threshold")
    np.testing.assert_allclose(economic_value(table, np.array(ratios)), best, rtol=1e-9)
    at_frequency = economic_value(table, np.array([event.mean()]))
    assert value("economic_value_above_0.9", fields) == pytest.approx(float(at_frequency[0]), rel=1e-9)


@pytest.mark.parametrize("m", [10, 25])
def test_brier_terms_are_those_of_murphy(m):
    """Sums over classes written out, with areas; of 25 members, two or three probabilities share a class."""
    members, truth, limit = drawn(m)
    fields = fields_of(members, truth, limit, AREAS)
    share, event = (members > limit).mean(axis=0), (truth > limit).astype(float)
    area = np.broadcast_to(AREAS / AREAS.sum() / len(truth), truth.shape)
    frequency, reliability, resolution = np.sum(area * event), 0.0, 0.0
    for k in range(11):
        inside = np.abs(share - k / 10) < 0.05
        if inside.any():
            probability, occurrence = (np.average(x[inside], weights=area[inside]) for x in (share, event))
            reliability += area[inside].sum() * (probability - occurrence) ** 2
            resolution += area[inside].sum() * (occurrence - frequency) ** 2
    uncertainty = frequency * (1 - frequency)
    terms = [value(f"brier_{term}_above_0.9", fields) for term in ("reliability", "resolution")]
    assert terms == pytest.approx([reliability / uncertainty, resolution / uncertainty], rel=1e-9)
    _, _, found = unpacked(probability_table_of(EVENT)(fields).mean(axis=0))
    assert found.sum() * (1 - found.sum()) == pytest.approx(uncertainty, rel=1e-9)
    if m == 10:  # one probability a class: the terms add up to the score
        forecast, observed = arrays((members > limit).astype(float), event)
        brier = independent.probability.brier_score(
            forecast.mean("number"), observed, weights=xr.DataArray(AREAS, dims="node")
        )
        assert value("brier_above_0.9", fields) == pytest.approx(float(brier), rel=1e-9)
        assert (terms[0] - terms[1] + 1) * uncertainty == pytest.approx(float(brier), rel=1e-9)


def test_fractions_skill_score():
    """The library's window is zero beyond the edges, so compare away from them, one date at a time."""
    members, truth, limit = drawn(1)
    inside = np.zeros(GRID.shape)
    inside[2:-2, 2:-2] = 1
    fields = fields_of(members, truth, limit, inside.ravel())
    padded = [np.pad((x > limit).reshape(-1, *GRID.shape)[0].astype(float), 0) for x in (members[0], truth)]
    expected = independent.spatial.fss_2d_single_field(*padded, event_threshold=0.5, window_size=(3, 3))
    one = Fields(members[:, :1], truth[:1], inside.ravel(), None, None, {0.9: limit[:1]}, GRID)
    whole = fss_by_hand(*padded, inside)
    assert value("fss_above_0.9_3", one) == pytest.approx(whole, rel=1e-9)
    assert expected == pytest.approx(fss_by_hand(*padded, "valid"), rel=1e-6)
    assert value("fss_above_0.9_9", fields) > 0 and value("fss_above_0.9_9", fields) > value("fss_above_0.9_3", fields)


def fss_by_hand(forecast, truth, inside):
    rows, columns = forecast.shape
    sums = [
        np.array(
            [[x[max(i - 1, 0) : i + 2, [(j - 1) % columns, j, (j + 1) % columns]].mean() for j in range(columns)]
             for i in range(rows)]
        )
        for x in (forecast, truth)
    ]  # fmt: skip
    if isinstance(inside, str):
        inside = np.zeros(forecast.shape)
        inside[1:-1, 1:-1] = 1
    off = (np.square(sums[0] - sums[1]) * inside).sum()
    return 1 - off / ((np.square(sums[0]) + np.square(sums[1])) * inside).sum()


@pytest.mark.parametrize("m", [1, 7])
def test_ranked_probability_score_of_categories(m):
    """The sum over categories written out, and properscoring's at every limit; limits differ by date and node."""
    members, truth, _ = drawn(m)
    limits, shift = norm.ppf(QUANTILES), np.random.default_rng(1).uniform(-5, 5, truth.shape)
    thresholds = {quantile: limit + shift for quantile, limit in zip(QUANTILES, limits, strict=True)}
    found = value("rps", Fields(members + shift, truth + shift, AREAS, thresholds=thresholds))
    share, event = (
        np.searchsorted(limits, values)[..., None] == np.arange(len(limits) + 1) for values in (members, truth)
    )
    squares = np.square(np.cumsum(share.mean(axis=0), axis=-1) - np.cumsum(event, axis=-1)).sum(axis=-1)
    expected = np.average(squares.mean(axis=0), weights=AREAS) / len(limits)
    assert found == pytest.approx(expected, rel=1e-9)
    theirs = properscoring.threshold_brier_score(truth, np.moveaxis(members, 0, -1), limits).mean(axis=(0, -1))
    assert found == pytest.approx(np.average(theirs, weights=AREAS), rel=1e-9)


def test_ranked_probability_score_over_many_quantiles_is_a_crps():
    """The integral of the squared difference of distribution functions, by the trapezoid rule over thresholds."""
    members, truth, _ = drawn(5, n=2)
    limits = np.linspace(-6, 6, 4001)
    thresholds = {float(i): np.full(truth.shape, limit) for i, limit in enumerate(limits)}
    fields = Fields(members, truth, EQUAL, None, None, thresholds)
    integral = value("rps", fields) * 12 * 4001 / 4000
    assert integral == pytest.approx(value("crps_biased", fields_of(members, truth)), rel=2e-3)


def test_variogram_score_by_hand():
    members, truth, _ = drawn(3, n=1)
    cubes = members.reshape(3, *GRID.shape), truth.reshape(GRID.shape)
    total = 0.0
    for i in range(GRID.shape[0]):
        for j in range(GRID.shape[1]):
            terms = []
            for di, dj in ((0, 1), (0, 2), (0, 4), (1, 0), (2, 0), (4, 0)):
                if i + di < GRID.shape[0]:
                    k = i + di, (j + dj) % GRID.shape[1]
                    mean = np.mean(np.abs(cubes[0][:, i, j] - cubes[0][:, k[0], k[1]]) ** 0.5)
                    terms.append((np.abs(cubes[1][i, j] - cubes[1][k]) ** 0.5 - mean) ** 2)
            total += np.mean(terms)
    assert value("variogram", fields_of(members, truth)) == pytest.approx(total / GRID.size, rel=1e-9)


def test_ratio_of_standard_deviations():
    members, truth, _ = drawn(4, n=3)
    expected = np.sqrt(members.var(axis=-1).mean() / truth.var(axis=-1).mean())
    assert value("std_ratio", fields_of(members + 300, truth + 300)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", ["crps", "tw_crps_above_0.9", "energy"])
def test_fair_estimators_have_the_same_expectation_whatever_the_ensemble_size(name):
    found = []
    for m in (2, 16):
        members, truth, limit = drawn(m, seed=m, n=40 if name == "energy" else 200, rho=0.0)
        found.append(value(name, fields_of(members, truth, limit)))
    assert found[0] == pytest.approx(found[1], rel=0.03 if name == "energy" else 0.01)
    members, truth, _ = drawn(2, n=200, rho=0.0)
    assert value("crps_biased", fields_of(members, truth)) > 1.3 / np.sqrt(np.pi)  # the biased one is larger


@pytest.mark.parametrize("m", [1, 3])
def test_seeps(m):
    """Every node has another climatology, some too dry or too wet to count; of an ensemble, the mean over members."""
    rng = np.random.default_rng(0)
    dry_fraction, heavy = rng.uniform(0, 1, EQUAL.size), rng.uniform(1e-3, 5e-3, EQUAL.size)
    members, truth = (np.maximum(rng.gamma(0.5, 4e-3, (*n, 6, EQUAL.size)) - 5e-4, 0) for n in ((m,), ()))
    fields = Fields(members, truth, EQUAL, wetness=Wetness(2e-4, dry_fraction, np.tile(heavy, (6, 1))))
    held = [xr.DataArray(a, dims="node") for a in (dry_fraction, 1e3 * heavy)]
    observed = xr.DataArray(1e3 * truth, dims=("time", "node"))
    expected = [
        independent.categorical.seeps(xr.DataArray(1e3 * one, dims=("time", "node")), observed, *held)
        for one in members
    ]
    assert value("seeps", fields) == pytest.approx(float(np.mean(expected)), rel=1e-9)


def test_seeps_of_constant_and_random_forecasts_is_one():
    rng = np.random.default_rng(1)
    dry_fraction, n = 0.4, 200_000
    rain = np.where(rng.random((2, 1, n)) < dry_fraction, 0, 1e-3 + rng.exponential(1e-3, (2, 1, n)))
    wet = rain[rain > 0]
    fields = Fields(rain[:1], rain[1], np.ones(n), wetness=Wetness(1e-4, np.full(n, dry_fraction),
                    np.full((1, n), np.quantile(wet, 2 / 3))))  # fmt: skip
    assert value("seeps", fields) == pytest.approx(1, abs=0.01)
    for amount in (0.0, 1e-3, 1.0):
        same = replace(fields, members=np.full((1, 1, n), amount))
        assert value("seeps", same) == pytest.approx(1, abs=0.01)


def test_mean_square_error():
    members, truth, _ = drawn()
    forecast, observed = arrays(members, truth)
    expected = independent.continuous.mse(forecast.mean("number"), observed)
    assert value("mse", fields_of(members, truth)) == pytest.approx(float(expected), rel=1e-9)


def test_brier_score_is_that_of_properscoring():
    members, truth, limit = drawn()
    expected = properscoring.threshold_brier_score(truth, np.moveaxis(members, 0, -1), float(limit[0, 0])).mean()
    assert value("brier_above_0.9", fields_of(members, truth, limit)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("m", [2, 8])
def test_energy_score_of_scipy_distances(m):
    """All distances by scipy, with each node scaled by the root of its share."""
    members, truth, _ = drawn(m, n=3)
    expected = []
    for i in range(3):
        points = members[:, i] / np.sqrt(GRID.size)
        from_truth = cdist(points, truth[i][None] / np.sqrt(GRID.size)).mean()
        expected.append(from_truth - pdist(points).sum() / (m * (m - 1)))
    assert value("energy", fields_of(members, truth)) == pytest.approx(np.mean(expected), rel=1e-9)
