"""Settings of a run's monitoring: logging, validation, profiling, stall detection."""

from dataclasses import dataclass
from typing import Annotated

from airmass.core.errors import InputError
from airmass.core.typed import Range, check


@dataclass(frozen=True)
class MonitoringSettings:
    """Logging, validation and profiling of a run. None of these settings changes the trained parameters."""

    every: Annotated[int, Range(1, 10**9)] = 50
    """Updates between lines of the log."""
    tensorboard: bool = True
    """Write TensorBoard event files to the run's folder."""
    wandb: str | None = None
    """Log to this project of Weights & Biases, which must be installed."""
    mlflow: str | None = None
    """Log to this experiment of MLflow, which must be installed; MLFLOW_TRACKING_URI names the server."""
    validate_every: Annotated[int, Range(0, 10**9)] = 0
    """Updates between validations; 0 for no validation."""
    validation_dates: tuple[str, str] | None = None
    """First and last validation date, both included; must not overlap the training dates."""
    validation_starts: Annotated[int, Range(1, 10**6)] = 4
    """Number of initial times, spread evenly over these dates; the same in every validation."""
    validation_lead_hours: Annotated[int, Range(1, 100_000)] = 72
    """Length of each validation forecast, hours."""
    trace: tuple[Annotated[int, Range(1)], Annotated[int, Range(1)]] | None = None
    """First and last update to profile, counted from 1."""
    stall_minutes: Annotated[float, Range(0)] = 30.0
    """Report where the run is after this many minutes without progress; 0 for never."""

    def __post_init__(self):
        check(self, "watch")
        if self.validate_every and self.validation_dates is None:
            raise InputError(f"watch.validate_every is {self.validate_every}, but watch.validation_dates is not given")
        if self.trace is not None and self.trace[0] > self.trace[1]:
            raise InputError(f"watch.trace is {self.trace}, expected a first update, then a last one not before it")
