"""Metrics of forecasts. Every subclass of `Metric` in a module of this package is registered by itself.

A metric is built in four steps: statistic of the fields, area mean, score of one initial time, mean over initial times.
"""

import difflib
import importlib
import pkgutil
from collections.abc import Sequence
from functools import cache

from airmass.core.errors import InputError
from airmass.evaluation.metrics.base import Fields, Metric, ScoreSum, area_mean, score_sum

__all__ = ["Fields", "Metric", "ScoreSum", "area_mean", "chosen_metrics", "known_metrics", "score_sum"]


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


def chosen_metrics(names: Sequence[str] = ()) -> tuple[str, ...]:
    """Names of the usual metrics and of those asked for: a name, the beginning of one (`csi`), or `all`.

    Raises InputError for a name that no metric has.
    """
    known = known_metrics()
    found = {name for name, metric in known.items() if metric.usual or "all" in names}
    for name in names:
        asked = [held for held in known if held == name or held.startswith(f"{name}_")]
        if not asked and name != "all":
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
            hint = f"did you mean {', '.join(near)}?" if near else f"known are {', '.join(known)}, or all"
            raise InputError(f"unknown metric {name!r}; {hint}")
        found.update(asked)
    return tuple(name for name in known if name in found)
