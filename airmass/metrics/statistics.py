"""Statistics that several metrics share: functions (forecast, truth, climatology) -> field."""

import numpy as np


def error(forecast, truth, climatology):
    return forecast - truth


def squared_error(forecast, truth, climatology):
    return np.square(forecast - truth)


def anomaly_product(forecast, truth, climatology):
    return (forecast - climatology) * (truth - climatology)


def squared_forecast_anomaly(forecast, truth, climatology):
    return np.square(forecast - climatology)


def squared_truth_anomaly(forecast, truth, climatology):
    return np.square(truth - climatology)
