"""Power spectra of forecasts beside that of the truth: whether a forecast has the detail that the weather has."""

from collections.abc import Iterator, Mapping

import numpy as np
from jaxtyping import Float

from airmass.data.formats.forecast_reader import hours
from airmass.evaluation.inputs import Judged
from airmass.evaluation.metrics import State
from airmass.evaluation.metrics.spectrum import zonal_power
from airmass.evaluation.scores import Spectrum
from airmass.fields.derived import scored

# By (system, whether it is the spectrum of the mean of members); each of shape (lead_time, level, wavenumber).
Powers = dict[tuple[str, bool], State]


def judge_spectra(
    judged: Judged, channels: Mapping[str, tuple[str, int | None]], lead_times: np.ndarray
) -> Iterator[Spectrum]:
    """Spectra of these (variable, level) at these lead times, the mean over initial times, of truth and every system.

    Variables that are missing over land have none.
    """
    for name in dict.fromkeys(name for name, _ in channels.values()):
        if scored(name).missing_over_land:
            continue
        powers = _powers(judged, name, lead_times)
        wanted = [level for other, level in channels.values() if other == name]
        for (system, of_mean), state in powers.items():
            for level in wanted:
                row = judged.levels(name).index(level)
                for hour, power, truth in zip(
                    hours(lead_times), state.mean[:, row], powers["truth", False].mean[:, row], strict=True
                ):
                    if np.isfinite(power).all():
                        ratio = [float(p / t) if t > 0 else None for p, t in zip(power, truth, strict=True)]
                        yield Spectrum(system, name, level, hour, of_mean, power.tolist(), ratio)


def _powers(judged: Judged, name: str, lead_times: np.ndarray) -> Powers:
    total: Powers = {}
    frames = judged.truth_frames(name)
    systems = [system for system in judged.systems if name in system.variables]

    def power(field: Float[np.ndarray, "level node"]) -> Float[np.ndarray, "level wavenumber"]:
        return zonal_power(field.reshape(-1, *judged.grid.shape), judged.grid.latitude)

    for init_time in judged.init_times:
        frames.forget_before(init_time)
        found: dict[tuple[str, bool], list[np.ndarray]] = {}
        for lead_time in lead_times:
            found.setdefault(("truth", False), []).append(power(frames.at([init_time + lead_time])[0]))
            for system in systems:
                members = system.read(name, init_time, np.array([lead_time]))[:, 0]
                each = np.mean([power(member) for member in members], axis=0)
                found.setdefault((system.name, False), []).append(each)
                if len(members) > 1:
                    of_mean = power(members.mean(axis=0, dtype=np.float64))
                    found.setdefault((system.name, True), []).append(of_mean)
        for key, values in found.items():
            new = State(np.stack(values), 1)
            total[key] = total[key] + new if key in total else new
    return total
