"""Mean absolute error."""

import numpy as np

from airmass.evaluation.metrics.base import Fields, Metric


def absolute_error(fields: Fields):
    return fields.mean(np.abs(fields.error))


class MAE(Metric):
    """Mean over initial times and area of |forecast - truth|, of the ensemble mean, in the variable's units; 0 is best.

    Source: Willmott and Matsuura 2005, doi:10.3354/cr030079.
    """

    name = "mae"
    title = "mean absolute error"
    statistics = (absolute_error,)
    perfect = 0.0
    in_units = True
    mapped = True
