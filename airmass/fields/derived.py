"""Derived fields: scored, but computed from stored ones."""

from collections.abc import Sequence

import numpy as np

from airmass.fields.variables import VARIABLES, Variable

# Wind speed from its components; no file has it.
WIND_SPEED = Variable("10m_wind_speed", "wind_speed", "10si", "m s-1", False, (0.0, 150.0))
_WIND = ("10m_u_component_of_wind", "10m_v_component_of_wind")


def scored(name: str) -> Variable:
    """The variable of a scored name, stored or derived. Raises KeyError for an unknown one."""
    return WIND_SPEED if name == WIND_SPEED.name else VARIABLES[name]


def parts_of(name: str) -> tuple[str, ...]:
    """The stored variables that a scored one is computed from: itself, or the components of the wind."""
    return _WIND if name == WIND_SPEED.name else (name,)


def combined(name: str, parts: Sequence[np.ndarray]) -> np.ndarray:
    """Values of a scored variable from those of its `parts_of`, all of one shape."""
    return np.hypot(*parts) if name == WIND_SPEED.name else parts[0]
