"""Root mean square error of the wind vector."""

import numpy as np

from airmass.evaluation.metrics.base import Metric
from airmass.evaluation.metrics.statistics import squared_error
from airmass.fields.derived import VECTORS


class VectorRMSE(Metric):
    """sqrt(mean over initial times and area of |forecast - truth|^2) of the wind vector, in m/s; 0 is best.

    The squared errors of the two components are added, initial time by initial time.

    Source: WMO 2019, Manual on the GDPFS, WMO-No. 485, appendix 2.2.34, root-mean-square vector wind error.
    """

    name = "vector_rmse"
    title = "RMSE of the wind vector"
    statistics = (squared_error,)
    perfect = 0.0
    in_units = True
    variables = tuple(VECTORS)

    def finish(self, mean):
        return np.sqrt(mean)
