"""Zonal spectra: the variance of a field, of its error, and what it shares with the truth, at each wavenumber."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Complex, Float

from airmass.fields.grid import latitude_weights

BAND = 60.0
# A wavenumber is resolved while the forecast has at least this share of the truth's power, or of its variance in
# common with the truth.
RESOLVED = 0.5


def zonal_coefficients(
    field: Float[np.ndarray, "*batch latitude longitude"], latitude: Float[np.ndarray, " latitude"]
) -> Complex[np.ndarray, "*batch row wavenumber"]:
    """Fourier coefficients by zonal wavenumber 0 to n / 2 of the rows from 60°S to 60°N.

    Rows nearer to the poles are left out because one wavenumber means ever shorter waves towards them.
    """
    rows = np.abs(latitude) <= BAND
    return np.fft.rfft(np.asarray(field, np.float64)[..., rows, :], axis=-1) / field.shape[-1]


def zonal_cross_power(
    one: Complex[np.ndarray, "*batch row wavenumber"],
    other: Complex[np.ndarray, "*batch row wavenumber"],
    latitude: Float[np.ndarray, " latitude"],
    longitudes: int,
) -> Complex[np.ndarray, "*batch wavenumber"]:
    """Cross spectrum of two fields from their coefficients, area-weighted over rows, in squared units."""
    power = one * np.conj(other)
    power[..., 1 : (longitudes + 1) // 2] *= 2  # each stands for the negative wavenumber too
    weights = latitude_weights(latitude)[np.abs(latitude) <= BAND]
    return np.einsum("...jk,j->...k", power, weights / weights.sum())


def zonal_power(
    field: Float[np.ndarray, "*batch latitude longitude"], latitude: Float[np.ndarray, " latitude"]
) -> Float[np.ndarray, "*batch wavenumber"]:
    """Power by zonal wavenumber 0 to n / 2, area-weighted over rows from 60°S to 60°N, in squared units.

    Power over all wavenumbers adds up to the area mean of the squared field there (Parseval).
    """
    coefficients = zonal_coefficients(field, latitude)
    return zonal_cross_power(coefficients, coefficients, latitude, field.shape[-1]).real


def effective_wavenumber(shares: Sequence[float | None]) -> int:
    """Greatest wavenumber up to which every share from wavenumber 1 on is at least `RESOLVED`; 0 if none is.

    Of the ratio of the forecast's power to the truth's it is what a forecast resolves: beyond it the forecast is
    blurred. Of the squared coherence it is what a forecast predicts: beyond it less than half of its variance is in
    common with the truth.

    Source: Skamarock 2004, doi:10.1175/MWR2830.1, for effective resolution by power; Ballarotta et al. 2019,
    doi:10.5194/os-15-1091-2019, section 3, for one half of signal and noise as the limit.
    """
    fails = [share is None or share < RESOLVED for share in shares[1:]]
    return fails.index(True) if True in fails else len(fails)
