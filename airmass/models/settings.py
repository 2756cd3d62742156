"""The base class of all families' settings, without JAX."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelSettings:
    """Sizes of a network; each family has its own."""
