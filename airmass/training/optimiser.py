"""Optimisers and learning-rate schedules by name, with weight decay on matrices, clipping and relative rates."""

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from itertools import accumulate

import jax
import jax.numpy as jnp
import optax
from jaxtyping import PyTree
from optax import contrib

from airmass.core.parameter_paths import is_matrix, path_name, require_known
from airmass.recipes.settings import OptimiserSettings


def schedule(settings: OptimiserSettings, updates: tuple[int, ...]) -> optax.Schedule:
    """Learning rate by update, for a curriculum whose stages have the given numbers of `updates`."""
    return SCHEDULES[settings.schedule](settings, updates)


def optimiser(settings: OptimiserSettings, updates: tuple[int, ...]) -> optax.GradientTransformation:
    """Optimiser of the settings, with clipping and relative rates; its state contains only arrays."""
    rate = schedule(settings, updates)
    parts = [optax.clip_by_global_norm(settings.clip_norm), OPTIMISERS[settings.kind](settings, rate)]
    return optax.chain(*parts, *([_relative(settings.rates)] if settings.rates else []))


def average_decay(settings: OptimiserSettings, update):
    """Decay of the running mean at an update; smaller at first, so that the mean forgets the random start."""
    return jnp.minimum(settings.average, (1.0 + update) / (10.0 + update))


def _cosine(settings: OptimiserSettings, updates: tuple[int, ...]) -> optax.Schedule:
    """A linear warm-up, half a cosine over the first stage, then `tail_rate`."""
    return _rise_and_fall(settings.warmup, updates[0], settings.peak_rate, settings.tail_rate)


def _constant(settings: OptimiserSettings, updates: tuple[int, ...]) -> optax.Schedule:
    """A linear warm-up, then `peak_rate` for good."""
    return _rise_and_fall(settings.warmup, updates[0], settings.peak_rate, settings.peak_rate)


def _stages(settings: OptimiserSettings, updates: tuple[int, ...]) -> optax.Schedule:
    """A warm-up and half a cosine for each stage of the curriculum, between its own `stage_rates`."""
    pairs = [settings.stage_rates[min(i, len(settings.stage_rates) - 1)] for i in range(len(updates))]
    stages = [_rise_and_fall(settings.warmup, n, *pair) for n, pair in zip(updates, pairs, strict=True)]
    return optax.join_schedules(stages, list(accumulate(updates[:-1])))


def _rise_and_fall(warmup: int, updates: int, peak: float, tail: float) -> optax.Schedule:
    """Schedule from 0 to `peak`, then to `tail` after `updates`. Warm-up takes at most half of a short stage."""
    return optax.warmup_cosine_decay_schedule(0.0, peak, min(warmup, updates // 2), updates, tail)


def _adamw(settings: OptimiserSettings, rate: optax.Schedule) -> optax.GradientTransformation:
    """AdamW, with weight decay on matrices only (Loshchilov and Hutter 2019)."""
    return optax.adamw(rate, settings.beta1, settings.beta2, weight_decay=settings.weight_decay, mask=_matrices)


def _muon(settings: OptimiserSettings, rate: optax.Schedule) -> optax.GradientTransformation:
    """Muon, orthogonalised momentum, for matrices and AdamW for the rest (Jordan et al. 2024).

    Updates are scaled to the root mean square of AdamW's (Liu et al. 2025, arXiv 2502.16982), so both use the same
    learning rate. The processor's matrices are stacked over steps; each is orthogonalised separately.
    """
    return contrib.muon(
        rate,
        weight_decay=settings.weight_decay,
        adam_b1=settings.beta1,
        adam_b2=settings.beta2,
        consistent_rms=0.2,
        muon_weight_dimension_numbers=_matrix_axes,
    )


def _relative(rates: Mapping[str, float]) -> optax.GradientTransformation:
    """Multiply the updates of some parameters, weight decay included; equivalent to other learning rates."""

    def init(parameters: PyTree) -> optax.EmptyState:
        require_known(rates, [path_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(parameters)], "rates")
        return optax.EmptyState()

    def scaled(path, change):
        factors = (factor for pattern, factor in rates.items() if fnmatchcase(path_name(path), pattern))
        return change * next(factors, 1.0)

    def update(changes: PyTree, state: optax.EmptyState, parameters: PyTree = None):
        return jax.tree_util.tree_map_with_path(scaled, changes), state

    return optax.GradientTransformation(init, update)


OPTIMISERS: dict[str, Callable[[OptimiserSettings, optax.Schedule], optax.GradientTransformation]] = {
    "adamw": _adamw,
    "muon": _muon,
}
SCHEDULES: dict[str, Callable[[OptimiserSettings, tuple[int, ...]], optax.Schedule]] = {
    "cosine": _cosine,
    "constant": _constant,
    "stages": _stages,
}


def _matrices(parameters: PyTree) -> PyTree:
    """Tree with True for leaves that are matrices."""
    return jax.tree_util.tree_map_with_path(lambda path, leaf: is_matrix(path_name(path)), parameters)


def _matrix_axes(parameters: PyTree) -> PyTree:
    def axes(matrix, leaf):
        return contrib.MuonDimensionNumbers(leaf.ndim - 2, leaf.ndim - 1) if matrix else None

    return jax.tree.map(axes, _matrices(parameters), parameters)
