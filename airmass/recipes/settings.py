"""Settings of a training run that are not its model's or loader's. Importing this needs no JAX."""

from dataclasses import dataclass, field

from airmass.core.errors import InputError

# Names that training/optimiser.py knows; a test holds them together.
OPTIMISER_KINDS = ("adamw", "muon")
SCHEDULE_KINDS = ("cosine", "constant", "stages")


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


@dataclass(frozen=True)
class OptimiserSettings:
    """The defaults are GraphCast's (Lam et al. 2023, supplement 4.4).

    `kind` is "adamw" or "muon". Under every `schedule` the rate rises linearly to its peak over `warmup` updates:
    "cosine" falls from `peak_rate` by half a cosine to `tail_rate` at the end of the first stage of the curriculum and
    stays there; "constant" stays at `peak_rate`; "stages" warms up and falls in every stage, from and to that stage's
    pair in `stage_rates`, of which the last serves all stages after it. `rates` multiplies the rate of parameters whose
    path matches a pattern; the first match counts. `average` is the decay of the running mean of parameters that
    forecasts use, 0 for none.
    """

    kind: str = "adamw"
    schedule: str = "cosine"
    peak_rate: float = 1e-3
    tail_rate: float = 3e-7
    stage_rates: tuple[tuple[float, float], ...] = ()
    warmup: int = 1000
    rates: dict[str, float] = field(default_factory=dict)
    weight_decay: float = 0.1
    beta1: float = 0.9
    beta2: float = 0.95
    clip_norm: float = 32.0
    average: float = 0.999

    def __post_init__(self):
        if self.kind not in OPTIMISER_KINDS:
            raise InputError(f"unknown optimiser {self.kind!r}; known are {', '.join(OPTIMISER_KINDS)}")
        if self.schedule not in SCHEDULE_KINDS:
            raise InputError(f"unknown schedule {self.schedule!r}; known are {', '.join(SCHEDULE_KINDS)}")
        if (self.schedule == "stages") != bool(self.stage_rates):
            raise InputError(
                f"schedule {self.schedule!r} with stage_rates {self.stage_rates}: 'stages' needs them, others have none"
            )
        for pattern, factor in self.rates.items():
            if not factor > 0:
                raise InputError(f"rates: {pattern!r} has the factor {factor:g}, expected above 0 (freeze holds)")


@dataclass(frozen=True)
class AdaptationSettings:
    """Patterns (`*` is any text) over parameters' paths, such as "processor.*" or "encoder.embed_grid.*".

    `freeze` holds parameters as they are. A matrix that `lora` matches is held too, whatever `freeze` says, and learns
    an addition of `scale` times a product of two matrices, `rank` wide (Hu et al. 2021, arXiv 2106.09685). All others
    are trained.
    """

    freeze: tuple[str, ...] = ()
    lora: tuple[str, ...] = ()
    rank: int = 8
    scale: float = 1.0

    def __post_init__(self):
        if self.rank < 1:
            raise InputError(f"rank is {self.rank}, expected at least 1")
        if not self.scale > 0:
            raise InputError(f"scale is {self.scale:g}, expected above 0")
