"""Variogram score."""

import numpy as np

from airmass.evaluation.metrics.base import Fields, Metric

ORDER = 0.5
# Offsets of pairs (rows, columns), in grid points.
PAIRS = ((0, 1), (0, 2), (0, 4), (1, 0), (2, 0), (4, 0))


def variogram_score(fields: Fields):
    """Mean over pairs of (|y_i - y_j|^p - mean over members of |x_i - x_j|^p)^2, then the area mean."""
    assert fields.grid is not None
    shape = fields.grid.shape
    total, count = np.zeros(fields.truth.shape), np.zeros(fields.truth.shape[-1])
    for offset in PAIRS:
        truth = _differences(fields.truth, shape, offset)
        members = np.mean([_differences(member, shape, offset) for member in fields.members], axis=0)
        inside = np.broadcast_to((np.arange(shape[0]) < shape[0] - offset[0])[:, None], shape).ravel()
        square = np.square(truth - members)
        # Pairs with a node that has no truth do not count.
        if fields.present is not None:
            square = np.where(fields.present & _moved(fields.present, shape, offset), square, 0.0)
        total, count = total + np.where(inside, square, 0.0), count + inside
    return fields.mean(total / count)


def _moved(values: np.ndarray, shape: tuple[int, int], offset: tuple[int, int]) -> np.ndarray:
    rows, columns = offset
    grid = values.reshape(*values.shape[:-1], *shape)
    return np.roll(grid, (-rows, -columns), axis=(-2, -1)).reshape(values.shape)


def _differences(values: np.ndarray, shape: tuple[int, int], offset: tuple[int, int]) -> np.ndarray:
    return np.abs(values - _moved(values, shape, offset)) ** ORDER


class Variogram(Metric):
    """Mean over initial times and area of the variogram score of order 0.5, in the variable's units; 0 is best.

    Pairs are each grid point and those 1, 2 and 4 to the east and to the north. It is more sensitive to wrong
    correlations in space than the energy score. For a member as single forecast it penalises smooth fields.

    Source: Scheuerer and Hamill 2015, doi:10.1175/MWR-D-14-00269.1, equation 10.
    """

    name = "variogram"
    title = "variogram score"
    statistics = (variogram_score,)
    perfect = 0.0
    in_units = True
    needs_grid = True
    usual = False
