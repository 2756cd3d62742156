"""Variables computed from other quantities of the same archive, on its own grid and levels.

Saturation vapour pressure after Tetens with the parameters of Buck (1981) and, over ice, Alduchov and Eskridge (1996),
mixed between -23 and 0 °C: IFS Documentation CY47R3, part IV, equations 12.11 to 12.13 (`e_s = a1 exp(a3 (T - T0) / (T
- a4))`, T0 = 273.16 K). Specific humidity is `q = ε e / (p - (1 - ε) e)` with ε = 287.0597 / 461.5250 (same source).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

G = 9.80665  # standard gravity, WMO; the g of ERA5's geopotential
DRY_AIR, WATER_VAPOUR = 287.0597, 461.5250  # gas constants, J kg-1 K-1
_EPSILON = DRY_AIR / WATER_VAPOUR
_T0, _T_ICE = 273.16, 250.16

Fields = Float[np.ndarray, "*level point"]


@dataclass(frozen=True)
class Formula:
    """A variable from other quantities; `compute` also gets the pressure in Pa, which is None off levels.

    Without `compute`, the variable is integrated from the ground up over model levels, not level by level.
    """

    variable: str
    inputs: tuple[str, ...]
    compute: Callable[..., Fields] | None
    words: str


def over_water(temperature: Fields) -> Fields:
    """Saturation vapour pressure over water, Pa, of a temperature in K."""
    return 611.21 * np.exp(17.502 * (temperature - _T0) / (temperature - 32.19))


def over_ice(temperature: Fields) -> Fields:
    """Saturation vapour pressure over ice, Pa, of a temperature in K."""
    return 611.21 * np.exp(22.587 * (temperature - _T0) / (temperature + 0.7))


def mixed_phase(temperature: Fields) -> Fields:
    """Saturation vapour pressure of the IFS, Pa: over water above 0 °C, over ice below -23 °C, mixed between."""
    water = np.clip((temperature - _T_ICE) / (_T0 - _T_ICE), 0, 1) ** 2
    return water * over_water(temperature) + (1 - water) * over_ice(temperature)


def specific_humidity(vapour_pressure: Fields, pressure: Fields) -> Fields:
    """Specific humidity, kg kg-1, of a vapour pressure and a pressure in Pa."""
    return _EPSILON * vapour_pressure / (pressure - (1 - _EPSILON) * vapour_pressure)


def _from_relative(humidity: Fields, temperature: Fields, pressure: Fields) -> Fields:
    # In the upper stratosphere of some archives the saturation pressure exceeds the pressure.
    saturated = np.minimum(mixed_phase(temperature), pressure)
    return specific_humidity(humidity / 100 * saturated, pressure)


def _omega(velocity: Fields, temperature: Fields, pressure: Fields) -> Fields:
    return -G * pressure / (DRY_AIR * temperature) * velocity


FORMULAS = (
    Formula("geopotential", ("geopotential_height",), lambda h, p: G * h, f"{G} m s-2 times geopotential height"),
    Formula("geopotential_at_surface", ("orography",), lambda h, p: G * h, f"{G} m s-2 times orography"),
    Formula("specific_humidity", ("relative_humidity", "temperature"), _from_relative,
            "from relative humidity and temperature with the mixed-phase saturation of the IFS (CY47R3, IV, 12.13)"),
    Formula("specific_humidity", ("dewpoint_temperature",), lambda d, p: specific_humidity(over_water(d), p),
            "from dewpoint with saturation over water (IFS CY47R3, IV, 12.11)"),
    Formula("2m_specific_humidity", ("2m_dewpoint_temperature", "surface_pressure"),
            lambda d, sp, p: specific_humidity(over_water(d), sp),
            "from 2 m dewpoint and surface pressure with saturation over water (IFS CY47R3, IV, 12.11)"),
    Formula("vertical_velocity", ("upward_air_velocity", "temperature"), _omega,
            "-g p / (R T) times upward velocity, hydrostatic"),
)  # fmt: skip


def formulas_for(variable: str) -> list[Formula]:
    """The formulas that give a variable, the preferred first."""
    return [formula for formula in FORMULAS if formula.variable == variable]
