"""Settings of a training run that are not its model's, optimiser's or loader's. Importing this needs no JAX."""

from dataclasses import dataclass, field

from airmass.diffusion.schedule import SamplerSettings, TrainingNoise, require_wider
from airmass.errors import InputError


@dataclass(frozen=True)
class TrainingSettings:
    """The curriculum and its bookkeeping.

    `updates[i]` updates are made with rollouts of `rollout[i]` steps, in turn. A batch is worked through in
    `accumulate` equal parts whose gradients are added up, each example of a part beside the others. `dates` are the
    first and the last training date, both included; None is the whole store. `recompute` makes each rollout step's
    activations again in the backward pass. `precision` is that of activations; parameters, scales, states and residual
    sums on the mesh stay float32. `input_noise` is that of white noise on the frames that a rollout starts from, in
    standard deviations of a step's change.
    """

    updates: tuple[int, ...]
    rollout: tuple[int, ...]
    batch: int = 1
    accumulate: int = 1
    seed: int = 0
    dates: tuple[str, str] | None = None
    recompute: bool = True
    precision: str = "float32"
    input_noise: float = 0.0

    def __post_init__(self):
        if len(self.updates) != len(self.rollout) or not self.updates or min(*self.updates, *self.rollout) < 1:
            raise InputError(
                f"updates {self.updates} and rollout {self.rollout}: expected as many of each, all at least 1"
            )
        if self.batch < 1 or self.accumulate < 1 or self.batch % self.accumulate:
            raise InputError(
                f"batch is {self.batch} and accumulate {self.accumulate}, expected at least 1 and parts of equal size"
            )
        if self.precision not in ("float32", "bfloat16"):
            raise InputError(f"precision is {self.precision!r}, expected 'float32' or 'bfloat16'")
        if not self.input_noise >= 0:
            raise InputError(f"input noise is {self.input_noise}, expected 0 or more")

    @property
    def total(self) -> int:
        return sum(self.updates)


@dataclass(frozen=True)
class CalibrationSettings:
    """What the innovations of a trained denoiser are measured on (docs/decisions/0016).

    Forecasts of `frames` frames from `starts` times spread over the training dates; without starts there is no
    calibration. Harmonics of a degree below `first_degree` are left as they are drawn.
    """

    starts: int = 0
    frames: int = 6
    first_degree: int = 0

    def __post_init__(self):
        for name, least in (("starts", 0), ("frames", 1), ("first_degree", 0)):
            if getattr(self, name) < least:
                raise InputError(f"calibration: {name} is {getattr(self, name)}, expected {least} or more")


@dataclass(frozen=True)
class DiffusionSettings:
    """Noise that a denoiser learns from, and how its forecasts are sampled; training must be wider on both ends."""

    training: TrainingNoise = field(default_factory=TrainingNoise)
    sampling: SamplerSettings = field(default_factory=SamplerSettings)
    calibration: CalibrationSettings = field(default_factory=CalibrationSettings)

    def __post_init__(self):
        require_wider(self.training, self.sampling)


@dataclass(frozen=True)
class DeviceSettings:
    """How a run spreads over devices, as the axes of one mesh.

    Examples of a batch are dealt out along `data` and `member`, the grid and the mesh's edges of one example along
    `space`. `data` is by default all that the other axes leave. With `distributed` the processes of a run find each
    other through what SLURM, Open MPI or Kubernetes say, or through `coordinator` (host:port), `processes` in all and
    the number of this `process`.
    """

    data: int | None = None
    member: int = 1
    space: int = 1
    distributed: bool = False
    coordinator: str | None = None
    processes: int | None = None
    process: int | None = None

    def __post_init__(self):
        for axis in ("data", "member", "space"):
            size = getattr(self, axis)
            if size is not None and size < 1:
                raise InputError(f"devices: {axis} is {size}, expected 1 or more")
        given = [self.coordinator is not None, self.processes is not None, self.process is not None]
        if any(given) and not all(given):
            raise InputError("devices: coordinator, processes and process go together, or none of them")


@dataclass(frozen=True)
class SafetySettings:
    """When a run saves, and what it does when something goes wrong.

    It saves every `save_minutes`, every `save_updates`, on SIGTERM and Ctrl-C and `margin_minutes` before
    `time_limit_minutes` are over. An update whose gradient is not finite is skipped; after `most_skipped` of them in a
    row the run stops. Where the mean loss of `window` updates exceeds `spike` times the usual one, the run goes back to
    the last save at a multiple of `save_updates` and moves on with other examples, at most `most_rollbacks` times from
    the same one.
    """

    save_minutes: float = 10.0
    save_updates: int = 1000
    time_limit_minutes: float | None = None
    margin_minutes: float = 5.0
    most_skipped: int = 10
    window: int = 100
    spike: float = 3.0
    most_rollbacks: int = 3

    def __post_init__(self):
        for name in ("save_updates", "most_skipped", "window"):
            if getattr(self, name) < 1:
                raise InputError(f"safety: {name} is {getattr(self, name)}, expected 1 or more")
        if self.save_updates % self.window:
            raise InputError(
                f"safety: save_updates is {self.save_updates} and window {self.window}, expected a multiple of it"
            )
        if not self.spike > 1:
            raise InputError(f"safety: spike is {self.spike}, expected above 1")
