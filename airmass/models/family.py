"""The interface of a model family, through which the rest of the program uses its models.

A family is a folder of `airmass.models` with a module `family` that defines `FAMILY`. Naming families, reading settings
and parsing options work without JAX: methods import what needs it.
"""

import importlib
import pkgutil
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import airmass.models
from airmass.core.errors import InputError
from airmass.diffusion.samplers.base import Sampler
from airmass.fields.task import Task
from airmass.models.objectives.settings import LossSettings
from airmass.models.settings import ModelSettings

if TYPE_CHECKING:  # these need JAX
    import numpy as np

    from airmass.fields.forcing import Stored
    from airmass.fields.grid import LatLonGrid
    from airmass.models.footprint import Footprint, Sizes, UpdateCosts, Work
    from airmass.models.model import Model, Trained
    from airmass.models.nn.attention_choice import Attend, Choice
    from airmass.models.objectives.base import Objective
    from airmass.models.objectives.losses.base import WeightedLoss
    from airmass.models.published.archive import PublishedModel
    from airmass.models.runner import ModelRunner
    from airmass.models.transfer import ParameterLayout


class RecipeParts(Protocol):
    """The parts of a recipe that families read; `diffusion` is None for models without diffusion."""

    @property
    def task(self) -> Task: ...

    @property
    def model(self) -> Any: ...

    @property
    def training(self) -> Any: ...

    @property
    def diffusion(self) -> Any: ...

    @property
    def loss(self) -> LossSettings: ...

    @property
    def devices(self) -> Any: ...


@dataclass(frozen=True)
class PublishedLayout:
    """Published files of a model: the beginning of the array name that identifies them, and their reader.

    The reader takes the file and, where `configured`, the configuration file that has its task, sizes and statistics.
    """

    mark: str
    read: "Callable[..., PublishedModel]"
    configured: bool = False


