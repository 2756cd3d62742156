"""What settings of every kind of model have, free of JAX."""

from dataclasses import dataclass

from airmass.core.errors import InputError


@dataclass(frozen=True)
class ModelSettings:
    """Sizes of a network; each family has its own."""


def check_recompute(layers: int) -> None:
    """Raises InputError for a number of layers that cannot be."""
    if layers < 0:
        raise InputError(f"model: recompute {layers}, expected 0 (keep everything) or a number of layers")
