"""Spectra: over the dates of the scores, against closed forms."""

import numpy as np

from airmass.evaluation.metrics.spectrum import zonal_power
from airmass.evaluation.scores import read_spectra
from tests.evaluation.checks import refused, spoilt
from tests.forecasts import (
    truth_dataset,
)

TRUTH = truth_dataset()


def test_spectra_are_over_the_same_dates_and_at_scored_lead_times(growing, shifted, tmp_path):
    spoilt(tmp_path, "geopotential", 5, growing, spectra=["6h"])
    held = {s.system: s for s in read_spectra(tmp_path / "out") if s.variable == "geopotential"}
    fields = TRUTH.geopotential.sel(level=500).values[[3, 7]]  # not that of frame 5
    expected = np.mean([zonal_power(field, TRUTH.latitude.values) for field in fields], axis=0)
    np.testing.assert_allclose(held["truth"].power, expected, rtol=1e-9)
    np.testing.assert_allclose(held["graphcast"].ratio[1:4], 1, rtol=1e-3)
    refused(shifted, tmp_path / "two", "spectra at 24 h: not among the lead times", lead_times=["6h"], spectra=["24h"])
