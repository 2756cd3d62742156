"""Mean error."""

from airmass.evaluation.metrics.base import Metric
from airmass.evaluation.metrics.statistics import error


class Bias(Metric):
    """Mean over initial times of the area mean of forecast - truth, in the variable's units; 0 is best.

    Source: Rasp et al. 2024, WeatherBench 2, doi:10.1029/2023MS004019, whose maps of bias are averaged here over the
    globe too: errors of opposite sign in different places cancel.
    """

    name = "bias"
    statistics = (error,)
    title = "bias"
    perfect = 0.0
    in_units = True
    better = ""
    limits = (None, None)
    guide = 0.0
    mapped = True
