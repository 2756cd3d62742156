"""Recipes: named, complete settings of a training run, with its cost and expected scores."""

from dataclasses import dataclass, field, replace

from airmass.core.errors import InputError
from airmass.core.typed import check
from airmass.data.loading.settings import LoaderSettings
from airmass.diffusion.samplers.dpmpp_2s import DPMSolver2S
from airmass.fields.task import Task
from airmass.models.convlstm.settings import ConvLSTMSettings
from airmass.models.family import ModelFamily, family_of
from airmass.models.fgn.settings import FGNSettings
from airmass.models.gencast.settings import CalibrationSettings, DiffusionSettings, GenCastSettings
from airmass.models.graphcast.settings import GraphCastSettings
from airmass.models.graphcast_ensemble.settings import GraphCastEnsembleSettings
from airmass.models.objectives.settings import LossSettings
from airmass.models.settings import ModelSettings
from airmass.recipes.monitoring import MonitoringSettings
from airmass.recipes.settings import (
    AdaptationSettings,
    DeviceSettings,
    OptimiserSettings,
    SafetySettings,
    TrainingSettings,
)


@dataclass(frozen=True)
class Recipe:
    """All settings of a training run. `cost` and `expect` (expected scores) are text: what was measured, and on what.

    `diffusion` is None unless the model's family is a diffusion model; the family checks that the parts fit together.
    """

    task: Task
    model: ModelSettings
    training: TrainingSettings
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    diffusion: DiffusionSettings | None = None
    adaptation: AdaptationSettings = field(default_factory=AdaptationSettings)
    loader: LoaderSettings = field(default_factory=LoaderSettings)
    devices: DeviceSettings = field(default_factory=DeviceSettings)
    safety: SafetySettings = field(default_factory=SafetySettings)
    watch: MonitoringSettings = field(default_factory=MonitoringSettings)
    cost: str = ""
    expect: str = ""

    def __post_init__(self):
        check(self, "")
        if (named := len(self.loss.stages)) > (stages := len(self.training.updates)):
            raise InputError(f"loss.stages names {named} losses, but training.updates has {stages}")
        self.family.check(self)

    @property
    def family(self) -> ModelFamily:
        return family_of(self.model)

    @property
    def calibrated(self) -> bool:
        """True if the trained model's samples are calibrated against the spread of the true residuals."""
        return self.family.calibrated(self)

    @property
    def needs_linear_residual(self) -> bool:
        """True if training needs statistics of residuals."""
        return self.family.needs_linear_residual(self)


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
_LEVELS_37 = (
    *(1, 2, 3, 5, 7, 10, 20, 30, 50, 70, 100, 125, 150, 175, 200, 225, 250, 300, 350, 400, 450, 500, 550, 600, 650),
    *(700, 750, 775, 800, 825, 850, 875, 900, 925, 950, 975, 1000),
)  # fmt: skip
_NOT_YET = "not yet trained by us"

# No forcings: sixty days cover only one direction of the season, so the date would only identify the training day, and
# the simulated climate has no diurnal cycle.
_DEMO = Task(
    prognostic=(*_UPPER_AIR, *_SURFACE),
    diagnostic=("total_precipitation_6hr",),
    forcing=(),
    static=_STATIC,
    levels=(100, 200, 300, 500, 700, 850, 1000),
)
_GRAPHCAST_SMALL = Task(
    prognostic=(*_UPPER_AIR, "vertical_velocity", *_SURFACE, "total_precipitation_6hr"),
    diagnostic=(),
    forcing=_CLOCK,
    static=_STATIC,
    levels=_LEVELS_13,
)
_GRAPHCAST = replace(_GRAPHCAST_SMALL, levels=_LEVELS_37)
# Lam et al. 2023, supplement 4.
_GRAPHCAST_TRAINING = TrainingSettings(
    updates=(300_000, *[1000] * 11),
    rollout=tuple(range(1, 13)),
    batch=32,
    dates=("1979-01-01", "2015-12-31"),
    precision="bfloat16",
)
# Rates of Subich et al. 2024 (arXiv 2408.14587); the number of updates and their timing are our choice.
_FINETUNE = OptimiserSettings(
    schedule="stages", stage_rates=((2.5e-5, 1.25e-7), (2.5e-6, 7.5e-8)), warmup=100, average=0.0
)
_FINETUNE_TRAINING = TrainingSettings(
    updates=(5000, 500, 500, 500, 500),
    rollout=(1, 2, 4, 8, 12),
    batch=32,
    dates=("2016-01-01", "2021-12-31"),
    precision="bfloat16",
)
# Price et al. 2025: two frames in, one out, 12 h apart; no radiation and no precipitation in the input.
_GENCAST = Task(
    prognostic=(*_UPPER_AIR, "vertical_velocity", *_SURFACE, "sea_surface_temperature"),
    diagnostic=("total_precipitation_12hr",),
    forcing=_CLOCK[1:],
    static=_STATIC,
    levels=_LEVELS_13,
    step=12,
)
_GENCAST_TRAINING = TrainingSettings(
    updates=(2_000_000,), rollout=(1,), batch=32, dates=("1979-01-01", "2018-12-31"), precision="bfloat16"
)

