"""Tables of stations that are readable and yet wrong: heights in feet, exchanged positions, local times.

Each is refused where the values fit the model clearly better after a conversion.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from airmass.core.errors import InputError

_FEET = 3.2808
# Stations that it takes to tell from their heights that the table is wrong, and metres off the model's surface.
_LEAST_PLACES, _OFF = 5, 150.0
# Offsets of local times in hours, and pairs of an observation and a forecast that it takes to tell one.
OFFSETS, _LEAST_PAIRS = range(-14, 15), 40


def refuse_feet(height: Float[np.ndarray, " station"], model: Float[np.ndarray, " station"], path: str | Path) -> None:
    """Raise InputError where heights fit the model's surface (m) clearly better after a conversion from feet."""
    land = (model > 50) & (height > 50)
    if land.sum() < _LEAST_PLACES:
        return
    ratio = float(np.median(height[land] / model[land]))
    off = [float(np.median(np.abs(height[land] / factor - model[land]))) for factor in (1, _FEET)]
    if ratio > 2 and off[1] < off[0] / 3:
        raise InputError(
            f"{path}: heights are {ratio:.1f} times the model's surface (median), expected m: are these feet?"
        )


def refuse_swapped(
    height: Float[np.ndarray, " station"],
    model: Float[np.ndarray, " station"],
    exchanged: Float[np.ndarray, " station"],
    path: str | Path,
) -> None:
    """Raise InputError where heights fit the model's surface clearly better with latitude and longitude `exchanged`."""
    if len(height) < _LEAST_PLACES:
        return
    off, swapped = (float(np.median(np.abs(height - at))) for at in (model, exchanged))
    if off > _OFF and swapped < off / 3:
        raise InputError(
            f"{path}: heights are {off:.0f} m off the model's surface (median), but {swapped:.0f} m with latitude and "
            "longitude exchanged: are they swapped?"
        )


def refuse_local_time(
    by_offset: dict[int, Float[np.ndarray, "time station"]],
    forecast: Float[np.ndarray, "time station"],
    name: str,
    units: str,
    path: str | Path,
) -> None:
    """Raise InputError where observations of some hours later or earlier fit forecasts twice as well.

    `by_offset` are the observations at the forecasts' valid times plus each offset in hours, NaN where there is none.
    Every station's median difference is taken off first: it says nothing on the time.
    """
    found = {offset: _misfit(observed - forecast) for offset, observed in by_offset.items()}
    (off, pairs), known = found[0], {offset: one for offset, one in found.items() if one[1] >= _LEAST_PAIRS}
    if 0 not in known or not off > 0:
        return
    best = min(known, key=lambda offset: known[offset][0])
    if known[best][0] < off / 2 and known[best][1] >= pairs / 2:
        raise InputError(
            f"{path}: {name} is {off:.2g} {units} off the forecasts (median), but {known[best][0]:.2g} {units} with "
            f"times taken as UTC{best:+d}, expected times in UTC: are these local times?"
        )


def _misfit(difference: Float[np.ndarray, "time station"]) -> tuple[float, int]:
    """Median size of differences about their station's median, and their number."""
    held = np.isfinite(difference)
    used = held.sum(axis=0) > 1
    if not used.any():
        return np.inf, 0
    difference, held = difference[:, used], held[:, used]
    off = np.abs(difference - np.nanmedian(difference, axis=0))
    return float(np.nanmedian(off)), int(held.sum())
