"""Settings of the loss, free of JAX."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from airmass.core.errors import InputError
from airmass.core.typed import Range, check
from airmass.models.objectives.losses import loss_names

# The keys of the tables in `weights`, which need grids.
LATITUDES = ("area", "uniform")
LEVELS = ("pressure", "uniform")
# Settings that only some losses have.
OWN = ("alpha", "scales", "spectral")


@dataclass(frozen=True)
class LossSettings:
    """Which loss, and how errors are weighted.

    `kind` is one of the losses that there are, each a file in `objectives/losses`. `stages` names the losses of
    the first stages of the curriculum where they are others: an ensemble may start from a loss of single forecasts,
    such as squared errors, and then trains one member without noise. `latitude` is "area" or "uniform";
    `level` is "pressure" (divided by the mean pressure of the levels) or "uniform"; `variable` overrides the published
    weights by ERA5 long name. The others are for losses that have them, whose own values None takes: `alpha` is the
    share of the fair score in an almost fair one, `scales` the total wavenumbers between the parts of a multiscale
    loss, rising, and `spectral` the weight of the spectral part.
    """

    kind: str = "squared_error"
    stages: tuple[str, ...] = ()
    latitude: str = "area"
    level: str = "pressure"
    variable: dict[str, Annotated[float, Range(0)]] = field(default_factory=dict)
    alpha: Annotated[float, Range(0, 1)] | None = None
    scales: tuple[Annotated[int, Range(1, 10_000)], ...] | None = None
    spectral: Annotated[float, Range(0, 1000)] | None = None

    def __post_init__(self):
        check(self, "loss")
        for kind in (self.kind, *self.stages):
            if kind not in loss_names():
                raise InputError(f"unknown loss {kind!r}; known are {', '.join(loss_names())}")
        known("latitude", self.latitude, LATITUDES)
        known("level", self.level, LEVELS)
        if self.scales is not None and (not self.scales or list(self.scales) != sorted(set(self.scales))):
            raise InputError(f"loss.scales is {self.scales}, expected rising total wavenumbers, one or more")

    def of_stage(self, number: int) -> "LossSettings":
        """The settings in a stage of the curriculum; those of `kind` alone are left out for another loss."""
        kind = self.stages[number] if number < len(self.stages) else self.kind
        if kind == self.kind:
            return replace(self, stages=())
        unset: dict[str, Any] = dict.fromkeys(OWN)
        return replace(self, kind=kind, stages=(), **unset)

    @property
    def own(self) -> dict[str, Any]:
        """The given settings that only some losses have."""
        return {name: value for name in OWN if (value := getattr(self, name)) is not None}


def known(what: str, name: str, names: Collection[str]) -> None:
    """Raise InputError where a kind of weight has no `name`."""
    if name not in names:
        raise InputError(f"loss has no {what} weight {name!r}; known are {', '.join(names)}")
