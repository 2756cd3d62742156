"""Training objectives of a network that outputs one kind of `Prediction`, along one `Process`.

Every objective is a weighted squared error of an expected value given x, so the exact denoiser minimises each of them.
They differ in the weights of noise levels, by `Prediction.gain`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Float, PRNGKeyArray

from airmass.core.types import Array
from airmass.diffusion.predictions import PREDICTIONS, Field, Prediction, Scalar, TimedNetwork
from airmass.diffusion.process import Process


@dataclass(frozen=True)
class DenoisingObjective:
    """Mean squared error of a network(x, time), times weight(alpha, sigma)."""

    process: Process
    prediction: Prediction
    weight: Callable[[Scalar, Scalar], Scalar | float] = lambda alpha, sigma: 1.0

    def __call__(self, network: TimedNetwork, x0: Field, key: PRNGKeyArray) -> Float[Array, ""]:
        """The loss of one example, with time and white noise drawn from `key`."""
        time_key, noise_key = jax.random.split(key)
        time = self.process.time_at(jax.random.uniform(time_key))
        return self.at(network, x0, jax.random.normal(noise_key, jnp.shape(x0)), time)

    def at(self, network: TimedNetwork, x0: Field, noise: Field, time: Scalar) -> Float[Array, ""]:
        """The loss of one example at a given time, with given noise."""
        alpha, sigma = self.process.alpha(time), self.process.sigma(time)
        output = network(alpha * x0 + sigma * noise, time)
        error = output - self.prediction.of(x0, noise, alpha, sigma)
        return self.weight(alpha, sigma) * jnp.square(error).mean()


def objective(name: str, process: Process) -> DenoisingObjective:
    """The objective called `name` in `OBJECTIVES`, along `process`."""
    return DenoisingObjective(process, *OBJECTIVES[name])


# Score matching weights by the variance of the noise, so that all levels count alike (Song & Ermon 2019, section 4.2).
# It then equals `epsilon`, the simple loss of Ho et al. 2020 (equation 14). `edm`: Karras et al. 2022.
OBJECTIVES = {
    "score matching": (PREDICTIONS["score"], lambda alpha, sigma: sigma**2),
    "epsilon": (PREDICTIONS["epsilon"], lambda alpha, sigma: 1.0),
    "x0": (PREDICTIONS["x0"], lambda alpha, sigma: 1.0),
    "v": (PREDICTIONS["v"], lambda alpha, sigma: 1.0),
    "edm": (PREDICTIONS["edm"], lambda alpha, sigma: 1.0),
}
