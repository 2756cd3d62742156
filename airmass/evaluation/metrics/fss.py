"""Fractions skill score."""

from functools import cache

import numpy as np
from scipy.ndimage import uniform_filter1d

from airmass.evaluation.metrics.base import Fields, Metric, Statistic
from airmass.evaluation.metrics.events import EVENTS, Event

WIDTHS = (3, 9)  # grid points


def _fractions(event: np.ndarray, fields: Fields, width: int) -> np.ndarray:
    """Share of the square of `width` grid points around each node where the event occurs, of its present nodes."""
    assert fields.grid is not None
    shape = (*event.shape[:-1], *fields.grid.shape)
    present = np.ones(shape) if fields.present is None else fields.present.reshape(shape).astype(np.float64)
    event = event.reshape(shape) if fields.present is None else np.where(present > 0, event.reshape(shape), 0.0)

    def summed(values: np.ndarray) -> np.ndarray:
        around = uniform_filter1d(values, width, axis=-1, mode="wrap")
        return uniform_filter1d(around, width, axis=-2, mode="constant")

    with np.errstate(invalid="ignore", divide="ignore"):
        return (summed(event) / summed(present)).reshape(*event.shape[:-2], -1)


@cache
def _squares_of(event: Event, width: int) -> Statistic:
    def squares(fields: Fields):
        """Mean squares of the difference of the fractions, and of both fractions (the worst case)."""
        forecast = _fractions(event.probability(fields), fields, width)
        truth = _fractions(event.occurs(fields.truth, fields), fields, width)
        both = np.square(forecast) + np.square(truth)
        return np.stack([fields.mean(np.square(forecast - truth)), fields.mean(both)], axis=-1)

    return squares


class FSS(Metric):
    """Fractions skill score of an event in squares of some grid points: 1 is best, 0 is no overlap.

    1 - mean (f - o)^2 / mean (f^2 + o^2), with f and o the fractions of the square where the event is forecast and
    occurs, both means over initial times and area. Of an ensemble, f is the mean over its members (probabilistic FSS).
    Squares go round the globe in longitude and end at the poles.

    Source: Roberts and Lean 2008, doi:10.1175/2007MWR2123.1, equations 6 and 7.
    """

    perfect = 1.0
    better = "higher"
    limits = (0.0, 1.0)
    needs_grid = True
    usual = False

    def __init__(self, event: Event, width: int):
        self.quantile, self.variables = event.quantile, event.variables  # type: ignore[misc]
        self.name = f"fss_{event.name}_{width}"
        self.title = f"fractions skill {event.name.replace('_', ' ')}, {width} points"
        self.statistics = (_squares_of(event, width),)

    @classmethod
    def instances(cls):
        return [cls(event, width) for event in EVENTS for width in WIDTHS]

    def finish(self, mean):
        with np.errstate(invalid="ignore", divide="ignore"):
            return 1 - mean[..., 0] / mean[..., 1]
