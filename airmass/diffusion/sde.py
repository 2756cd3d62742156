"""Stochastic samplers: the reverse stochastic equation, and Langevin dynamics at fixed levels."""

from functools import partial

import numpy as np

from airmass.diffusion.ode import rate
from airmass.diffusion.stepping import combine, denoised, sampler_of

# A Langevin step moves this fraction of the way to the denoised array. Song & Ermon 2019 take steps of 2e-5 at the
# level 0.01, which in their units of level^2 / 2 is a tenth.
LANGEVIN_STEP = 0.1
# Langevin steps at each level: enough to remove the excess noise of the level before.
LANGEVIN_STEPS = 20
# Song et al. 2021 make one correction a step, of size 2 (0.16 level)^2 for a score of the norm of the noise.
CORRECTOR_STEP = 2 * 0.16**2


def reverse_step(denoiser, y, current, following, noise):
    """Euler-Maruyama step of dx = (f x - g^2 score) dt + g dW backwards in time. `levels` evaluations.

    Anderson 1982; Song et al. 2021, equation 6.
    """
    step = following.time - current.time
    of_y, of_clean = step * np.array(rate(current, 1.0))
    terms = (
        (current.alpha + of_y, y),
        (of_clean, denoised(denoiser, y, current)),
        (current.diffusion * np.sqrt(-step), noise(0)),
    )
    return combine(*((weight / following.alpha, array) for weight, array in terms))


reverse_sde = sampler_of(reverse_step, churn=False)


def langevin_step(denoiser, y, point, noise, share):
    """y + e score + sqrt(2 e) noise with e = share level^2, which conserves the distribution of y for a small share.

    The published corrector takes e from the norms of noise and score over a batch; here it is from their expectation,
    so that a sample does not depend on the others of its batch.
    """
    return combine((1 - share, y), (share, denoised(denoiser, y, point)), (point.level * np.sqrt(2 * share), noise))


@partial(sampler_of, churn=False)
def predictor_corrector(denoiser, y, current, following, noise):
    """A reverse step, then one Langevin step (Song et al. 2021, algorithm 1). 2 `levels` - 1 evaluations."""
    predicted = reverse_step(denoiser, y, current, following, noise)
    return langevin_step(denoiser, predicted, following, noise(1), CORRECTOR_STEP)


@partial(sampler_of, churn=False)
def langevin(denoiser, y, current, following, noise):
    """Annealed Langevin dynamics, SMLD (Song & Ermon 2019, algorithm 1). 1 + 20 (`levels` - 1) evaluations."""
    for number in range(LANGEVIN_STEPS):
        y = langevin_step(denoiser, y, following, noise(number), LANGEVIN_STEP)
    return y
