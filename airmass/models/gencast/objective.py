"""What trains a denoiser: the error of the expected clean frame, weighted so that every noise level counts alike."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from airmass.core.types import Array
from airmass.diffusion.noise_levels import TrainingNoise, noise_level
from airmass.diffusion.precondition import loss_weight
from airmass.diffusion.sphere import SphereNoise
from airmass.models.gencast.model import GenCast
from airmass.models.objectives.base import Example, Reported, of_this_device
from airmass.models.objectives.losses.base import WeightedLoss
from airmass.models.state import State


class GenCastObjective(eqx.Module):
    """The loss at one noise level, drawn evenly in its power 1/rho, with noise that is white on the sphere."""

    loss: WeightedLoss
    white: SphereNoise
    noise: TrainingNoise = eqx.field(static=True)
    history: int = eqx.field(static=True)

    def __call__(
        self, model: GenCast, example: Example, key: PRNGKeyArray
    ) -> tuple[Float[Array, ""], Float[Array, "1 target"]]:
        level_key, noise_key = jax.random.split(key)
        sigma = noise_level(self.noise, jax.random.uniform(level_key))
        _, nodes, channels = example.frames.shape
        noise = of_this_device(self.white.draw(noise_key, channels), nodes, model.space)
        total, errors = denoising_loss(model.ready(), self.loss, example, self.history, noise, sigma)
        return total, loss_weight(sigma) * errors[None]

    def reported(self, terms: Float[np.ndarray, "step target"], scale: Float[np.ndarray, " target"]) -> Reported:
        """Terms as they are: each noise level counts by its weight, so they are errors in no physical unit."""
        return Reported("denoising", "1", terms)


def denoising_loss(
    model: GenCast,
    loss: WeightedLoss,
    example: Example,
    history: int,
    noise: Float[Array, "node target"],
    sigma: Float[Array, ""],
) -> tuple[Float[Array, ""], Float[Array, " target"]]:
    """Loss of one example at one noise level, and squared errors by channel before that level's weight.

    Price et al. 2025, methods. `noise` has unit variance. Where the target is missing, the fill value is compared, as
    in the published code. Of whitened targets a harmonic's error counts by how much of its channel's residuals it is.
    """
    state = State(model.normaliser.prognostic(example.frames[:history]), jnp.asarray(example.valid_time))
    frame = model.prepare(state, example.forcings[: history + 1])
    target = example.frames[history]
    filled = model.filled(model.normaliser.prognostic(target))
    target = model.target(frame, model.normaliser.with_prognostic(target, filled))
    output = model.denoise(frame, target + sigma * noise, jnp.asarray(sigma))
    total, errors = loss(model.counted(output - target)[None], jnp.zeros_like(target))
    return loss_weight(sigma) * total, errors
