"""Metrics of forecasts. Every subclass of `Metric` in a module of this package is registered by itself.

A metric is built in four steps: statistic of the fields, area mean, score of one initial time, mean over initial times.
"""

import importlib
import pkgutil
from functools import cache

from airmass.evaluation.metrics.base import Fields, Metric, ScoreSum, area_mean, score_sum

__all__ = ["Fields", "Metric", "ScoreSum", "area_mean", "known_metrics", "score_sum"]


@cache
def known_metrics() -> dict[str, Metric]:
    """All metrics of this package by name, in alphabetical order."""
    found: dict[str, Metric] = {}
    for module_info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{module_info.name}")
        for item in vars(module).values():
            is_metric = isinstance(item, type) and issubclass(item, Metric) and item is not Metric
            if is_metric and item.__module__ == module.__name__:
                found.update({metric.name: metric for metric in item.instances()})
    return dict(sorted(found.items()))
