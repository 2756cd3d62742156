"""A model's task: its variables by role, its levels, its time step and its history."""

from dataclasses import dataclass
from typing import Annotated

from airmass.core.errors import InputError
from airmass.core.typed import Range, check
from airmass.fields.variables import COMPUTED, VARIABLES


@dataclass(frozen=True)
class Task:
    """Variables by role, by ERA5 long name.

    Prognostic variables are read and predicted, diagnostic ones only predicted, static fields never change. Forcings
    are read at the target time too: those in `COMPUTED` are computed from valid time, others come from a store.
    `levels` are in hPa, top down. `step` is in hours; `history` is the number of past frames that a model reads. Frames
    of `nonnegative` variables (precipitation, humidity), where they are predicted, are kept at zero or above.
    """

    prognostic: tuple[str, ...]
    diagnostic: tuple[str, ...]
    forcing: tuple[str, ...]
    static: tuple[str, ...]
    levels: tuple[Annotated[int, Range(1, 1100)], ...]
    step: Annotated[int, Range(1, 8784)] = 6
    history: Annotated[int, Range(1, 64)] = 2
    nonnegative: tuple[str, ...] = ()

    def __post_init__(self):
        check(self, "task")
        names = (*self.prognostic, *self.diagnostic, *self.forcing, *self.static)
        for name in (*names, *self.nonnegative):
            if name not in VARIABLES:
                raise InputError(f"task has the unknown variable {name!r}")
        if len(set(names)) != len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise InputError(f"task gives {', '.join(twice)} more than one role")
        for name in self.forcing:
            if VARIABLES[name].on_levels or VARIABLES[name].static:
                kind = "static" if VARIABLES[name].static else "on levels"
                raise InputError(f"forcing {name!r} is {kind}, expected a field at the surface that changes in time")
        if list(self.levels) != sorted(set(self.levels)):
            raise InputError(f"task.levels is {self.levels}, expected rising levels, each once")
        if not self.prognostic:
            raise InputError("task.prognostic is empty, expected one variable or more")

    @property
    def targets(self) -> tuple[str, ...]:
        """All predicted variables, sorted by name: the order of output channels of the published models."""
        return tuple(sorted((*self.prognostic, *self.diagnostic)))

    @property
    def from_store(self) -> tuple[str, ...]:
        """The variables that change in time and are read from a store."""
        return (*self.targets, *self.stored_forcing)

    @property
    def stored_forcing(self) -> tuple[str, ...]:
        """The forcings that come from a store, in the order of `forcing`."""
        return tuple(name for name in self.forcing if name not in COMPUTED)

    @property
    def of_stored_forcing(self) -> "Task":
        """A task that reads the stored forcings at single times, for readers of frames."""
        return Task(self.stored_forcing, (), (), (), (), self.step, history=1)
