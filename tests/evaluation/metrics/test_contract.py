"""What every metric keeps to, over all that are found in the package, of single forecasts and of ensembles."""

import importlib
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from airmass.data.formats.climatology import QUANTILES
from airmass.evaluation.metrics import Fields, ScoreSum, known_metrics, score_sum
from airmass.evaluation.metrics.base import NodeFields, scores_of
from airmass.evaluation.metrics.seeps import Wetness
from airmass.fields.grid import LatLonGrid, latitude_weights

GRID = LatLonGrid.equiangular(8, 16)
WEIGHTS = np.repeat(latitude_weights(GRID.latitude), 16)
# Of a whole area: the distance between fields, and the variance about their mean.
OF_WHOLE_AREAS = ("energy", "std_ratio")


def chosen():
    """All metrics, the first and last of those that one file makes for many events."""
    files: dict[str, list[str]] = {}
    for name, metric in known_metrics().items():
        files.setdefault(type(metric).__module__, []).append(name)
    return [name for names in files.values() for name in dict.fromkeys((names[0], names[-1]))]


CASES = [(name, m) for name in chosen() for m in (1, 5) if m >= known_metrics()[name].least_members]


@pytest.fixture(params=CASES, ids=[f"{name}-{'single' if m == 1 else 'ensemble'}" for name, m in CASES])
def case(request):
    return request.param


@pytest.fixture
def metric(case):
    return known_metrics()[case[0]]


@pytest.fixture
def fields(case):
    """Batches (init_time=6, lead_time=3, level=2), the size of geopotential."""
    rng = np.random.default_rng(0)
    metric = known_metrics()[case[0]]
    climatology = 54000 + 1000 * rng.standard_normal((6, 3, 2, GRID.size))
    truth = climatology + 600 * rng.standard_normal(climatology.shape)
    members = truth + 200 * rng.standard_normal((case[1], *climatology.shape))
    thresholds = {quantile: climatology + 600 * norm.ppf(quantile) for quantile in QUANTILES}
    wetness = Wetness(0.006, np.full(1, 0.3), np.full(1, 0.012)) if metric.needs_wetness else None
    fields = Fields(members, truth, WEIGHTS, climatology, None, thresholds, GRID, wetness)
    if metric.variables and "total_precipitation_6hr" in metric.variables:  # amounts, up to 40 mm
        return changed(fields, lambda v: np.maximum(0.01 + (v - 54000) * 5e-6, 0))
    return fields


def changed(fields, change):
    """The fields with `change` made to each array of values."""
    return replace(
        fields,
        members=change(fields.members),
        truth=change(fields.truth),
        climatology=change(fields.climatology),
        thresholds={quantile: change(limit) for quantile, limit in fields.thresholds.items()},
    )


def value(metric, fields):
    return metric.finish(score_sum(metric, fields).mean)


def test_it_is_named_after_its_file_and_cites_its_source(metric):
    module = importlib.import_module(type(metric).__module__)
    file = module.__name__.rpartition(".")[2]
    assert metric.name == file or metric.name.startswith(f"{file}_")
    assert metric.name == metric.name.lower() and "Source:" in type(metric).__doc__


def test_perfect_forecast(metric, fields):
    perfect = replace(fields, members=np.broadcast_to(fields.truth, fields.members.shape))
    np.testing.assert_allclose(value(metric, perfect), metric.perfect, atol=1e-12)


def test_it_is_finite_and_keeps_the_batch(metric, fields):
    found = value(metric, fields)
    assert found.shape == (3, 2) and np.isfinite(found).all()
    assert not np.allclose(found, metric.perfect, atol=1e-5)


def test_states_of_chunks_add_to_the_state_of_all(metric, fields):
    def part(chosen):
        return changed(fields, lambda v: v[..., chosen, :, :, :])

    whole, first, second = (score_sum(metric, part(slice(*ends))) for ends in ((0, 6), (0, 1), (1, 6)))
    both = second + first
    assert isinstance(both, ScoreSum) and both.count == whole.count == 6
    np.testing.assert_allclose(metric.finish(both.mean), metric.finish(whole.mean), rtol=1e-12)


