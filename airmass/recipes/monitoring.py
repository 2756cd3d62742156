"""How a run is watched: what is written for people, how often, and what it is judged on meanwhile."""

from dataclasses import dataclass
from typing import Annotated

from airmass.core.errors import InputError
from airmass.core.typed import Range, check


@dataclass(frozen=True)
class WatchSettings:
    """Nothing here changes the parameters that come out."""

    every: Annotated[int, Range(1, 10**9)] = 50
    """Updates between lines of the log."""
    tensorboard: bool = True
    """Event files in the run's folder."""
    wandb: str | None = None
    """Project of Weights & Biases, which must be installed."""
    mlflow: str | None = None
    """Experiment of MLflow, which must be installed; MLFLOW_TRACKING_URI says where."""
    validate_every: Annotated[int, Range(0, 10**9)] = 0
    """Updates between validations; 0 is none."""
    validation_dates: tuple[str, str] | None = None
    """First and last date to validate on, both included, apart from the training dates."""
    validation_starts: Annotated[int, Range(1, 10**6)] = 4
    """Initial times, spread evenly over these dates and the same each time."""
    validation_lead_hours: Annotated[int, Range(1, 100_000)] = 72
    """How far to forecast from each."""
    trace: tuple[Annotated[int, Range(1)], Annotated[int, Range(1)]] | None = None
    """First and last update of a profile, the first update being 1."""
    stall_minutes: Annotated[float, Range(0)] = 30.0
    """Without a sign of life for this long, say where the run stands; 0 is never."""

    def __post_init__(self):
        check(self, "watch")
        if self.validate_every and self.validation_dates is None:
            raise InputError(f"watch.validate_every is {self.validate_every}, but watch.validation_dates is not given")
        if self.trace is not None and self.trace[0] > self.trace[1]:
            raise InputError(f"watch.trace is {self.trace}, expected a first update and a last from it on")
