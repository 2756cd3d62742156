"""Root mean square error."""

import numpy as np

from airmass.evaluation.metrics.base import Metric
from airmass.evaluation.metrics.statistics import squared_error


class RMSE(Metric):
    """sqrt(mean over initial times of the area mean of (forecast - truth)^2), in the variable's units.

    Source: Rasp et al. 2024, WeatherBench 2, doi:10.1029/2023MS004019, section on deterministic metrics: the root is
    taken last, after the mean over initial times, unlike in WeatherBench 1, where it was taken at each of them.
    """

    name = "rmse"
    statistics = (squared_error,)
    title = "RMSE"
    perfect = 0.0
    in_units = True
    headline = 1
    mapped = True

    def finish(self, mean):
        return np.sqrt(mean)
