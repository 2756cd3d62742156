"""Mean square error."""

from airmass.evaluation.metrics.base import Metric
from airmass.evaluation.metrics.statistics import squared_error


class MSE(Metric):
    """Mean over initial times and area of (forecast - truth)^2, in the square of the variable's units; 0 is best.

    Of an ensemble, that of its mean.

    Source: Rasp et al. 2024, WeatherBench 2, doi:10.1029/2023MS004019, whose RMSE is its root.
    """

    name = "mse"
    statistics = (squared_error,)
    title = "MSE"
    perfect = 0.0
    in_units = True
    units_power = 2
    mapped = True
    usual = False
