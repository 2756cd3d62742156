"""Settings of training: curriculum, devices, safety, optimiser, adaptation. Importing this module needs no JAX."""

from dataclasses import dataclass, field
from typing import Annotated

from airmass.core.errors import InputError
from airmass.core.typed import MOST_SEED, Range, check

# The names in training/optimiser.py; a test keeps them equal.
OPTIMISER_KINDS = ("adamw", "muon")
SCHEDULE_KINDS = ("cosine", "constant", "stages")

# Values beyond these limits are typing errors, not experiments.
_Updates = Annotated[int, Range(1, 10**9)]
_Rate = Annotated[float, Range(0, 1000)]
_Decay = Annotated[float, Range(0, 1, below=True)]


@dataclass(frozen=True)
class TrainingSettings:
    """Curriculum, batch, dates and precision of training.

    Stage i of the curriculum makes `updates[i]` updates with rollouts of `rollout[i]` steps. Each batch is processed in
    `accumulate` equal parts whose gradients are summed; examples of a part are processed in parallel. `dates` are the
    first and last training date, both included; None takes the whole store. `recompute` recomputes the activations of
    each rollout step in the backward pass, which saves memory. `precision` applies to activations; parameters, scales,
    states and residual sums on the mesh stay float32. `input_noise` is the standard deviation of white noise added to
    the initial frames of a rollout, in standard deviations of the change over one step. With `rotate`, each example is
    turned about the Earth's axis by a random number of grid columns, with its forcings and static fields: where days
    are few, a model learns less of them by heart.
    """

    updates: tuple[_Updates, ...]
    rollout: tuple[Annotated[int, Range(1, 10_000)], ...]
    batch: Annotated[int, Range(1, 10**6)] = 1
    accumulate: Annotated[int, Range(1, 10**6)] = 1
    seed: Annotated[int, Range(0, MOST_SEED)] = 0
    dates: tuple[str, str] | None = None
    recompute: bool = True
    precision: str = "float32"
    input_noise: Annotated[float, Range(0, 1000)] = 0.0
    rotate: bool = False

    def __post_init__(self):
        check(self, "training")
        if len(self.updates) != len(self.rollout) or not self.updates:
            raise InputError(
                f"training.updates is {self.updates} and training.rollout {self.rollout}, expected equally many"
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
    """Device mesh of a run: the number of devices along each axis.

    Examples of a batch are distributed along `data`; the members of an example along `member` (examples, where the loss
    compares no members); the grid and the mesh edges of one example along `space`. `data` takes all remaining devices
    by default. With `distributed`, the processes of a run find each other through SLURM, Open MPI or Kubernetes.
    Otherwise give `coordinator` (host:port), the number of `processes` and the number of this `process`, from 0.
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
            raise InputError("devices: give coordinator, processes and process together, or none of them")


@dataclass(frozen=True)
class SafetySettings:
    """Saving, and recovery from bad updates.

    A run saves every `save_minutes`, every `save_updates`, on SIGTERM and Ctrl-C, and `margin_minutes` before the end
    of `time_limit_minutes`. An update with a gradient that is not finite is skipped; the run stops after `most_skipped`
    skipped updates in a row. If the mean loss of `window` updates exceeds `spike` times the baseline loss, the run
    returns to the last save at a multiple of `save_updates` and continues with other examples, at most `most_rollbacks`
    times from the same save.
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
    """Optimiser and learning rate; the defaults are GraphCast's (Lam et al. 2023, supplement 4.4).

    `kind` is "adamw" or "muon". Every `schedule` raises the learning rate linearly to its peak over `warmup` updates.
    "cosine" then falls by half a cosine from `peak_rate` to `tail_rate` at the end of the first stage of the curriculum
    and stays there. "constant" stays at `peak_rate`. "stages" warms up and falls in every stage, with that stage's
    (peak, tail) pair of `stage_rates`; the last pair serves all later stages. `rates` multiplies the learning rate of
    parameters whose path matches a pattern; the first match applies. To freeze parameters use `adaptation.freeze`.
    `average` is the decay of the running mean of parameters, which forecasts use; 0 for no mean.
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
                f"schedule {self.schedule!r} with stage_rates {self.stage_rates}: 'stages' needs them, others take none"
            )


@dataclass(frozen=True)
class AdaptationSettings:
    """Frozen parameters and LoRA, by patterns of parameter paths such as "processor.*" or "encoder.embed_grid.*".

    `*` matches any text. `freeze` keeps parameters unchanged. A matrix that `lora` matches is frozen too, and a
    low-rank update is trained instead: `scale` times the product of two matrices of rank `rank` (Hu et al. 2021,
    arXiv 2106.09685). All other parameters are trained.
    """

    freeze: tuple[str, ...] = ()
    lora: tuple[str, ...] = ()
    rank: Annotated[int, Range(1, 65536)] = 8
    scale: Annotated[float, Range(0, 1e6, above=True)] = 1.0

    def __post_init__(self):
        check(self, "adaptation")
