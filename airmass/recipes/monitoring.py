"""How a run is watched: what is written for people, how often, and what it is judged on meanwhile."""

from dataclasses import dataclass

from airmass.core.errors import InputError


@dataclass(frozen=True)
class WatchSettings:
    """Nothing here changes the parameters that come out."""

    every: int = 50
    """Updates between lines of the log."""
    tensorboard: bool = True
    """Event files in the run's folder."""
    wandb: str | None = None
    """Project of Weights & Biases, which must be installed."""
    mlflow: str | None = None
    """Experiment of MLflow, which must be installed; MLFLOW_TRACKING_URI says where."""
    validate_every: int = 0
    """Updates between validations; 0 is none."""
    validation_dates: tuple[str, str] | None = None
    """First and last date to validate on, both included, apart from the training dates."""
    validation_starts: int = 4
    """Initial times, spread evenly over these dates and the same each time."""
    validation_lead_hours: int = 72
    """How far to forecast from each."""
    trace: tuple[int, int] | None = None
    """First and last update of a profile, the first update being 1."""
    stall_minutes: float = 30.0
    """Without a sign of life for this long, say where the run stands; 0 is never."""

    def __post_init__(self):
        at_least = {"every": 1, "validate_every": 0, "validation_starts": 1, "validation_lead_hours": 1}
        for name, least in at_least.items():
            if getattr(self, name) < least:
                raise InputError(f"watch.{name} is {getattr(self, name)}, expected at least {least}")
        if not 0 <= self.stall_minutes < float("inf"):
            raise InputError(f"watch.stall_minutes is {self.stall_minutes}, expected 0 or more")
        if self.validate_every and self.validation_dates is None:
            raise InputError(f"watch.validate_every is {self.validate_every}, but watch.validation_dates is not given")
        if self.trace is not None and not 1 <= self.trace[0] <= self.trace[1]:
            raise InputError(f"watch.trace is {self.trace}, expected a first update of 1 or more and a last from it on")
