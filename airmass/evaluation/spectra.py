"""Power spectra of forecasts and truth, which show whether a forecast has realistic small-scale detail."""

from collections.abc import Iterator, Mapping

import numpy as np
from jaxtyping import Bool, Float

from airmass.data.formats.forecast_reader import hours
from airmass.evaluation.inputs import VerificationData
from airmass.evaluation.metrics.spectrum import zonal_power
from airmass.evaluation.scores import Spectrum
from airmass.fields.derived import scored

# (system, True for the spectrum of the ensemble mean) -> array (lead_time, level, wavenumber).
Powers = dict[tuple[str, bool], np.ndarray]


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
        for system, of_mean in powers:
            for other, level in channels.values():
                if other == name:
                    yield from _spectra_of(data, powers, name, level, system, of_mean)


def _spectra_of(
    data: VerificationData, powers: Powers, name: str, level: int | None, system: str, of_mean: bool
) -> Iterator[Spectrum]:
    row, lead_hours = data.levels(name).index(level), hours(data.spectra_lead_times)
    rows = (powers[key][:, row] for key in ((system, of_mean), ("truth", False)))
    for hour, power, truth in zip(lead_hours, *rows, strict=True):
        if np.isfinite(power).all():
            ratio = [float(p / t) if t > 0 else None for p, t in zip(power, truth, strict=True)]
            yield Spectrum(system, name, level, hour, of_mean, power.tolist(), ratio)


def _mean_powers(data: VerificationData, name: str, counted: Bool[np.ndarray, "init_time lead_time level"]) -> Powers:
    """Mean spectra over the initial times that count; NaN if none counts."""
    counted = counted[:, np.searchsorted(data.lead_times, data.spectra_lead_times)]
    total: Powers = {}
    frames = data.truth_frames(name)
    for init_time, at in zip(data.init_times, counted[..., None], strict=True):
        frames.forget_before(init_time)
        found: dict[tuple[str, bool], list[np.ndarray]] = {}
        for lead_time in data.spectra_lead_times:
            found.setdefault(("truth", False), []).append(_power(data, frames.at([init_time + lead_time])[0]))
            for key, power in _powers_of_systems(data, name, init_time, lead_time):
                found.setdefault(key, []).append(power)
        for key, values in found.items():
            new = np.where(at, np.stack(values), 0.0)
            total[key] = total[key] + new if key in total else new
    count = counted.sum(axis=0)[..., None]
    return {key: np.where(count > 0, values / np.maximum(count, 1), np.nan) for key, values in total.items()}


def _powers_of_systems(
    data: VerificationData, name: str, init_time: np.datetime64, lead_time: np.timedelta64
) -> Iterator[tuple[tuple[str, bool], Float[np.ndarray, "level wavenumber"]]]:
    for system in data.systems:
        if name in system.variables:
            members = system.read(name, init_time, np.array([lead_time]))[:, 0]
            yield (system.name, False), np.mean([_power(data, member) for member in members], axis=0)
            if len(members) > 1:
                yield (system.name, True), _power(data, members.mean(axis=0, dtype=np.float64))


def _power(data: VerificationData, field: Float[np.ndarray, "level node"]) -> Float[np.ndarray, "level wavenumber"]:
    return zonal_power(field.reshape(-1, *data.grid.shape), data.grid.latitude)
