"""Stable equitable error in probability space."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from airmass.data.formats.climatology import DRY
from airmass.evaluation.metrics.base import Fields, Metric

# Points that are dry more seldom or more often than this do not count.
DRIEST, WETTEST = 0.85, 0.1


@dataclass(frozen=True)
class Wetness:
    """Climatology of precipitation: below `dry` (m) it is dry, with the probability `dry_fraction`; above `heavy` (m)
    it is heavy."""

    dry: float
    dry_fraction: Float[np.ndarray, "*batch node"]
    heavy: Float[np.ndarray, "*batch node"]

    def categories(self, values: Float[np.ndarray, "*batch node"]) -> Int[np.ndarray, "*batch node"]:
        """0 where dry, 1 where light, 2 where heavy."""
        return (values >= self.dry).astype(np.int64) + ((values >= self.dry) & (values > self.heavy))


def seeps(fields: Fields):
    """The mean over members of their score at each node, then the area mean over nodes that are neither too dry nor too
    wet."""
    held = fields.wetness
    assert held is not None
    p = np.clip(held.dry_fraction, WETTEST, DRIEST)
    none = np.zeros_like(p)
    costs = [none, 1 / (1 - p), 4 / (1 - p), 1 / p, none, 3 / (1 - p), 1 / p + 3 / (2 + p), 3 / (2 + p), none]
    truth = held.categories(fields.truth)
    scores = [0.5 * np.choose(3 * held.categories(member) + truth, costs) for member in fields.members]
    known = np.isfinite(fields.truth) & np.isfinite(fields.members).all(axis=0)
    counts = (held.dry_fraction >= WETTEST) & (held.dry_fraction <= DRIEST) & np.isfinite(held.heavy)
    present = np.broadcast_to(counts if fields.present is None else counts & fields.present, fields.truth.shape)
    return replace(fields, present=present).mean(np.where(known, np.mean(scores, axis=0), np.nan))


class SEEPS(Metric):
    """Stable equitable error in probability space of dry, light and heavy precipitation; 0 is best, 1 has no skill.

    Light precipitation is climatologically twice as frequent as heavy one. With p the climatological probability of dry
    weather, a forecast (row) and truth (column) of dry, light, heavy cost half of
    0, 1/(1-p), 4/(1-p); 1/p, 0, 3/(1-p); 1/p + 3/(2+p), 3/(2+p), 0,
    so that a constant forecast and one at random have the expected score 1. Points with p below 0.1 or above 0.85 do
    not count. Of an ensemble, the mean over its members. p is the mean over the year, the threshold that of the date.

    Source: Rodwell et al. 2010, doi:10.1002/qj.656, equation 15; p and limits as in WeatherBench 2, Rasp et al. 2024,
    doi:10.1029/2023MS004019.
    """

    name = "seeps"
    title = "SEEPS"
    statistics = (seeps,)
    perfect = 0.0
    mapped = True
    needs_wetness = True
    variables = tuple(DRY)
