"""Settings of the loss, free of JAX."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Annotated

from airmass.core.errors import InputError
from airmass.core.typed import Range, check

# The keys of the tables in `weights`, which need grids.
LATITUDES = ("area", "uniform")
LEVELS = ("pressure", "uniform")


@dataclass(frozen=True)
class LossSettings:
    """How errors are weighted.

    `latitude` is "area" or "uniform"; `level` is "pressure" (divided by the mean pressure of the levels) or "uniform";
    `variable` overrides the published weights by ERA5 long name.
    """

    latitude: str = "area"
    level: str = "pressure"
    variable: dict[str, Annotated[float, Range(0)]] = field(default_factory=dict)

    def __post_init__(self):
        check(self, "loss")
        known("latitude", self.latitude, LATITUDES)
        known("level", self.level, LEVELS)


def known(what: str, name: str, names: Collection[str]) -> None:
    """Raise InputError where a kind of weight has no `name`."""
    if name not in names:
        raise InputError(f"loss has no {what} weight {name!r}; known are {', '.join(names)}")
