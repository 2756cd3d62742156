"""One file a loss, named as in recipes (`--loss.kind squared_error`); a new file joins by being here."""

import importlib
import pkgutil
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airmass.models.objectives.losses.base import Loss

_NO_LOSS = ("base",)


@cache
def loss_names() -> tuple[str, ...]:
    """The names of all losses; needs no JAX."""
    return tuple(module.name for module in pkgutil.iter_modules(__path__) if module.name not in _NO_LOSS)


def loss_named(name: str) -> "Loss":
    """The loss called `name`, which must be one of `loss_names`."""
    return importlib.import_module(f"{__name__}.{name}").LOSS
