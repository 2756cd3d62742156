"""Energy score."""

import numpy as np

from airmass.evaluation.metrics.base import Fields, Metric


def fair_energy_score(fields: Fields):
    """mean |x_i - y| - sum over i and j of |x_i - x_j| / (2 m (m - 1)), where |x|^2 is the area mean of x^2.

    All distances come from the products of the members' errors: one matrix product, not m^2 fields.
    """
    return fields.by_bin(lambda weights: _fair_energy_score(fields, weights))


def _fair_energy_score(fields: Fields, weights: np.ndarray):
    errors, m = np.moveaxis(fields.errors, 0, -2), len(fields.members)
    share = weights / weights.sum()
    if fields.present is not None:
        present = fields.present[..., None, :]
        with np.errstate(invalid="ignore"):
            share = present * weights / (present @ weights)[..., None]
        errors = np.where(present, errors, 0.0)
    products = (errors * share) @ np.swapaxes(errors, -1, -2)
    squares = np.diagonal(products, axis1=-2, axis2=-1)
    score = np.sqrt(squares).mean(axis=-1)
    if m > 1:
        apart = squares[..., :, None] + squares[..., None, :] - 2 * products
        score = score - np.sqrt(np.maximum(apart, 0)).sum(axis=(-2, -1)) / (2 * m * (m - 1))
    return score


class Energy(Metric):
    """Mean over initial times of the fair energy score of a whole field, in the variable's units; 0 is best.

    The field at one level is one vector of all grid points, and its norm is the root of the area mean of squares.
    Unlike CRPS it measures spatial correlations too. For a deterministic forecast it is the mean over initial times of
    the root mean square error.

    Source: Gneiting and Raftery 2007, doi:10.1198/016214506000001437, equation 22 with exponent 1; fair by the
    denominator of Ferro 2014, doi:10.1002/qj.2270.
    """

    name = "energy"
    statistics = (fair_energy_score,)
    title = "energy score"
    perfect = 0.0
    in_units = True