class ModelFamily(Protocol):
    """One kind of model. Abstract methods are required; the others have defaults.

    `settings` is the type of its sizes. An `ensemble` has members, at most `most_together` of them computed in one
    batch; other models are deterministic. Validation scores the mean of `validation_members`. `lead_time` is the
    default length of forecasts. With `may_be_missing`, variables that are missing over land in the table of variables
    may be NaN there; with `masks_targets`, diagnostic variables that exist only around cyclones may be NaN elsewhere.
    With `saves_in_bfloat16`, a forecast in that precision takes notably less memory. `published` is None without
    published files. `grows_from` is a family whose networks this one's contain, with the beginning of the
    names of their parameters there.

    Builders take the trained parameters as one value, `Trained`, from a model file or a published one, and `attend`,
    the implementation of attention, which is chosen once for all models of a process. Footprints take `Sizes` and
    `Work`.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    settings: ClassVar[type]
    ensemble: ClassVar[bool] = False
    most_together: ClassVar[int] = 1
    validation_members: ClassVar[int] = 1
    lead_time: ClassVar[str] = "10d"
    may_be_missing: ClassVar[bool] = False
    masks_targets: ClassVar[bool] = False
    saves_in_bfloat16: ClassVar[bool] = False
    published: ClassVar[PublishedLayout | None] = None
    grows_from: ClassVar[tuple[str, str] | None] = None

    def check(self, recipe: RecipeParts) -> None:
        """Raise InputError for settings of a recipe that a model of this family cannot combine."""
        if recipe.diffusion is not None:
            raise InputError(f"a recipe of {self.title} has no settings of diffusion")

    def check_grid(self, recipe: RecipeParts, grid: "LatLonGrid") -> None:
        """Raise InputError for a grid that a recipe cannot be trained on."""
        return

    def sampler(self, recipe: RecipeParts) -> Sampler | None:
        """The sampler that draws frames, None for models that do not sample."""
        return None

    def noise(self, recipe: RecipeParts) -> Any:
        """The training noise of a recipe, None without diffusion."""
        return None

    def needs_linear_residual(self, recipe: RecipeParts) -> bool:
        """True if a recipe needs the statistics of the linear model's residual."""
        return False

    def training_members(self, settings: Any) -> int:
        """The number of members of one example that the loss compares."""
        return 1

    def calibrated(self, recipe: RecipeParts) -> bool:
        """True if drawn frames are calibrated after training to the spread of the linear model's residual."""
        return False

    @abstractmethod
    def network(self, task: Task, settings: Any, key) -> Any:
        """Random parameters."""
        ...

    def attention(self, settings: Any, precision: str, gradient: bool = False) -> "Choice":
        """The fastest implementation of attention on this machine; an empty choice for models without attention."""
        from airmass.models.nn.attention_choice import Choice

        return Choice()

    @abstractmethod
    def build(
        self,
        trained: "Trained",
        static: "np.ndarray",
        precision: str = "float32",
        parts: int = 1,
        attend: "Attend | None" = None,
    ) -> "Model":
        """The model over static fields [node, static]; every leaf is a JAX array.

        With `parts` above 1 it is for that many devices along the axis `space`. `attend` is the choice of `attention`.
        """
        ...

    @abstractmethod
    def runner(
        self,
        model: Any,
        task: Task,
        grid: "LatLonGrid",
        *,
        sampler: Sampler | None = None,
        seed: int = 0,
        noise: "np.ndarray | None" = None,
        together: int = 4,
        stored: "Stored | None" = None,
    ) -> "ModelRunner":
        """A runner of forecasts with a model: members drawn from `seed`, or from `noise` as `read_noise` gives it.

        `stored` gives the forcings that come from a store.
        """
        ...

    def read_noise(
        self, path: str | Path, task: Task, settings: Any, grid: "LatLonGrid", members: range, steps: int
    ) -> "np.ndarray":
        """Noise from a file, for a runner of these members and steps; raises InputError for another shape."""
        raise InputError(f"{path}: {self.title} draws no noise")

    def with_noise_scale(self, path: str | Path, settings: Any, noise_scale: float) -> Any:
        """Sizes of a model in `path` whose forecasts draw noise of another scale; raises InputError without such."""
        raise InputError(f"{path}: {self.title} has no noise in its norms: --noise-scale has no effect")

    @abstractmethod
    def objective(self, recipe: RecipeParts, loss: "WeightedLoss", grid: "LatLonGrid") -> "Objective":
        """The training objective."""
        ...

    @abstractmethod
    def footprint(self, settings: Any, sizes: "Sizes") -> "Footprint":
        """Memory and arithmetic of a forecast."""
        ...

    @abstractmethod
    def update_costs(self, settings: Any, work: "Work") -> "UpdateCosts":
        """Memory and arithmetic of a training update."""
        ...

    @abstractmethod
    def parameter_layout(self, task: Task, settings: Any) -> "ParameterLayout":
        """The places of inputs, outputs and layers in the parameters."""
        ...


@cache
def families() -> Mapping[str, ModelFamily]:
    """All families by name."""
    folders = [module.name for module in pkgutil.iter_modules(airmass.models.__path__) if module.ispkg]
    found = [name for name in folders if _has_family(name)]
    members = [importlib.import_module(f"airmass.models.{name}.family").FAMILY for name in found]
    return {member.name: member for member in members}


def family_named(name: str) -> ModelFamily:
    """The family called `name`; raises InputError, with the known names, for another."""
    if name not in families():
        raise InputError(f"unknown family of models {name!r}; known are {', '.join(families())}")
    return families()[name]


def family_of(settings: ModelSettings) -> ModelFamily:
    """The family whose settings these are."""
    return next(family for family in families().values() if type(settings) is family.settings)


def new_network(task: Task, settings: ModelSettings, key) -> Any:
    """Random parameters of the family whose settings these are."""
    return family_of(settings).network(task, settings, key)


def _has_family(folder: str) -> bool:
    inside = [f"{path}/{folder}" for path in airmass.models.__path__]
    return any(module.name == "family" for module in pkgutil.iter_modules(inside))
