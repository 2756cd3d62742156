"""Rules by which pieces of several sources are joined: what is there twice, and what is missing, in words."""

from collections.abc import Sequence

import numpy as np

from airmass.core.errors import InputError
from airmass.data.formats.layout import minute
from airmass.data.ingest.pieces import Piece
from airmass.fields.variables import VARIABLES


def there_twice(pieces: Sequence[Piece], what: str) -> str:
    one, two = pieces[:2]
    return f"{what} is there twice, in {one.described} and {two.described}; expected once"


def listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers)) or "none"


def require_finite(
    name: str, values: np.ndarray, time: np.datetime64 | None, levels: Sequence[int], where: str
) -> None:
    """Raise InputError with the level and number of missing values."""
    bad = ~np.isfinite(values)
    if not bad.any():
        return
    variable = VARIABLES[name]
    at = f" at {levels[int(np.argmax(bad.any(axis=-1)))]:g} hPa" if variable.on_levels else ""
    when = "" if time is None else f" at {minute(time)}"
    raise InputError(
        f"{where}: {name}{at}{when} has {int(bad.sum())} NaN or infinite values of {bad.size}, expected none"
    )
