"""The check of missing values in fields of the sea against the land-sea mask, the same in all commands."""

import numpy as np
from jaxtyping import Bool, Float

MASK = "land_sea_mask"
# Points from the first value on are land only, and up to the second water only: interpolated or packed masks are not
# exactly 1 and 0.
_LAND, _WATER = 0.999, 0.001
# An archive may lack sea surface temperature over lakes, which a land-sea mask counts as water: 0.3 % of all water.
_LAKES = 0.005


def gap_problem(mask: Float[np.ndarray, "*shape"], missing: Bool[np.ndarray, "*shape"]) -> str | None:
    """The problem of the missing values of a frame of a field of the sea; None if they agree with the mask."""
    land, sea = is_land(mask), mask <= _WATER
    if filled := int((land & ~missing).sum()):
        return (
            f"has a value at {filled} of the {land.sum()} points that {MASK} says are land; expected NaN at all of them"
        )
    if (holes := int((sea & missing).sum())) > _LAKES * sea.sum():
        return f"is NaN at {holes} of the {sea.sum()} points that {MASK} says are water; expected a value there"
    return None


def is_land(mask: Float[np.ndarray, "*shape"]) -> Bool[np.ndarray, "*shape"]:
    """Points that are land only."""
    return mask >= _LAND
