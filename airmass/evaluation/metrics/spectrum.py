"""Zonal power spectrum: how much of a field's variance lies at each wavenumber around the globe."""

import numpy as np
from jaxtyping import Float

from airmass.fields.grid import latitude_weights

BAND = 60.0


def zonal_power(
    field: Float[np.ndarray, "*batch latitude longitude"], latitude: Float[np.ndarray, " latitude"]
) -> Float[np.ndarray, "*batch wavenumber"]:
    """Power by zonal wavenumber 0 to n / 2, area-weighted over rows from 60°S to 60°N, in squared units.

    Power over all wavenumbers adds up to the area mean of the squared field there (Parseval). Rows nearer to the poles
    are left out because one wavenumber means ever shorter waves towards them.
    """
    rows = np.abs(latitude) <= BAND
    n = field.shape[-1]
    power = np.square(np.abs(np.fft.rfft(np.asarray(field, np.float64)[..., rows, :], axis=-1) / n))
    power[..., 1 : (n + 1) // 2] *= 2  # each stands for the negative wavenumber too
    weights = latitude_weights(latitude)[rows]
    return np.einsum("...jk,j->...k", power, weights / weights.sum())
