"""Optimisers by name, with warm-up, half cosine, constant tail, decay on matrices only and clipping around them."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax
from jaxtyping import PyTree
from optax import contrib

from airmass.errors import InputError


@dataclass(frozen=True)
class OptimiserSettings:
    """The defaults are GraphCast's (Lam et al. 2023, supplement 4.4).

    `kind` is "adamw" or "muon". The rate rises linearly to `peak_rate` over `warmup` updates and falls by half a cosine
    to `tail_rate` at the end of the first stage of the curriculum, where it stays. `average` is the decay of the
    running mean of parameters that forecasts use, 0 for none.
    """

    kind: str = "adamw"
    peak_rate: float = 1e-3
    tail_rate: float = 3e-7
    warmup: int = 1000
    weight_decay: float = 0.1
    beta1: float = 0.9
    beta2: float = 0.95
    clip_norm: float = 32.0
    average: float = 0.999

    def __post_init__(self):
        if self.kind not in OPTIMISERS:
            raise InputError(f"unknown optimiser {self.kind!r}; known are {', '.join(OPTIMISERS)}")


def schedule(settings: OptimiserSettings, first_stage: int) -> optax.Schedule:
    """Learning rate by update."""
    warmup = min(settings.warmup, max(1, first_stage // 2))
    return optax.warmup_cosine_decay_schedule(0.0, settings.peak_rate, warmup, first_stage, settings.tail_rate)


def optimiser(settings: OptimiserSettings, first_stage: int) -> optax.GradientTransformation:
    rate = schedule(settings, first_stage)
    return optax.chain(optax.clip_by_global_norm(settings.clip_norm), OPTIMISERS[settings.kind](settings, rate))


def average_decay(settings: OptimiserSettings, update):
    """Decay of the running mean at an update; short at first, so that the mean forgets the random start."""
    return jnp.minimum(settings.average, (1.0 + update) / (10.0 + update))


def _adamw(settings: OptimiserSettings, rate: optax.Schedule) -> optax.GradientTransformation:
    return optax.adamw(rate, settings.beta1, settings.beta2, weight_decay=settings.weight_decay, mask=_is_matrix)


def _muon(settings: OptimiserSettings, rate: optax.Schedule) -> optax.GradientTransformation:
    """Momentum made orthogonal on matrices, AdamW on the rest (Jordan et al. 2024).

    Updates are scaled to the root mean square of AdamW's (Liu et al. 2025, arXiv 2502.16982), so that one rate serves
    both. The processor's matrices are stacked over steps; each is treated by itself.
    """
    return contrib.muon(
        rate,
        weight_decay=settings.weight_decay,
        adam_b1=settings.beta1,
        adam_b2=settings.beta2,
        consistent_rms=0.2,
        muon_weight_dimension_numbers=_matrix_axes,
    )


OPTIMISERS: dict[str, Callable[[OptimiserSettings, optax.Schedule], optax.GradientTransformation]] = {
    "adamw": _adamw,
    "muon": _muon,
}


def _is_matrix(parameters: PyTree) -> PyTree:
    """True for weights of linear maps. Their name tells, not their rank: stacked biases have two axes too."""
    return jax.tree_util.tree_map_with_path(lambda path, leaf: path[-1].name == "weight", parameters)


def _matrix_axes(parameters: PyTree) -> PyTree:
    def axes(matrix, leaf):
        return contrib.MuonDimensionNumbers(leaf.ndim - 2, leaf.ndim - 1) if matrix else None

    return jax.tree.map(axes, _is_matrix(parameters), parameters)
