"""What settings of every kind of model have, free of JAX."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelSettings:
    """Sizes of a network; each family has its own."""
