"""Train, fine-tune, run, judge and look at global weather models of the GraphCast and GenCast family, in JAX."""

__version__ = "0.1.0"
