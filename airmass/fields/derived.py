"""Fields that no file holds and that are scored all the same, from those that files hold."""

from collections.abc import Sequence

import numpy as np

from airmass.fields.variables import VARIABLES, Variable

# Judged, though no file holds it: the length of the wind from its components.
WIND_SPEED = Variable("10m_wind_speed", "wind_speed", "10si", "m s-1", False, (0.0, 150.0))
_WIND = ("10m_u_component_of_wind", "10m_v_component_of_wind")


def scored(name: str) -> Variable:
    """The variable that scores of this name are of. Raises KeyError for an unknown one."""
    return WIND_SPEED if name == WIND_SPEED.name else VARIABLES[name]


def parts_of(name: str) -> tuple[str, ...]:
    """The variables on disk that a scored one is made of: itself, or the components of the wind."""
    return _WIND if name == WIND_SPEED.name else (name,)


def combined(name: str, parts: Sequence[np.ndarray]) -> np.ndarray:
    """A scored variable from its parts, each of the same shape."""
    return np.hypot(*parts) if name == WIND_SPEED.name else parts[0]
