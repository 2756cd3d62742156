"""Samplers by name."""

from jaxtyping import Float

from airmass.core.types import Array
from airmass.diffusion.ancestral import ddim, ddpm
from airmass.diffusion.dpm_solver import dpm_solver_2m, dpm_solver_2s
from airmass.diffusion.noise_levels import SamplerSettings
from airmass.diffusion.ode import adaptive, euler, heun
from airmass.diffusion.sde import langevin, predictor_corrector, reverse_sde
from airmass.diffusion.stepping import Denoiser, Draw, Sampler

# Each takes the levels of its settings, or a `TimeGrid` along any process; `noise_levels.KINDS` has the same names.
SAMPLERS: dict[str, Sampler] = {
    "dpmpp-2s": dpm_solver_2s,
    "dpmpp-2m": dpm_solver_2m,
    "ddim": ddim,
    "ddpm": ddpm,
    "euler": euler,
    "heun": heun,
    "adaptive": adaptive,
    "reverse-sde": reverse_sde,
    "predictor-corrector": predictor_corrector,
    "langevin": langevin,
}


def sample(denoiser: Denoiser, draw: Draw, settings: SamplerSettings) -> Float[Array, "*shape"]:
    """One sample by the sampler that `settings` names.

    `denoiser(x, sigma)` returns the expected clean data of x = data + sigma noise. `draw(number)` returns white noise
    of unit variance, number 0 for the start and further numbers for later steps: the caller chooses the random keys.
    """
    return SAMPLERS[settings.kind](denoiser, draw, settings)
