"""Ensembles from perturbed initial states, for deterministic and generative models.

This is GraphCast-Perturbed, GenCast's baseline (Price et al. 2025, doi:10.1038/s41586-024-08252-9): Gaussian noise,
correlated over about 1200 km on the sphere, independent between variables and levels, proportional to the change of
each over one step, the same in both frames of the history.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from airmass.core.errors import InputError
from airmass.core.types import Array
from airmass.diffusion.sphere import SphereNoise
from airmass.fields.channels import ChannelLayout
from airmass.fields.grid import LatLonGrid
from airmass.fields.task import Task
from airmass.forecasting.system import ForecastSystem
from airmass.models.runner import NOTHING_WRITTEN, History, MakeRunner, ModelRunner, Written, member_key

EARTH_RADIUS_KM = 6371.0
_NEVER_NEGATIVE = ("specific_humidity", "total_precipitation")


class PerturbedRunner:
    """Runner of a model from perturbed initial states. Member 0 is unperturbed, like ECMWF's control forecast.

    Humidity and precipitation stay non-negative. Each member's perturbation depends only on the seed, the initial time
    and its number, and uses other random keys than the model's own noise.
    """

    def __init__(
        self,
        runner: ModelRunner,
        task: Task,
        grid: LatLonGrid,
        scale: Float[np.ndarray, " prognostic"],
        length: float,
        seed: int,
    ):
        self._runner, self._seed = runner, seed
        white = SphereNoise.build(grid.latitude, grid.longitude)
        channels = ChannelLayout.of(task.prognostic, task.levels).channels
        limited = np.array([name.startswith(_NEVER_NEGATIVE) for name, _ in channels])
        weights = smooth_weights(len(grid.longitude) // 2, length)
        self._perturb = jax.jit(partial(_perturbed, white, weights.astype(np.float32), scale, limited))

    @property
    def group_size(self) -> int:
        """Number of members that run together: the model's own group size."""
        return self._runner.group_size

    def frames(
        self, history: History, init: np.datetime64, members: Sequence[int], made: Written = NOTHING_WRITTEN
    ) -> Iterator[Iterator[Float[Array, "node target"]]]:
        start = [self.initial(history, init, member) for member in members]
        return self._runner.trajectories(made.histories(start), init, members, made.count)

    def initial(self, history: History, init: np.datetime64, member: int) -> History:
        """Initial state of a member."""
        return np.asarray(self._perturb(history, member_key(self._seed, init, member))) if member else history


def perturbed(system: ForecastSystem, amplitude: float, length: float) -> ForecastSystem:
    """Turn `system` into an ensemble whose members start from perturbed initial states.

    The perturbation's standard deviation is `amplitude` times that of the change over one step, per channel. `length`
    in km is the length of a Gaussian covariance exp(-d^2 / 2 length^2) at distance d. Raises InputError for a system
    that is perturbed already, and for numbers that are not finite and positive.
    """
    scale = system.residual_std
    if scale is None:
        raise InputError(f"--perturb {amplitude:g}: {system.title} is perturbed already")
    if not (0 < amplitude < np.inf and 0 < length < np.inf):
        raise InputError(f"--perturb {amplitude:g} and --perturb-length {length:g}: expected finite numbers above 0")

    build: Any = system.runner  # that of a diffusion model also takes `sampler`

    def runner(grid: LatLonGrid, static, seed: int = 0, noise=None, **options) -> PerturbedRunner:
        if noise is not None:
            raise InputError(
                "--initial-noise makes all members equal, --perturb makes them differ: give only one of them"
            )
        made = build(grid, static, seed, **options)
        return PerturbedRunner(made, system.task, grid, amplitude * scale, length, seed)

    made: MakeRunner = runner
    about = dict(system.about) | {"perturb": float(amplitude), "perturb_length_km": float(length)}
    return dataclasses.replace(
        system,
        name=f"{system.name}-perturbed",
        title=f"{system.title} from perturbed states",
        about=about,
        residual_std=None,
        ensemble=True,
        most_members=None,
        runner=made,
    )


def smooth_weights(n_degrees: int, length: float) -> Float[np.ndarray, "degrees degrees"]:
    """Factors of the coefficients of `SphereNoise` for noise of unit variance, correlated over `length` km.

    On the sphere a Gaussian covariance is a heat kernel with the spectrum exp(-l (l + 1) length^2 / 2 radius^2). The
    factors are its square root, normalised by the sum over all harmonics (2 l + 1 in degree l).
    """
    degree = np.arange(n_degrees)
    spectrum = np.exp(-degree * (degree + 1) * (length / EARTH_RADIUS_KM) ** 2 / 2)
    amplitude = n_degrees * np.sqrt(spectrum / np.sum((2 * degree + 1) * spectrum))
    # Cosines fill one triangle of the square; sines, reversed, fill the other.
    total = np.add.outer(degree, degree)
    return amplitude[np.where(total < n_degrees, total, 2 * n_degrees - 1 - total)]


def _perturbed(
    white: SphereNoise,
    weights: Float[np.ndarray, "degrees degrees"],
    scale: Float[np.ndarray, " prognostic"],
    limited: np.ndarray,
    history: Float[Array, "time node prognostic"],
    key: PRNGKeyArray,
) -> Float[Array, "time node prognostic"]:
    drawn = jax.random.normal(key, (*weights.shape, len(scale)))
    moved = history + scale * white.synthesise(weights[..., None] * drawn)
    return jnp.where(limited, jnp.maximum(moved, jnp.minimum(history, 0)), moved)
