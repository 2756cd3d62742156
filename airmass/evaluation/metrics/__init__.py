"""Metrics: a statistic of the fields, its area mean, a score for each initial time, a mean over initial times.

Every module here that defines a `Metric` is found by itself; nothing lists them.
"""

import importlib
import pkgutil
from functools import cache

from airmass.evaluation.metrics.base import Fields, Metric, State, area_mean, state_of

__all__ = ["Fields", "Metric", "State", "area_mean", "known_metrics", "state_of"]


@cache
def known_metrics() -> dict[str, Metric]:
    """Every metric in this package by its name, in alphabetical order."""
    found: dict[str, Metric] = {}
    for module_info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{module_info.name}")
        for item in vars(module).values():
            is_metric = isinstance(item, type) and issubclass(item, Metric) and item is not Metric
            if is_metric and item.__module__ == module.__name__:
                found.update({metric.name: metric for metric in item.instances()})
    return dict(sorted(found.items()))
