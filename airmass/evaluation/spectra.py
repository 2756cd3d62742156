"""Spectra of forecasts, of their errors and of truth: is small-scale detail realistic, and is it in the right place."""

from collections.abc import Iterator, Mapping

import numpy as np
from jaxtyping import Bool, Complex, Float

from airmass.data.formats.forecast_reader import hours
from airmass.evaluation.inputs import VerificationData
from airmass.evaluation.metrics.spectrum import effective_wavenumber, zonal_coefficients, zonal_cross_power
from airmass.evaluation.scores import Spectrum
from airmass.fields.derived import scored

# (system, True for the ensemble mean) -> (lead_time, kind, level, wavenumber): power, power of the error, and the cross
# spectrum with truth.
Powers = dict[tuple[str, bool], np.ndarray]
_TRUTH = "truth", False


def compute_spectra(
    data: VerificationData,
    channels: Mapping[str, tuple[str, int | None]],
    counted: Mapping[str, Bool[np.ndarray, "init_time lead_time level"]],
) -> Iterator[Spectrum]:
    """Yield spectra of the given (variable, level) at `data.spectra_lead_times`, for truth and every system.

    They are means over the same initial times as the scores, those `counted`. Variables that are missing over land are
    skipped.
    """
    for name in dict.fromkeys(name for name, _ in channels.values()):
        if scored(name).missing_over_land:
            continue
        powers = _mean_powers(data, name, counted[name])
        for key in powers:
            for other, level in channels.values():
                if other == name:
                    yield from _spectra_of(data, powers, name, level, *key)


def _spectra_of(
    data: VerificationData, powers: Powers, name: str, level: int | None, system: str, of_mean: bool
) -> Iterator[Spectrum]:
    row, lead_hours = data.levels(name).index(level), hours(data.spectra_lead_times)
    held = (powers[key][:, :, row] for key in ((system, of_mean), _TRUTH))
    for hour, (power, error, cross), (truth, _, _) in zip(lead_hours, *held, strict=True):
        if not np.isfinite(power).all():
            continue
        ratio = _shares(power.real, truth.real)
        known: dict = {}
        if system != "truth":
            coherence = _shares(np.square(np.abs(cross)), power.real * truth.real)
            known = {
                "error": error.real.tolist(),
                "coherence": coherence,
                "resolved_wavenumber": effective_wavenumber(ratio),
                "coherent_wavenumber": effective_wavenumber(coherence),
            }
        yield Spectrum(system, name, level, hour, of_mean, power.real.tolist(), ratio, **known)


def _shares(part: np.ndarray, whole: np.ndarray) -> list[float | None]:
    return [float(p / w) if w > 0 else None for p, w in zip(part, whole, strict=True)]


def _mean_powers(data: VerificationData, name: str, counted: Bool[np.ndarray, "init_time lead_time level"]) -> Powers:
    """Mean spectra over the initial times that count; NaN if none counts."""
    counted = counted[:, np.searchsorted(data.lead_times, data.spectra_lead_times)]
    total: Powers = {}
    frames = data.truth_frames(name)
    for init_time, at in zip(data.init_times, counted[:, :, None, :, None], strict=True):
        frames.forget_before(init_time)
        found: dict[tuple[str, bool], list[np.ndarray]] = {}
        for lead_time in data.spectra_lead_times:
            truth = _coefficients(data, frames.at([init_time + lead_time])[0])
            found.setdefault(_TRUTH, []).append(_against(data, truth, truth))
            for key, spectra in _of_systems(data, name, init_time, lead_time, truth):
                found.setdefault(key, []).append(spectra)
        for key, values in found.items():
            new = np.where(at, np.stack(values), 0.0)
            total[key] = total[key] + new if key in total else new
    count = counted.sum(axis=0)[:, None, :, None]
    return {key: np.where(count > 0, values / np.maximum(count, 1), np.nan) for key, values in total.items()}


def _of_systems(
    data: VerificationData, name: str, init_time: np.datetime64, lead_time: np.timedelta64, truth: np.ndarray
) -> Iterator[tuple[tuple[str, bool], Complex[np.ndarray, "kind level wavenumber"]]]:
    """Yield the spectra of each system: the means over its members, and those of the ensemble mean."""
    for system in data.systems:
        if name in system.variables:
            members = [
                _coefficients(data, member) for member in system.read(name, init_time, np.array([lead_time]))[:, 0]
            ]
            yield (system.name, False), np.mean([_against(data, member, truth) for member in members], axis=0)
            if len(members) > 1:
                yield (system.name, True), _against(data, np.mean(members, axis=0), truth)


def _against(
    data: VerificationData, forecast: np.ndarray, truth: np.ndarray
) -> Complex[np.ndarray, "kind level wavenumber"]:
    """Power, power of the error, and cross spectrum with truth, from Fourier coefficients."""
    latitude, longitudes = data.grid.latitude, len(data.grid.longitude)
    pairs = (forecast, forecast), (forecast - truth, forecast - truth), (forecast, truth)
    return np.stack([zonal_cross_power(one, other, latitude, longitudes) for one, other in pairs])


def _coefficients(
    data: VerificationData, field: Float[np.ndarray, "level node"]
) -> Complex[np.ndarray, "level row wavenumber"]:
    return zonal_coefficients(field.reshape(-1, *data.grid.shape), data.grid.latitude)
