"""Spectra: over the dates of the scores, against closed forms."""

import numpy as np
import pytest

from airmass.evaluation.metrics.spectrum import effective_wavenumber, zonal_coefficients, zonal_cross_power, zonal_power
from airmass.evaluation.scores import read_spectra
from tests.conftest import make_store
from tests.evaluation.checks import refused, spoilt
from tests.forecasts import ensemble_dataset, scored, truth_dataset, write_forecast

TRUTH = truth_dataset()


def test_spectra_are_over_the_same_dates_and_at_scored_lead_times(growing, shifted, tmp_path):
    spoilt(tmp_path, "geopotential", 5, growing, spectra=["6h"])
    held = {s.system: s for s in read_spectra(tmp_path / "out") if s.variable == "geopotential"}
    fields = TRUTH.geopotential.sel(level=500).values[[3, 7]]  # not that of frame 5
    expected = np.mean([zonal_power(field, TRUTH.latitude.values) for field in fields], axis=0)
    np.testing.assert_allclose(held["truth"].power, expected, rtol=1e-9)
    np.testing.assert_allclose(held["graphcast"].ratio[1:4], 1, rtol=1e-3)
    refused(shifted, tmp_path / "two", "spectra at 24 h: not among the lead times", lead_times=["6h"], spectra=["24h"])


def waves(latitude, longitude, amplitudes, phases):
    """Waves around the globe of these amplitudes and phases (radians) from wavenumber 1 on, the same in every row."""
    k = np.arange(1, len(amplitudes) + 1)[:, None]
    row = (np.array(amplitudes)[:, None] * np.cos(k * np.deg2rad(longitude) - np.array(phases)[:, None])).sum(axis=0)
    return np.tile(row, (len(latitude), 1))


def test_power_of_error_and_coherence_of_waves():
    """Of waves a cos(kx), power is a^2 / 2; shifted by an angle s, the error's is 2 (1 - cos s) of it."""
    latitude, longitude = TRUTH.latitude.values, TRUTH.longitude.values
    truth = waves(latitude, longitude, (3, 2, 1), (0, 0, 0))
    forecast = waves(latitude, longitude, (3, 1, 1), (0, 0, 1.0))
    f, o = (zonal_coefficients(field, latitude) for field in (forecast, truth))

    def cross(one, other):
        return zonal_cross_power(one, other, latitude, len(longitude))[1:4]

    np.testing.assert_allclose(cross(o, o), [4.5, 2, 0.5], atol=1e-12)
    np.testing.assert_allclose(cross(f - o, f - o), [0, 0.5, 0.5 * 2 * (1 - np.cos(1.0))], atol=1e-12)
    np.testing.assert_allclose(np.abs(cross(f, o)), [4.5, 1, 0.5], atol=1e-12)
    error = cross(f, f) + cross(o, o) - 2 * cross(f, o).real
    np.testing.assert_allclose(cross(f - o, f - o), error, atol=1e-12)


@pytest.mark.parametrize(
    ("shares", "expected"),
    [([0.0, 1, 0.9, 0.4, 0.6], 2), ([0, 0.4, 1], 0), ([0, 1, 0.5], 2), ([1, 1.2, None, 1], 1)],
)
def test_effective_wavenumber(shares, expected):
    assert effective_wavenumber(shares) == expected


def test_noise_of_known_power_gives_error_coherence_and_resolution(tmp_path):
    """Members are truth plus white noise: the error's power is the noise's, and coherence P / (P + noise)."""
    truth = truth_dataset(days=12, names=("geopotential", "2m_temperature"))
    make_store(tmp_path / "t.zarr", truth)
    forecast = ensemble_dataset(truth, 6, spread=1.0, init_indices=range(2, 40, 2))
    write_forecast(tmp_path / "e.zarr", forecast)
    scored([tmp_path / "e.zarr"], tmp_path / "t.zarr", tmp_path / "s", spectra=["24h"])
    held = {(s.system, s.of_mean): s for s in read_spectra(tmp_path / "s") if s.variable == "2m_temperature"}
    members, mean = held["gencast", False], held["gencast", True]
    # White noise of unit variance on 16 longitudes: 2 / 16 for each wavenumber but the last and 0.
    np.testing.assert_allclose(members.error[1:8], 1 / 8, rtol=0.1)
    np.testing.assert_allclose(mean.error[1:8], 1 / 8 / 6, rtol=0.15)
    power = np.array(held["truth", False].power)
    clear = [k for k in range(1, 8) if power[k] > 0.5]
    np.testing.assert_allclose(np.array(members.coherence)[clear], power[clear] / (power[clear] + 1 / 8), rtol=0.1)
    assert clear and members.resolved_wavenumber == 8  # noise adds power
    assert members.coherent_wavenumber == effective_wavenumber(members.coherence) < 8
    assert held["truth", False].error is None
