"""Continuous ranked probability score of the empirical distribution."""

import numpy as np

from airmass.evaluation.metrics.base import Fields, Metric


def biased_crps(fields: Fields):
    """mean |x_i - y| - sum over i and j of |x_i - x_j| / (2 m^2) at each node, then the area mean."""
    errors, m = fields.errors, len(fields.members)
    share = (2 * np.arange(1, m + 1) - m - 1) / m**2
    return fields.mean(np.abs(errors).mean(axis=0) - np.tensordot(share, np.sort(errors, axis=0), axes=1))


class BiasedCRPS(Metric):
    """Mean over initial times and area of the CRPS of the members taken as the whole distribution; 0 is best.

    It is larger than the fair one by mean |x_i - x_j| / (2 m) over pairs of the m members, so it favours large
    ensembles; for comparison with scores that were published so.

    Source: Hersbach 2000, doi:10.1175/1520-0434(2000)015<0559:DOTCRP>2.0.CO;2; Zamo and Naveau 2018,
    doi:10.1007/s11004-017-9709-7 (their NRG).
    """

    name = "crps_biased"
    title = "CRPS (biased)"
    statistics = (biased_crps,)
    perfect = 0.0
    in_units = True
    mapped = True
    usual = False
