"""Weights by latitude, level and variable, each chosen by name."""

import numpy as np
from jaxtyping import Float

from airmass.fields.channels import ChannelLayout
from airmass.fields.grid import LatLonGrid
from airmass.models.objectives.settings import LossSettings, known

# Lam et al. 2023, supplement 4.2; variables not named weigh 1.
PUBLISHED_VARIABLE_WEIGHTS: dict[str, float] = {
    "10m_u_component_of_wind": 0.1,
    "10m_v_component_of_wind": 0.1,
    "mean_sea_level_pressure": 0.1,
    "sea_surface_temperature": 0.1,
    "total_precipitation_6hr": 0.1,
    "total_precipitation_12hr": 0.1,
}

LATITUDE_WEIGHTS = {
    "area": lambda grid: grid.area_weights,
    "uniform": lambda grid: np.ones(grid.size, np.float32),
}
LEVEL_WEIGHTS = {
    "pressure": lambda levels: levels / levels.mean(),
    "uniform": lambda levels: np.ones_like(levels),
}


def node_weights(settings: LossSettings, grid: LatLonGrid) -> Float[np.ndarray, " node"]:
    """Unit-mean weights of grid nodes."""
    return LATITUDE_WEIGHTS[settings.latitude](grid)


def channel_weights(settings: LossSettings, layout: ChannelLayout) -> Float[np.ndarray, " channel"]:
    """Level weights divided by the number of levels, so that a sum over a variable's channels is its mean over levels.

    Weights have unit mean over levels; their mean over levels equals a sum with weights that sum to one.
    """
    parts = []
    for name in layout.variables:
        levels = np.array(layout.levels(name), np.float64)
        parts.append(LEVEL_WEIGHTS[settings.level](levels) / len(levels) if len(levels) else np.ones(1))
    return np.concatenate(parts).astype(np.float32)


def variable_weights(settings: LossSettings, layout: ChannelLayout) -> Float[np.ndarray, " variable"]:
    """Weights in the order of `layout.variables`; raises InputError for a name that is not a target."""
    for name in settings.variable:
        known("variable", name, dict.fromkeys(layout.variables))
    weights = PUBLISHED_VARIABLE_WEIGHTS | settings.variable
    return np.array([weights.get(name, 1.0) for name in layout.variables], np.float32)
