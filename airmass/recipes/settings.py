"""Settings of a training run that are not its model's or loader's. Importing this needs no JAX."""

from dataclasses import dataclass, field
from typing import Annotated

from airmass.core.errors import InputError
from airmass.core.typed import Range, check

# Names that training/optimiser.py knows; a test holds them together.
OPTIMISER_KINDS = ("adamw", "muon")
SCHEDULE_KINDS = ("cosine", "constant", "stages")

# What is beyond these is a slip of the keyboard, not an experiment.
_Updates = Annotated[int, Range(1, 10**9)]
_Rate = Annotated[float, Range(0, 1000)]
_Decay = Annotated[float, Range(0, 1, below=True)]


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

    updates: tuple[_Updates, ...]
    rollout: tuple[Annotated[int, Range(1, 10_000)], ...]
    batch: Annotated[int, Range(1, 10**6)] = 1
    accumulate: Annotated[int, Range(1, 10**6)] = 1
    seed: Annotated[int, Range(0, 2**32 - 1)] = 0
    dates: tuple[str, str] | None = None
    recompute: bool = True
    precision: str = "float32"
    input_noise: Annotated[float, Range(0, 1000)] = 0.0

    def __post_init__(self):
        check(self, "training")
        if len(self.updates) != len(self.rollout) or not self.updates:
            raise InputError(
                f"training.updates is {self.updates} and training.rollout {self.rollout}, expected as many of each"
            )
        if self.batch % self.accumulate:
            raise InputError(
                f"training.batch is {self.batch}, expected a multiple of training.accumulate, {self.accumulate}"
            )
        if self.precision not in ("float32", "bfloat16"):
            raise InputError(f"training.precision is {self.precision!r}, expected 'float32' or 'bfloat16'")

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

    data: Annotated[int, Range(1, 10**6)] | None = None
    member: Annotated[int, Range(1, 10**6)] = 1
    space: Annotated[int, Range(1, 10**6)] = 1
    distributed: bool = False
    coordinator: str | None = None
    processes: Annotated[int, Range(1, 10**6)] | None = None
    process: Annotated[int, Range(0, 10**6)] | None = None

    def __post_init__(self):
        check(self, "devices")
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

    save_minutes: Annotated[float, Range(0)] = 10.0
    save_updates: _Updates = 1000
    time_limit_minutes: Annotated[float, Range(0)] | None = None
    margin_minutes: Annotated[float, Range(0)] = 5.0
    most_skipped: _Updates = 10
    window: _Updates = 100
    spike: Annotated[float, Range(1, above=True)] = 3.0
    most_rollbacks: Annotated[int, Range(0, 10**6)] = 3

    def __post_init__(self):
        check(self, "safety")
        if self.save_updates % self.window:
            raise InputError(
                f"safety.save_updates is {self.save_updates}, expected a multiple of safety.window, {self.window}"
            )


@dataclass(frozen=True)
class OptimiserSettings:
    """The defaults are GraphCast's (Lam et al. 2023, supplement 4.4).

    `kind` is "adamw" or "muon". Under every `schedule` the rate rises linearly to its peak over `warmup` updates:
    "cosine" falls from `peak_rate` by half a cosine to `tail_rate` at the end of the first stage of the curriculum and
    stays there; "constant" stays at `peak_rate`; "stages" warms up and falls in every stage, from and to that stage's
    pair in `stage_rates`, of which the last serves all stages after it. `rates` multiplies the rate of parameters whose
    path matches a pattern; the first match counts, and `adaptation.freeze` holds parameters as they are. `average` is
    the decay of the running mean of parameters that forecasts use, 0 for none.
    """

    kind: str = "adamw"
    schedule: str = "cosine"
    peak_rate: _Rate = 1e-3
    tail_rate: _Rate = 3e-7
    stage_rates: tuple[tuple[_Rate, _Rate], ...] = ()
    warmup: Annotated[int, Range(0, 10**9)] = 1000
    rates: dict[str, Annotated[float, Range(0, 1e6, above=True)]] = field(default_factory=dict)
    weight_decay: Annotated[float, Range(0, 1000)] = 0.1
    beta1: _Decay = 0.9
    beta2: _Decay = 0.95
    clip_norm: Annotated[float, Range(0, above=True)] = 32.0
    average: _Decay = 0.999

    def __post_init__(self):
        check(self, "optimiser")
        if self.kind not in OPTIMISER_KINDS:
            raise InputError(f"unknown optimiser {self.kind!r}; known are {', '.join(OPTIMISER_KINDS)}")
        if self.schedule not in SCHEDULE_KINDS:
            raise InputError(f"unknown schedule {self.schedule!r}; known are {', '.join(SCHEDULE_KINDS)}")
        if (self.schedule == "stages") != bool(self.stage_rates):
            raise InputError(
                f"schedule {self.schedule!r} with stage_rates {self.stage_rates}: 'stages' needs them, others have none"
            )


@dataclass(frozen=True)
class AdaptationSettings:
    """Patterns (`*` is any text) over parameters' paths, such as "processor.*" or "encoder.embed_grid.*".

    `freeze` holds parameters as they are. A matrix that `lora` matches is held too, whatever `freeze` says, and learns
    an addition of `scale` times a product of two matrices, `rank` wide (Hu et al. 2021, arXiv 2106.09685). All others
    are trained.
    """

    freeze: tuple[str, ...] = ()
    lora: tuple[str, ...] = ()
    rank: Annotated[int, Range(1, 65536)] = 8
    scale: Annotated[float, Range(0, 1e6, above=True)] = 1.0

    def __post_init__(self):
        check(self, "adaptation")
