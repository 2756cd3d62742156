"""Metrics against closed forms and against the independent library `scores`."""

import numpy as np
import pytest
import scores as independent
import xarray as xr

from airmass.evaluation.metrics import Fields, area_mean, known_metrics, score_sum
from airmass.evaluation.metrics.base import scores_of
from airmass.evaluation.scoring import VariableScores, with_vectors
from airmass.fields.derived import VECTORS
from airmass.fields.grid import LatLonGrid, latitude_weights

GRID = LatLonGrid.equiangular(16, 32)
WEIGHTS = np.repeat(latitude_weights(GRID.latitude), 32)
RNG = np.random.default_rng(1)
CLIMATOLOGY = 280 + RNG.standard_normal((5, GRID.size))
TRUTH = CLIMATOLOGY + 3 * RNG.standard_normal((5, GRID.size))
FORECAST = TRUTH + RNG.standard_normal((5, GRID.size)) + 0.3


def value(name, forecast, truth=TRUTH, weights=WEIGHTS):
    metric = known_metrics()[name]
    return float(metric.finish(score_sum(metric, Fields(forecast[None], truth, weights, CLIMATOLOGY)).mean))


@pytest.mark.parametrize("offset", [-2.5, 0.0, 4.0])
def test_constant_offset(offset):
    assert value("rmse", TRUTH + offset) == pytest.approx(abs(offset), abs=1e-12)
    assert value("bias", TRUTH + offset) == pytest.approx(offset, abs=1e-12)


def test_anomaly_correlation_of_scaled_and_negated_anomalies():
    assert value("acc", CLIMATOLOGY + 0.2 * (TRUTH - CLIMATOLOGY)) == pytest.approx(1, abs=1e-12)
    assert value("acc", CLIMATOLOGY - (TRUTH - CLIMATOLOGY)) == pytest.approx(-1, abs=1e-12)


def test_anomaly_correlation_of_climatology_is_undefined():
    assert np.isnan(value("acc", CLIMATOLOGY))


def test_unit_error_on_a_hemisphere():
    error = (GRID.nodes[0] > 0).astype(float)
    assert value("rmse", TRUTH + error) == pytest.approx(np.sqrt(0.5))
    assert value("bias", TRUTH + error) == pytest.approx(0.5)


def test_area_mean_of_sine_squared_of_latitude_is_a_third():
    fine = LatLonGrid.equiangular(720, 2)
    weights = np.repeat(latitude_weights(fine.latitude), 2)
    assert area_mean(np.sin(np.deg2rad(fine.nodes[0])) ** 2, weights) == pytest.approx(1 / 3, abs=2e-6)


def test_root_is_taken_after_the_mean_over_initial_times():
    errors = np.array([0.0, 0.0, 0.0, 0.0, 10.0])[:, None]
    assert value("rmse", TRUTH + errors) == pytest.approx(np.sqrt(20))


def labelled(values):
    dims = ("init_time", "latitude", "longitude")
    return xr.DataArray(values.reshape(5, *GRID.shape), dims=dims, coords={"latitude": GRID.latitude})


def test_rmse_and_bias_agree_with_scores():
    forecast, truth = labelled(FORECAST), labelled(TRUTH)
    weights = independent.functions.create_latitude_weights(truth.latitude)
    mse = independent.continuous.mse(forecast, truth, weights=weights)
    assert value("rmse", FORECAST) == pytest.approx(float(np.sqrt(mse)), rel=1e-10)
    bias = independent.continuous.mean_error(forecast, truth, weights=weights)
    assert value("bias", FORECAST) == pytest.approx(float(bias), rel=1e-10)


def test_acc_agrees_with_pearson_of_scores():
    """Pearson's correlation centres: it equals ours for anomalies without a mean, and without weights."""
    forecast, truth = FORECAST - CLIMATOLOGY, TRUTH - CLIMATOLOGY
    forecast, truth = (field - field.mean(axis=1, keepdims=True) for field in (forecast, truth))
    by_time = independent.continuous.correlation.pearsonr(
        labelled(forecast), labelled(truth), reduce_dims=["latitude", "longitude"]
    )
    ours = value("acc", CLIMATOLOGY + forecast, CLIMATOLOGY + truth, np.ones(GRID.size))
    assert ours == pytest.approx(float(by_time.mean()), rel=1e-10)


def test_rmse_of_the_wind_vector_by_numpy():
    """Root of the mean squared length of the error, from the scores of both components at two lead times."""
    rng = np.random.default_rng(2)
    truth, forecast = (10 * rng.standard_normal((2, 5, 2, 1, GRID.size)) for _ in range(2))
    rmse, vector = known_metrics()["rmse"], known_metrics()["vector_rmse"]
    scores = {
        name: VariableScores(
            {"graphcast": scores_of({"rmse": rmse}, Fields(forecast[i][None], truth[i], WEIGHTS))},
            np.zeros((5, 2, 1), np.uint8),
        )
        for i, name in enumerate(VECTORS["10m_wind_vector"][1])
    }
    found = vector.finish(with_vectors(scores)["10m_wind_vector"].scores["graphcast"]["vector_rmse"].mean(axis=0))
    length = np.hypot(*(forecast - truth))
    np.testing.assert_allclose(found, np.sqrt(np.average(length**2, axis=-1, weights=WEIGHTS).mean(axis=0)), rtol=1e-10)
