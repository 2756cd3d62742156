"""What trains a denoiser: the error of the expected clean frame, weighted so that every noise level counts alike."""

import jax.numpy as jnp
from jaxtyping import Float

from airmass.arrays import Array
from airmass.diffusion.precondition import loss_weight
from airmass.losses.squared_error import SquaredError
from airmass.models.gencast import GenCast
from airmass.models.state import State
from airmass.training.objective import Example


def denoising_loss(
    model: GenCast,
    loss: SquaredError,
    example: Example,
    history: int,
    noise: Float[Array, "node target"],
    sigma: Float[Array, ""],
) -> tuple[Float[Array, ""], Float[Array, " variable"]]:
    """Loss of one example at one noise level, and its terms by variable before weights (Price et al. 2025, methods).

    `noise` has unit variance. Where the target is missing, the fill value is compared, as in the published code.
    """
    state = State(model.normaliser.prognostic(example.frames[:history]), example.valid_time)
    frame = model.prepare(state, example.forcings[: history + 1])
    target = example.frames[history]
    filled = model.filled(model.normaliser.prognostic(target))
    target = model.normaliser.target(model.normaliser.with_prognostic(target, filled), frame.last)
    output = model.denoise(frame, target + sigma * noise, jnp.asarray(sigma))
    total, terms = loss(output, target)
    return loss_weight(sigma) * total, terms
