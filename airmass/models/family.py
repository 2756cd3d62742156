"""A kind of model behind one interface: everything that the rest of the program asks of it.

A family is a folder of `airmass.models` with a module `family` whose `FAMILY` it is. To name families, to read settings
and to parse options needs no JAX: what does is imported inside of the methods.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import airmass.models
from airmass.core.errors import InputError
from airmass.diffusion.noise_levels import SamplerSettings
from airmass.fields.task import Task
from airmass.models.settings import ModelSettings

if TYPE_CHECKING:  # these need JAX
    import numpy as np

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
    """What families read of a recipe, which is of a room above. `diffusion` is None where nothing is diffused."""

    @property
    def task(self) -> Task: ...

    @property
    def model(self) -> Any: ...

    @property
    def training(self) -> Any: ...

    @property
    def diffusion(self) -> Any: ...

    @property
    def devices(self) -> Any: ...


@dataclass(frozen=True)
class PublishedLayout:
    """Files of a model's makers: what the key begins with that no other file has, and how one is read."""

    mark: str
    read: "Callable[[str | Path], PublishedModel]"


class ModelFamily(Protocol):
    """One kind of model.

    `settings` is the type of its sizes. An `ensemble` has members, of which at most `most_together` are computed side
    by side; other models are deterministic. A loss sees `training_members` of one example, and while training goes on
    the mean of `validation_members` is judged. `lead_time` is how far forecasts look by default. With `may_be_missing`,
    variables that the table says are missing over land may be NaN there. `saves_in_bfloat16` says that a forecast in
    that precision takes less memory worth mentioning. `published` is None where nothing was.

    Builders take what is trained as one value, `Trained`, whether it comes from a model file or a published one, and
    `attend`, because what attends is chosen by measuring, once, for all models of a process. Footprints take `Sizes`
    and `Work`: what is counted from, in place of a dozen numbers by position.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    settings: ClassVar[type]
    ensemble: ClassVar[bool] = False
    most_together: ClassVar[int] = 1
    training_members: ClassVar[int] = 1
    validation_members: ClassVar[int] = 1
    lead_time: ClassVar[str] = "10d"
    may_be_missing: ClassVar[bool] = False
    saves_in_bfloat16: ClassVar[bool] = False
    published: ClassVar[PublishedLayout | None] = None

    def check(self, recipe: RecipeParts) -> None:
        """Raise InputError for parts of a recipe that do not go together in a model of this family."""
        if recipe.diffusion is not None:
            raise InputError(f"a recipe of {self.title} has no settings of diffusion")

    def check_grid(self, recipe: RecipeParts, grid: "LatLonGrid") -> None:
        """Raise InputError for a grid on which a recipe cannot be trained."""
        return

    def sampler(self, recipe: RecipeParts) -> SamplerSettings | None:
        """How a frame is drawn, None where none is."""
        return None

    def noise(self, recipe: RecipeParts) -> Any:
        """The noise that a recipe trains with, None where there is none."""
        return None

    def needs_innovation(self, recipe: RecipeParts) -> bool:
        """Whether statistics of innovations are needed."""
        return False

    def calibrated(self, recipe: RecipeParts) -> bool:
        """Whether what a trained model draws is measured, and held to the spread of true innovations."""
        return False

    def network(self, task: Task, settings: Any, key) -> Any:
        """Random parameters."""
        ...

    def attention(self, settings: Any, precision: str, gradient: bool = False) -> "Choice":
        """What attends fastest on this machine; nothing where a model does not attend."""
        from airmass.models.nn.attention_choice import Choice

        return Choice()

    def build(
        self,
        trained: "Trained",
        static: "np.ndarray",
        precision: str = "float32",
        parts: int = 1,
        attend: "Attend | None" = None,
    ) -> "Model":
        """The model over static fields [node, static], every leaf an array of JAX.

        With `parts` above 1 it is for that many devices along the axis `space`. `attend` is what `attention` chose.
        """
        ...

    def runner(
        self,
        model: Any,
        task: Task,
        grid: "LatLonGrid",
        *,
        sampler: SamplerSettings | None = None,
        seed: int = 0,
        noise: "np.ndarray | None" = None,
        together: int = 4,
    ) -> "ModelRunner":
        """What forecasts with a model: members drawn from `seed`, or from one field of `noise`."""
        ...

    def objective(self, recipe: RecipeParts, loss: "WeightedLoss", grid: "LatLonGrid") -> "Objective":
        """What training minimises."""
        ...

    def footprint(self, settings: Any, sizes: "Sizes") -> "Footprint":
        """What a forecast takes."""
        ...

    def update_costs(self, settings: Any, work: "Work") -> "UpdateCosts":
        """What an update of training takes."""
        ...

    def parameter_layout(self, task: Task, settings: Any) -> "ParameterLayout":
        """Where inputs, outputs and layers are among the parameters."""
        ...


@cache
def families() -> Mapping[str, ModelFamily]:
    """Every family by name."""
    folders = [module.name for module in pkgutil.iter_modules(airmass.models.__path__) if module.ispkg]
    found = [name for name in folders if _has_family(name)]
    members = [importlib.import_module(f"airmass.models.{name}.family").FAMILY for name in found]
    return {member.name: member for member in members}


def family_named(name: str) -> ModelFamily:
    """The family called `name`; raises InputError with the known ones."""
    if name not in families():
        raise InputError(f"unknown family of models {name!r}; known are {', '.join(families())}")
    return families()[name]


def family_of(settings: ModelSettings) -> ModelFamily:
    """The family that settings are of."""
    return next(family for family in families().values() if type(settings) is family.settings)


def new_network(task: Task, settings: ModelSettings, key) -> Any:
    """Random parameters of the family that settings are of."""
    return family_of(settings).network(task, settings, key)


def _has_family(folder: str) -> bool:
    inside = [f"{path}/{folder}" for path in airmass.models.__path__]
    return any(module.name == "family" for module in pkgutil.iter_modules(inside))
