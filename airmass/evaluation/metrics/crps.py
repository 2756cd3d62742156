"""Continuous ranked probability score."""

import numpy as np

from airmass.evaluation.metrics.base import Fields, Metric


def fair_crps(fields: Fields):
    """mean |x_i - y| - sum over i and j of |x_i - x_j| / (2 m (m - 1)) at each node, then the area mean.

    With the members in rising order the double sum is 2 sum of (2 i - m - 1) x_i: a sort in place of all pairs.
    """
    errors, m = fields.errors, len(fields.members)
    values = np.abs(errors).mean(axis=0)
    if m > 1:
        share = (2 * np.arange(1, m + 1) - m - 1) / (m * (m - 1))
        values -= np.tensordot(share, np.sort(errors, axis=0), axes=1)
    return fields.mean(values)


class CRPS(Metric):
    """Mean over initial times and area of the fair CRPS of the members, in the variable's units; 0 is best.

    Its expected value does not depend on the ensemble size, so ensembles of different sizes can be compared. It may be
    negative at a node. For a deterministic forecast it is the absolute error.

    Source: Ferro 2014, doi:10.1002/qj.2270, for the fair form; Zamo and Naveau 2018, doi:10.1007/s11004-017-9709-7,
    equations for the estimators by sorting (theirs is called PWM).
    """

    name = "crps"
    statistics = (fair_crps,)
    title = "fair CRPS"
    perfect = 0.0
    in_units = True
    headline = 2
    ensemble = True
    mapped = True
