"""Anomaly correlation coefficient."""

import numpy as np

from airmass.evaluation.metrics.base import Metric
from airmass.evaluation.metrics.statistics import anomaly_product, squared_forecast_anomaly, squared_truth_anomaly


class ACC(Metric):
    """Correlation over the globe of anomalies from climatology, between -1 and 1; 1 is best.

    With f and o the anomalies of forecast and truth from the climatology of the valid time and <> the area mean, each
    initial time scores <f o> / sqrt(<f^2> <o^2>), and the metric is the mean over initial times. Anomalies are not
    centred: no global mean is taken from them. A forecast of climatology itself has no anomaly, and its ACC is
    undefined (NaN).

    Source: Rasp et al. 2024, WeatherBench 2, doi:10.1029/2023MS004019, section on deterministic metrics.
    """

    name = "acc"
    statistics = (anomaly_product, squared_forecast_anomaly, squared_truth_anomaly)
    title = "anomaly correlation"
    perfect = 1.0
    better = "higher"
    headline = 3
    limits = (None, 1.0)
    guide = 0.6  # common limit of useful synoptic skill
    needs_climatology = True

    def score(self, product, forecast_variance, truth_variance):
        with np.errstate(invalid="ignore", divide="ignore"):
            return product / np.sqrt(forecast_variance * truth_variance)
