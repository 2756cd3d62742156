"""Named settings as values: what to train, what it costs, what score to expect."""

from dataclasses import dataclass, field

from airmass.errors import InputError
from airmass.losses.weights import LossSettings
from airmass.models.graphcast import GraphCastSettings
from airmass.task import Task
from airmass.training.optimiser import OptimiserSettings


@dataclass(frozen=True)
class TrainingSettings:
    """The curriculum and its bookkeeping.

    `updates[i]` updates are made with rollouts of `rollout[i]` steps, in turn. `dates` are the first and the last
    training date, both included; None is the whole store. `recompute` makes each rollout step's activations again in
    the backward pass.
    """

    updates: tuple[int, ...]
    rollout: tuple[int, ...]
    batch: int = 1
    seed: int = 0
    dates: tuple[str, str] | None = None
    recompute: bool = True
    checkpoint_minutes: float = 10.0

    def __post_init__(self):
        if len(self.updates) != len(self.rollout) or not self.updates or min(*self.updates, *self.rollout) < 1:
            raise InputError(
                f"updates {self.updates} and rollout {self.rollout}: expected as many of each, all at least 1"
            )
        if self.batch < 1:
            raise InputError(f"batch is {self.batch}, expected at least 1")

    @property
    def total(self) -> int:
        return sum(self.updates)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training run. `cost` and `expect` say what was measured, on what."""

    task: Task
    model: GraphCastSettings
    training: TrainingSettings
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    cost: str = ""
    expect: str = ""


_UPPER_AIR = ("geopotential", "specific_humidity", "temperature", "u_component_of_wind", "v_component_of_wind")
_SURFACE = ("10m_u_component_of_wind", "10m_v_component_of_wind", "2m_temperature", "mean_sea_level_pressure")
_CLOCK = (
    "toa_incident_solar_radiation",
    "year_progress_sin",
    "year_progress_cos",
    "day_progress_sin",
    "day_progress_cos",
)
_STATIC = ("geopotential_at_surface", "land_sea_mask")
_LEVELS_13 = (50, 100, 150, 200, 250, 300, 400, 500, 600, 700, 850, 925, 1000)

RECIPES: dict[str, Recipe] = {
    "demo": Recipe(
        # No forcings: over sixty days the season only runs one way, so a network could learn nothing from the date but
        # which training day it is, and the simulated climate has no diurnal cycle.
        task=Task(
            prognostic=(*_UPPER_AIR, *_SURFACE),
            diagnostic=("total_precipitation_6hr",),
            forcing=(),
            static=_STATIC,
            levels=(100, 200, 300, 500, 700, 850, 1000),
        ),
        model=GraphCastSettings(mesh_level=2, width=64, steps=4, recompute=False),
        training=TrainingSettings(updates=(3000,), rollout=(1,), recompute=False),
        optimiser=OptimiserSettings(kind="muon", peak_rate=6e-3, warmup=100, tail_rate=6e-6, average=0.995),
        cost="about three minutes on two CPU cores",
        expect="Z500 RMSE about 39 / 148 / 454 m2 s-2 at 6 / 24 / 72 h on the simulated climate (docs/demo.md)",
    ),
    "graphcast-small": Recipe(
        task=Task(
            prognostic=(*_UPPER_AIR, "vertical_velocity", *_SURFACE, "total_precipitation_6hr"),
            diagnostic=(),
            forcing=_CLOCK,
            static=_STATIC,
            levels=_LEVELS_13,
        ),
        model=GraphCastSettings(),
        training=TrainingSettings(
            updates=(300_000, *[1000] * 11), rollout=tuple(range(1, 13)), batch=32, dates=("1979-01-01", "2015-12-31")
        ),
        cost="the paper's: about a day and a half on 32 TPU v4",
        expect="not yet trained by us",
    ),
}


def recipe(name: str) -> Recipe:
    """The recipe called `name`; raises InputError with the known ones."""
    if name not in RECIPES:
        raise InputError(f"unknown recipe {name!r}; known are {', '.join(RECIPES)}")
    return RECIPES[name]
