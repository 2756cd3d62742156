"""Settings of the loss, free of JAX."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Annotated

from airmass.core.errors import InputError
from airmass.core.typed import Range, check
from airmass.models.objectives.losses import loss_names

# The keys of the tables in `weights`, which need grids.
LATITUDES = ("area", "uniform")
LEVELS = ("pressure", "uniform")


@dataclass(frozen=True)
class LossSettings:
    """Which loss, and how errors are weighted.

    `kind` is one of the losses that there are, each a file in `objectives/losses`. `latitude` is "area" or "uniform";
    `level` is "pressure" (divided by the mean pressure of the levels) or "uniform"; `variable` overrides the published
    weights by ERA5 long name.
    """

    kind: str = "squared_error"
    latitude: str = "area"
    level: str = "pressure"
    variable: dict[str, Annotated[float, Range(0)]] = field(default_factory=dict)

    def __post_init__(self):
        check(self, "loss")
        if self.kind not in loss_names():
            raise InputError(f"unknown loss {self.kind!r}; known are {', '.join(loss_names())}")
        known("latitude", self.latitude, LATITUDES)
        known("level", self.level, LEVELS)


def known(what: str, name: str, names: Collection[str]) -> None:
    """Raise InputError where a kind of weight has no `name`."""
    if name not in names:
        raise InputError(f"loss has no {what} weight {name!r}; known are {', '.join(names)}")
