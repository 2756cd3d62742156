"""AdamW as GraphCast's paper used it: warm-up, half cosine, a constant tail, decay on matrices only, clipping."""

from dataclasses import dataclass

import jax
import optax


@dataclass(frozen=True)
class OptimiserSettings:
    """Lam et al. 2023, supplement 4.4; the defaults are the paper's.

    The rate rises linearly to `peak_rate` over `warmup` updates and falls by half a cosine to `tail_rate` at the end of the
    first stage of the curriculum, where it stays. `average` is the decay of the running mean of parameters that forecasts
    use, 0 for none.
    """

    peak_rate: float = 1e-3
    tail_rate: float = 3e-7
    warmup: int = 1000
    weight_decay: float = 0.1
    beta1: float = 0.9
    beta2: float = 0.95
    clip_norm: float = 32.0
    average: float = 0.999


def schedule(settings: OptimiserSettings, first_stage: int) -> optax.Schedule:
    """Learning rate by update."""
    warmup = min(settings.warmup, max(1, first_stage // 2))
    return optax.warmup_cosine_decay_schedule(0.0, settings.peak_rate, warmup, first_stage, settings.tail_rate)


def optimiser(settings: OptimiserSettings, first_stage: int) -> optax.GradientTransformation:
    return optax.chain(
        optax.clip_by_global_norm(settings.clip_norm),
        optax.adamw(
            schedule(settings, first_stage),
            b1=settings.beta1,
            b2=settings.beta2,
            weight_decay=settings.weight_decay,
            mask=lambda parameters: jax.tree.map(lambda leaf: leaf.ndim >= 2, parameters),
        ),
    )


def average_decay(settings: OptimiserSettings, update):
    """Decay of the running mean at an update; short at first, so that the mean forgets the random start."""
    return jax.numpy.minimum(settings.average, (1.0 + update) / (10.0 + update))
