"""A kind of model behind one interface: everything that the rest of the program asks of it.

A family is a folder of `airmass.models` with a module `family` whose `FAMILY` it is. To name families, to read settings
and to parse options needs no JAX: what does is imported inside of the methods.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar, Protocol

import airmass.models
from airmass.core.errors import InputError
from airmass.fields.task import Task
from airmass.models.settings import ModelSettings


class RecipeParts(Protocol):
    """What families read of a recipe. `diffusion` is None where frames are not drawn by diffusion."""

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


class ModelFamily(Protocol):
    """One kind of model.

    `settings` is the type of its sizes. An `ensemble` has members; other models are deterministic. `lead_time` is how
    far forecasts look by default. With `may_be_missing`, variables that the table says are missing over land may be
    NaN there.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    settings: ClassVar[type]
    ensemble: ClassVar[bool] = False
    lead_time: ClassVar[str] = "10d"
    may_be_missing: ClassVar[bool] = False

    def check(self, recipe: RecipeParts) -> None:
        """Raise InputError for parts of a recipe that do not go together in a model of this family."""
        if recipe.diffusion is not None:
            raise InputError(f"{self.title} has no settings of diffusion")

    def needs_innovation(self, recipe: RecipeParts) -> bool:
        """Whether statistics of innovations are needed."""
        return False

    def calibrated(self, recipe: RecipeParts) -> bool:
        """Whether what a trained model draws is measured, and held to the spread of true innovations."""
        return False

    def network(self, task: Task, settings: Any, key) -> Any:
        """Random parameters."""
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


def _has_family(folder: str) -> bool:
    inside = [f"{path}/{folder}" for path in airmass.models.__path__]
    return any(module.name == "family" for module in pkgutil.iter_modules(inside))
