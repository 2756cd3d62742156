"""Where a moment stands in its year and its day, as the published models measure it."""

import numpy as np
from jaxtyping import Float

_DAY = 86400.0
_DAYS_A_YEAR = 365.24219


def year_progress(times: np.ndarray) -> Float[np.ndarray, " time"]:
    """Fraction of the tropical year gone since an arbitrary start, in [0, 1). `times` are datetime64."""
    return np.mod(_seconds(times) / _DAY / _DAYS_A_YEAR, 1.0).astype(np.float32)


def day_progress(times: np.ndarray, longitude: Float[np.ndarray, " longitude"]) -> Float[np.ndarray, "time longitude"]:
    """Local solar time as a fraction of the day, in [0, 1); `longitude` in degrees east."""
    greenwich = np.mod(_seconds(times), _DAY) / _DAY
    return np.mod(greenwich[:, None] + longitude[None] / 360, 1.0).astype(np.float32)


def _seconds(times: np.ndarray) -> np.ndarray:
    return np.asarray(times, "datetime64[s]").astype(np.int64).astype(np.float64)
