"""What every metric keeps to, over all that are found in the package."""

import importlib

import numpy as np
import pytest

from airmass.grid import LatLonGrid, latitude_weights
from airmass.metrics import State, known_metrics, state_of
from airmass.metrics.base import scores_of

GRID = LatLonGrid.equiangular(8, 16)
WEIGHTS = np.repeat(latitude_weights(GRID.latitude), 16)


@pytest.fixture(params=sorted(known_metrics()))
def metric(request):
    return known_metrics()[request.param]


@pytest.fixture(scope="module")
def fields():
    """Forecast, truth and climatology of shape (init_time=6, lead_time=3, level=2, node), the size of geopotential."""
    rng = np.random.default_rng(0)
    climatology = 54000 + 1000 * rng.standard_normal((6, 3, 2, GRID.size))
    truth = climatology + 600 * rng.standard_normal(climatology.shape)
    return truth + 200 * rng.standard_normal(climatology.shape), truth, climatology


def value(metric, forecast, truth, climatology, weights=WEIGHTS, present=None):
    return metric.finish(state_of(metric, forecast, truth, weights, climatology, present).mean)


def test_it_is_named_after_its_file_and_cites_its_source(metric):
    module = importlib.import_module(type(metric).__module__)
    assert metric.name == module.__name__.rpartition(".")[2] == metric.name.lower()
    assert "Source:" in type(metric).__doc__


def test_perfect_forecast(metric, fields):
    _, truth, climatology = fields
    np.testing.assert_allclose(value(metric, truth, truth, climatology), metric.perfect, atol=1e-12)


def test_it_is_finite_and_keeps_the_batch(metric, fields):
    found = value(metric, *fields)
    assert found.shape == (3, 2) and np.isfinite(found).all()
    assert not np.allclose(found, metric.perfect, atol=1e-3)


def test_states_of_chunks_add_to_the_state_of_all(metric, fields):
    whole = state_of(metric, *fields[:2], WEIGHTS, fields[2])
    parts = [state_of(metric, *(f[i] for f in fields[:2]), WEIGHTS, fields[2][i]) for i in (slice(0, 1), slice(1, 6))]
    both = parts[1] + parts[0]
    assert isinstance(both, State) and both.count == whole.count == 6
    np.testing.assert_allclose(metric.finish(both.mean), metric.finish(whole.mean), rtol=1e-12)


def test_nodes_without_area_or_truth_do_not_count(metric, fields):
    forecast, truth, climatology = (field[..., 16:] for field in fields)
    expected = value(metric, forecast, truth, climatology, WEIGHTS[16:])
    weightless = np.where(np.arange(GRID.size) < 16, 0, WEIGHTS)
    np.testing.assert_allclose(value(metric, *fields, weightless), expected, rtol=1e-12)
    holed = fields[1].copy()
    holed[..., :16] = np.nan
    masked = value(metric, fields[0], holed, fields[2], present=np.isfinite(holed))
    np.testing.assert_allclose(masked, expected, rtol=1e-12)


def test_missing_values_show(metric, fields):
    forecast = fields[0].copy()
    forecast[2, 1, 0, 5] = np.nan
    found = value(metric, forecast, *fields[1:])
    assert np.isnan(found[1, 0]) and np.isfinite(np.delete(found.ravel(), 2)).all()


def test_weights_count_by_their_ratio_and_longitude_does_not(metric, fields):
    expected = value(metric, *fields)
    np.testing.assert_allclose(value(metric, *fields, 7 * WEIGHTS), expected, rtol=1e-12)
    turned = (np.roll(field.reshape(6, 3, 2, 8, 16), 5, axis=-1).reshape(field.shape) for field in fields)
    np.testing.assert_allclose(value(metric, *turned), expected, rtol=1e-10)


def test_float32_fields_are_averaged_in_float64(metric, fields):
    single = [field.astype(np.float32) for field in fields]
    double = [field.astype(np.float64) for field in single]
    found = value(metric, *single)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, value(metric, *double), rtol=1e-5)


def test_climatology_is_asked_for_only_where_declared(metric, fields):
    if metric.needs_climatology:
        pytest.skip("needs climatology")
    scores_of({metric.name: metric}, *fields[:2], WEIGHTS)
