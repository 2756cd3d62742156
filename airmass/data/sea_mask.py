"""Where a field of the sea must have values and where none, by the land-sea mask: the same for check and readers."""

import numpy as np
from jaxtyping import Bool, Float

MASK = "land_sea_mask"
# From here on a point is land without any sea, and up to here sea without any land: masks that were interpolated or
# packed miss 1 and 0 by a little.
_LAND, _WATER = 0.999, 0.001
# An archive may lack sea surface temperature over lakes, which a land-sea mask counts as water: 0.3 % of all water.
_LAKES = 0.005


def gap_problem(mask: Float[np.ndarray, "*shape"], missing: Bool[np.ndarray, "*shape"]) -> str | None:
    """What is wrong with where one frame of a field of the sea is missing; None if nothing is."""
    land, sea = mask >= _LAND, mask <= _WATER
    if filled := int((land & ~missing).sum()):
        return (
            f"has a value at {filled} of the {land.sum()} points that {MASK} says are land; expected NaN at all of them"
        )
    if (holes := int((sea & missing).sum())) > _LAKES * sea.sum():
        return f"is NaN at {holes} of the {sea.sum()} points that {MASK} says are water; expected a value there"
    return None