def test_states_of_disjoint_grid_points_add_to_the_state_of_all(metric, fields):
    """Each counts by its area. Neighbourhoods reach beyond a part, so these fields stay whole and weights choose."""

    def part(nodes):
        if metric.needs_grid:
            return replace(fields, weights=np.where(np.isin(np.arange(GRID.size), nodes), WEIGHTS, 0))
        return replace(changed(fields, lambda v: v[..., nodes]), weights=WEIGHTS[nodes])

    parts = np.split(np.random.default_rng(1).permutation(GRID.size), (1, 20, 70))
    areas = [WEIGHTS[nodes].sum() / WEIGHTS.sum() for nodes in parts]
    states = [[statistic(part(nodes)) for statistic in metric.statistics] for nodes in parts]
    both = [sum(area * mean for area, mean in zip(areas, means, strict=True)) for means in zip(*states, strict=True)]
    found, expected = metric.finish(metric.score(*both).mean(axis=0)), value(metric, fields)
    if metric.name in OF_WHOLE_AREAS:
        assert not np.allclose(found, expected, rtol=1e-6)
    else:
        np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_the_order_of_members_does_not_count(metric, fields):
    turned = replace(fields, members=fields.members[::-1])
    np.testing.assert_allclose(value(metric, turned), value(metric, fields), rtol=1e-10)


def test_nodes_without_area_or_truth_do_not_count(metric, fields):
    if metric.needs_grid:
        pytest.skip("a neighbourhood reaches over the edge of the area")
    expected = value(metric, replace(changed(fields, lambda v: v[..., 16:]), weights=WEIGHTS[16:]))
    weightless = replace(fields, weights=np.where(np.arange(GRID.size) < 16, 0, WEIGHTS))
    np.testing.assert_allclose(value(metric, weightless), expected, rtol=1e-10)
    holed = fields.truth.copy()
    holed[..., :16] = np.nan
    masked = value(metric, replace(fields, truth=holed, present=np.isfinite(holed)))
    np.testing.assert_allclose(masked, expected, rtol=1e-10)


def test_missing_values_show(metric, fields):
    members = fields.members.copy()
    members[-1, 2, 1, 0, 5] = np.nan
    found = value(metric, replace(fields, members=members))
    assert np.isnan(found[1, 0]) and np.isfinite(np.delete(found.ravel(), 2)).all()


def test_weights_count_by_their_ratio_and_longitude_does_not(metric, fields):
    expected = value(metric, fields)
    np.testing.assert_allclose(value(metric, replace(fields, weights=7 * WEIGHTS)), expected, rtol=1e-10)
    turned = changed(fields, lambda v: np.roll(v.reshape(*v.shape[:-1], 8, 16), 5, axis=-1).reshape(v.shape))
    np.testing.assert_allclose(value(metric, turned), expected, rtol=1e-10)


def test_float32_fields_are_averaged_in_float64(metric, fields):
    single = changed(fields, lambda v: v.astype(np.float32))
    found = value(metric, single)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, value(metric, changed(single, lambda v: v.astype(np.float64))), rtol=1e-5)


def test_what_is_drawn_and_printed_of_it_is_said(metric, fields):
    assert metric.title and metric.better in ("lower", "higher", "")
    single = len(fields.members) == 1
    bottom, top = metric.limits
    found = value(metric, fields)
    assert bottom is None or (found >= bottom - 1e-9).all()
    assert top is None or (found <= top + 1e-9).all()
    if metric.better == "lower":
        assert metric.perfect == 0 or single
    if metric.mapped:
        nodes = NodeFields(**{name: getattr(fields, name) for name in Fields.__dataclass_fields__})
        assert metric.finish(scores_of({"m": metric}, nodes)["m"].mean(axis=0)).shape == (3, 2, GRID.size)


def test_bins_are_scored_as_if_alone(metric, fields):
    northern = np.where(np.arange(GRID.size) < GRID.size // 2, 0.0, WEIGHTS)
    both = value(metric, replace(fields, weights=np.stack([WEIGHTS, northern])))
    assert both.shape == (3, 2, 2)
    for i, weights in enumerate((WEIGHTS, northern)):
        np.testing.assert_allclose(both[..., i], value(metric, replace(fields, weights=weights)), rtol=1e-9)


def test_climatology_and_quantiles_are_asked_for_only_where_declared(metric, fields):
    lacking = replace(
        fields,
        climatology=fields.climatology if metric.needs_climatology else None,
        thresholds={
            q: limit for q, limit in fields.thresholds.items() if metric.needs_quantiles or q == metric.quantile
        },
        grid=GRID if metric.needs_grid else None,
    )
    np.testing.assert_array_equal(value(metric, lacking), value(metric, fields))