# WeatherNext 2 (Alet et al. 2025, arXiv:2506.10772). From the published code and configurations: task (here without
# the fields of cyclones), sizes, two members an example, fair CRPS with these weights. At second hand, from its table
# A.2 as others cite it: rollouts of up to 8 steps, AdamW with decay 0.1, a rate of 8e-5, warm-up, cosine. Ours: batch,
# dates, number of updates, mean of parameters.
_WEATHERNEXT2_MINI = Task(
    prognostic=(*_UPPER_AIR, "vertical_velocity", *_SURFACE, "sea_surface_temperature"),
    diagnostic=("total_precipitation_6hr",),
    forcing=_CLOCK[1:],
    static=_STATIC,
    levels=_LEVELS_13,
)
_WEATHERNEXT2 = replace(
    _WEATHERNEXT2_MINI,
    prognostic=(*_WEATHERNEXT2_MINI.prognostic, "100m_u_component_of_wind", "100m_v_component_of_wind"),
)
_WIND_WEIGHTS = {f"{height}_{part}_component_of_wind": 0.05 for height in ("10m", "100m") for part in ("u", "v")}
_FGN_MINI = FGNSettings(mesh_level=5, width=512, layers=16, heads=4, hops=16, feedforward=2048, divisor=1.0)
_FGN_TRAINING = TrainingSettings(
    updates=(200_000, *[2000] * 7), rollout=tuple(range(1, 9)), batch=32, dates=("1979-01-01", "2022-12-31")
)
_FGN_OPTIMISER = OptimiserSettings(peak_rate=8e-5, tail_rate=8e-7)

# Chosen for "demo-curriculum" (decision 22).
_FOUR_STAGES = OptimiserSettings(
    kind="muon",
    schedule="stages",
    stage_rates=((6e-3, 1e-3), (3e-3, 1e-3), (3e-3, 1e-3), (3e-3, 6e-6)),
    warmup=100,
    average=0.995,
)

