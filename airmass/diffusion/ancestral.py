"""DDPM and DDIM: estimate the clean data, then go to the next level with the estimated noise or with fresh noise too.

In x_t these are the formulas of Ho et al. 2020 (equation 7, the posterior variance) and of DDIM (Song, Meng & Ermon
2021, equation 12). Divided by alpha, they depend on the schedule through noise levels only.
"""

from functools import partial

import numpy as np

from airmass.diffusion.stepping import combine, denoised, mix, sampler_of


@partial(sampler_of, churn=False)
def ddpm(denoiser, y, current, following, noise):
    """A draw from q(y_t | y_s, D), the posterior of the process given the data D. `levels` evaluations."""
    kept = (following.level / current.level) ** 2
    clean = denoised(denoiser, y, current)
    return combine((kept, y), (1 - kept, clean), (following.level * np.sqrt(1 - kept), noise(0)))


@partial(sampler_of, churn=True)
def ddim(denoiser, y, current, following, noise):
    """The estimated noise scaled to the next level, no fresh noise. First order, `levels` evaluations."""
    return mix(y, denoised(denoiser, y, current), following.level / current.level)
