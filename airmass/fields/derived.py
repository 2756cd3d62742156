"""Derived fields: scored like others, but computed from stored ones."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import ClassVar

import numpy as np

from airmass.core.errors import InputError
from airmass.fields.variables import VARIABLES, Variable

_GRAVITY = 9.80665  # m s-2
_LEVEL = -3  # the axis of levels in arrays (..., level, latitude, longitude)


class DerivedField(ABC):
    """A field computed from stored ones.

    `parts` are the stored variables. With `levels`, exactly these levels (hPa) of parts on levels are needed; without,
    a field on levels is computed at each level, and one not on levels from all of them. Fields that are not `usual`
    are scored on request only. A climatology of the parts gives one of the field only if it is `linear` in them.
    """

    variable: ClassVar[Variable]
    parts: ClassVar[tuple[str, ...]]
    levels: ClassVar[tuple[int, ...]] = ()
    least_levels: ClassVar[int] = 1
    usual: ClassVar[bool] = False
    linear: ClassVar[bool] = False

    @abstractmethod
    def compute(self, parts: Sequence[np.ndarray], levels: Sequence[int]) -> np.ndarray:
        """Values of the field from those of its parts, (..., [level,] latitude, longitude), levels in hPa rising.

        The result has the axis of levels if the field is on levels.
        """

    def problem(self, names: Collection[str], levels: Sequence[int]) -> str:
        """The reason why these variables and levels do not suffice; empty if they do."""
        if absent := [part for part in self.parts if part not in names]:
            return f"needs {', '.join(absent)}"
        if lacking := [level for level in self.levels if level not in levels]:
            return f"needs {self.parts[0]} at {', '.join(map(str, lacking))} hPa"
        if len(levels) < self.least_levels and any(VARIABLES[part].on_levels for part in self.parts):
            return f"needs {self.least_levels} levels or more, found {len(levels)}"
        return ""


class WindSpeed10m(DerivedField):
    """Speed of the wind at 10 m."""

    variable = Variable("10m_wind_speed", "wind_speed", "10si", "m s-1", False, (0.0, 150.0))
    parts = ("10m_u_component_of_wind", "10m_v_component_of_wind")
    usual = True

    def compute(self, parts, levels):
        return np.hypot(*parts)


class WindSpeed(DerivedField):
    """Speed of the wind on levels."""

    variable = Variable("wind_speed", "wind_speed", "ws", "m s-1", True, (0.0, 250.0))
    parts = ("u_component_of_wind", "v_component_of_wind")

    def compute(self, parts, levels):
        return np.hypot(*parts)


class Thickness(DerivedField):
    """Height of the layer from 1000 to 500 hPa: difference of geopotential over standard gravity."""

    variable = Variable("thickness_500_1000", "", "thick", "m", False, (3500.0, 7000.0))
    parts = ("geopotential",)
    levels = (500, 1000)
    linear = True

    def compute(self, parts, levels):
        upper, lower = (np.take(parts[0], list(levels).index(level), axis=_LEVEL) for level in self.levels)
        return (upper - lower) / _GRAVITY


class RelativeHumidity(DerivedField):
    """Relative humidity over water at or above 0 °C, over ice at or below -23 °C, mixed in between, in percent.

    Saturation by Tetens' formula with Buck's (1981) coefficients over water and those of AERKi over ice, weighted by
    ((T - 250.16 K) / 23 K)^2. Source: ECMWF IFS documentation CY47R3, part IV, equations 7.4, 7.5, 12.13; ERA5's
    relative humidity is made so.
    """

    variable = Variable("relative_humidity", "relative_humidity", "r", "%", True, (-20.0, 250.0))
    parts = ("temperature", "specific_humidity")

    def compute(self, parts, levels):
        t, q = parts
        p = 100.0 * np.asarray(levels, t.dtype)[:, None, None]
        water = 611.21 * np.exp(17.502 * (t - 273.16) / (t - 32.19))
        ice = 611.21 * np.exp(22.587 * (t - 273.16) / (t + 0.7))
        share = np.clip((t - 250.16) / (273.16 - 250.16), 0, 1) ** 2
        epsilon = 287.0597 / 461.5250
        return 100 * p * q / (epsilon + (1 - epsilon) * q) / (share * water + (1 - share) * ice)


class IntegratedVapourTransport(DerivedField):
    """Size of the vertical integral of moisture flux, |integral of q (u, v) dp| / g, by trapezoids over the levels.

    Source: Zhu and Newell 1998, doi:10.1175/1520-0493(1998)126<0725:APAFMF>2.0.CO;2; levels below ground count, as
    they do in archives that extrapolate there.
    """

    variable = Variable("integrated_vapour_transport", "", "ivt", "kg m-1 s-1", False, (0.0, 5000.0))
    parts = ("specific_humidity", "u_component_of_wind", "v_component_of_wind")
    least_levels = 3

    def compute(self, parts, levels):
        q, u, v = parts
        pressure = 100.0 * np.asarray(levels, q.dtype)
        return np.hypot(*(np.trapezoid(q * wind, pressure, axis=_LEVEL) for wind in (u, v))) / _GRAVITY


DERIVED: dict[str, DerivedField] = {kind.variable.name: kind() for kind in DerivedField.__subclasses__()}

# Wind vectors, scored by the sum of the squared errors of their components.
VECTORS: dict[str, tuple[Variable, tuple[str, str]]] = {
    "wind_vector": (Variable("wind_vector", "", "wv", "m s-1", True, (0.0, 250.0)), WindSpeed.parts),
    "10m_wind_vector": (Variable("10m_wind_vector", "", "10wv", "m s-1", False, (0.0, 150.0)), WindSpeed10m.parts),
}  # type: ignore[dict-item]


def is_scored(name: str) -> bool:
    return name in VARIABLES or name in DERIVED or name in VECTORS


def scored(name: str) -> Variable:
    """The variable of a scored name, stored or derived. Raises KeyError for an unknown one."""
    if name in DERIVED:
        return DERIVED[name].variable
    return VECTORS[name][0] if name in VECTORS else VARIABLES[name]


def parts_of(name: str) -> tuple[str, ...]:
    """The stored variables that a scored one is computed from: itself if it is stored."""
    return DERIVED[name].parts if name in DERIVED else (name,)


def linear(name: str) -> bool:
    """True if the mean of a scored field is the field of the means of its parts."""
    return name not in DERIVED or DERIVED[name].linear


def combined(name: str, parts: Sequence[np.ndarray], levels: Sequence[int] = ()) -> np.ndarray:
    """Values of a scored variable from those of its `parts_of`, (..., [level,] latitude, longitude)."""
    return DERIVED[name].compute(parts, levels) if name in DERIVED else parts[0]


def derived_fields(held: Collection[str], levels: Sequence[int], wanted: Sequence[str] = ()) -> tuple[str, ...]:
    """Names of the derived fields to score: the usual ones that can be computed, and those `wanted`.

    `["all"]` wants all that can be computed. Raises InputError for a wanted one that is unknown or lacks a part.
    """
    everything = list(wanted) == ["all"]
    found = [n for n, f in DERIVED.items() if (f.usual or everything) and not f.problem(held, levels)]
    for name in () if everything else wanted:
        if name not in DERIVED:
            raise InputError(f"unknown derived field {name!r}, expected one of {', '.join(DERIVED)}, or all")
        if problem := DERIVED[name].problem(held, levels):
            raise InputError(f"derived field {name} {problem}")
    return tuple(dict.fromkeys((*found, *(() if everything else wanted))))