RECIPES: dict[str, Recipe] = {
    "demo": Recipe(
        task=_DEMO,
        model=GraphCastSettings(mesh_level=2, width=64, steps=4, recompute=0),
        training=TrainingSettings(updates=(3000,), rollout=(1,), recompute=False),
        optimiser=OptimiserSettings(kind="muon", peak_rate=6e-3, warmup=100, tail_rate=6e-6, average=0.995),
        cost="about three minutes on two CPU cores",
        expect="Z500 RMSE about 39 / 153 / 478 m2 s-2 at 6 / 24 / 72 h, over three seeds (docs/demo.md)",
    ),
    "demo-curriculum": Recipe(
        # Recomputing, the default, was measured to be faster in longer rollouts.
        task=_DEMO,
        model=GraphCastSettings(mesh_level=3, width=64, steps=4, recompute=0),
        training=TrainingSettings(updates=(2000, 200, 250, 200), rollout=(1, 2, 3, 4)),
        optimiser=_FOUR_STAGES,
        cost="about four minutes on two CPU cores",
        expect="Z500 RMSE about 36 / 112 / 338 / 524 m2 s-2 at 6 / 24 / 72 / 120 h, three seeds (docs/demo.md)",
    ),
    "simulated-year": Recipe(
        # On a simulation of 395 days: a year to train on, thirty days held out. Stages as in "demo-curriculum".
        task=_DEMO,
        model=GraphCastSettings(mesh_level=3, width=64, steps=4, recompute=0),
        training=TrainingSettings(updates=(6500, 400, 400, 400), rollout=(1, 2, 3, 4)),
        optimiser=_FOUR_STAGES,
        cost="about a quarter of an hour on two CPU cores; simulating the year takes five minutes",
        expect="Z500 33.7 / 92.1 / 280 / 468 m2 s-2 at 6 / 24 / 72 / 120 h, one seed (docs/demo.md)",
    ),
    "graphcast-small": Recipe(
        task=_GRAPHCAST_SMALL,
        model=GraphCastSettings(),
        training=_GRAPHCAST_TRAINING,
        cost="the paper's: about a day and a half on 32 TPU v4",
        expect=_NOT_YET,
    ),
    "graphcast": Recipe(
        task=_GRAPHCAST,
        model=GraphCastSettings(mesh_level=6),
        training=_GRAPHCAST_TRAINING,
        cost="the paper's: about four weeks on 32 TPU v4",
        expect=_NOT_YET,
    ),
    "finetune-graphcast-small": Recipe(
        task=_GRAPHCAST_SMALL,
        model=GraphCastSettings(),
        training=_FINETUNE_TRAINING,
        optimiser=_FINETUNE,
        cost="not measured; 7,000 updates of a batch of 32",
        expect="not yet run by us (docs/fine-tuning.md)",
    ),
    "finetune-graphcast": Recipe(
        task=_GRAPHCAST,
        model=GraphCastSettings(mesh_level=6),
        training=_FINETUNE_TRAINING,
        optimiser=_FINETUNE,
        cost="not measured; 7,000 updates of a batch of 32",
        expect="not yet run by us (docs/fine-tuning.md)",
    ),
    "gencast-demo": Recipe(
        task=replace(_DEMO, step=12),
        model=GenCastSettings(
            mesh_level=2, width=64, layers=4, hops=8, feedforward=256, encoder_sizes=(32, 16), recompute=0
        ),
        training=TrainingSettings(updates=(4000,), rollout=(1,), recompute=False),
        optimiser=OptimiserSettings(kind="muon", peak_rate=6e-3, warmup=100, tail_rate=6e-6, average=0.998),
        # docs/decisions/0016 and 0018
        diffusion=DiffusionSettings(
            sampling=DPMSolver2S(memory=0.9, memory_degrees=11), calibration=CalibrationSettings(starts=24)
        ),
        cost="about four minutes on two CPU cores",
        expect="CRPS of Z500 about 75 / 207 / 290 m2 s-2 at 24 / 72 / 120 h with --perturb 0.3 (docs/demo.md)",
    ),
    "gencast-mini": Recipe(
        task=_GENCAST,
        model=GenCastSettings(mesh_level=4),
        training=_GENCAST_TRAINING,
        optimiser=OptimiserSettings(tail_rate=0.0),
        diffusion=DiffusionSettings(),
        cost="not measured",
        expect=_NOT_YET,
    ),
    "gencast-1deg": Recipe(
        task=_GENCAST,
        model=GenCastSettings(),
        training=_GENCAST_TRAINING,
        optimiser=OptimiserSettings(tail_rate=0.0),
        diffusion=DiffusionSettings(),
        cost="not measured by us; the paper's first stage",
        expect=_NOT_YET,
    ),
    "gencast": Recipe(
        # The paper's second stage: --start with the parameters of gencast-1deg.
        task=_GENCAST,
        model=GenCastSettings(mesh_level=6),
        training=replace(_GENCAST_TRAINING, updates=(64_000,)),
        optimiser=OptimiserSettings(peak_rate=1e-4, tail_rate=0.0),
        diffusion=DiffusionSettings(),
        cost="not measured by us; the paper's second stage",
        expect=_NOT_YET,
    ),
    "fgn-demo": Recipe(
        task=replace(_DEMO, step=12, nonnegative=("total_precipitation_6hr",)),
        model=FGNSettings(
            mesh_level=2,
            width=64,
            layers=4,
            heads=4,
            hops=8,
            feedforward=256,
            edge_width=16,
            noise_channels=16,
            condition=16,
            divisor=1.0,
            recompute=0,
            noise_scale=1.3,
        ),
        # From squared errors by one member without noise, which learns fast, to the score of members (decision 24).
        training=TrainingSettings(updates=(3000, 400, 300, 250), rollout=(1, 1, 2, 4), rotate=True),
        optimiser=OptimiserSettings(
            kind="muon",
            schedule="stages",
            stage_rates=((6e-3, 6e-4), (1e-3, 3e-4), (6e-4, 2e-4), (5e-4, 6e-6)),
            warmup=100,
            average=0.995,
        ),
        loss=LossSettings(kind="fair_crps", stages=("squared_error",)),
        cost="about five minutes on two CPU cores",
        expect="CRPS of Z500 71 to 74 / 182 to 194 / 241 to 264 m2 s-2 at 24 / 72 / 120 h, two seeds (docs/fgn.md)",
    ),
    "weathernext2-mini": Recipe(
        task=_WEATHERNEXT2_MINI,
        model=_FGN_MINI,
        training=_FGN_TRAINING,
        optimiser=_FGN_OPTIMISER,
        loss=LossSettings(kind="fair_crps"),
        cost="not measured",
        expect=_NOT_YET,
    ),
    "weathernext2": Recipe(
        task=_WEATHERNEXT2,
        model=FGNSettings(),
        training=_FGN_TRAINING,
        optimiser=_FGN_OPTIMISER,
        loss=LossSettings(kind="fair_crps", variable=_WIND_WEIGHTS | {"geopotential": 0.5}),
        cost="not measured",
        expect=_NOT_YET,
    ),
    "finetune-weathernext2-mini": Recipe(
        # --start WeatherNextCyclones_Mini_<2024.npz --config WeatherNextCyclones_Mini.json; its fields of cyclones are
        # left out. Stages, rates and updates are ours.
        task=_WEATHERNEXT2_MINI,
        model=_FGN_MINI,
        training=replace(_FINETUNE_TRAINING, updates=(2000, 500, 500, 500), rollout=(1, 2, 4, 8), precision="float32"),
        optimiser=_FINETUNE,
        loss=LossSettings(kind="fair_crps"),
        cost="not measured; 3,500 updates of a batch of 32, two members each",
        expect="not yet run by us (docs/fgn.md)",
    ),
    "graphcast-ensemble-demo": Recipe(
        # --start with a run of "demo-curriculum"; with one of "demo", also --model.mesh-level 2.
        task=replace(_DEMO, nonnegative=("total_precipitation_6hr",)),
        model=GraphCastEnsembleSettings(
            mesh_level=3, width=64, steps=4, recompute=0, noise_channels=16, noise_scale=0.7
        ),
        training=TrainingSettings(updates=(250, 180), rollout=(1, 4)),
        optimiser=OptimiserSettings(
            kind="muon",
            schedule="stages",
            stage_rates=((5e-4, 1e-4), (4e-4, 3e-6)),
            warmup=50,
            rates={"maps.*": 4.0},
            average=0.98,
        ),
        loss=LossSettings(kind="fair_crps"),
        cost="970 steps of two members; four minutes on two CPU cores beside other work",
        expect="CRPS of Z500 about 58 / 164 / 234 m2 s-2 at 24 / 72 / 120 h, one seed (docs/fgn.md)",
    ),
    "finetune-graphcast-ensemble": Recipe(
        task=_GRAPHCAST_SMALL,
        model=GraphCastEnsembleSettings(),
        training=replace(_FINETUNE_TRAINING, updates=(2000, 500, 500), rollout=(1, 2, 4)),
        optimiser=replace(_FINETUNE, rates={"maps.*": 30.0}),
        loss=LossSettings(kind="fair_crps"),
        cost="not measured; 3,000 updates of a batch of 32, two members each",
        expect="not yet run by us (docs/fgn.md)",
    ),
    "convlstm-demo": Recipe(
        task=_DEMO,
        model=ConvLSTMSettings(),
        training=TrainingSettings(updates=(2400,), rollout=(1,), recompute=False),
        optimiser=OptimiserSettings(kind="muon", peak_rate=6e-3, warmup=100, tail_rate=6e-6, average=0.995),
        cost="as demo: 2,400 updates that take 1.2 times as long",
        expect="Z500 RMSE about 44 / 145 / 411 m2 s-2 at 6 / 24 / 72 h, one seed (docs/demo.md)",
    ),
}


def recipe(name: str) -> Recipe:
    """The recipe called `name`. Raises InputError, listing the known recipes, if there is none."""
    if name not in RECIPES:
        raise InputError(f"unknown recipe {name!r}; known are {', '.join(RECIPES)}")
    return RECIPES[name]
