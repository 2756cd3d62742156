"""The probability flow by a solver that adapts its steps."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from airmass.core.typed import Range
from airmass.diffusion.samplers.base import Sampler
from airmass.diffusion.stepping import denoised, scale


@dataclass(frozen=True)
class Adaptive(Sampler):
    """The probability flow by Dormand and Prince's solver, which adapts its steps to their error.

    `tolerance` is that of a step, relative, and absolute in units of the data; `levels` has no effect. In the logarithm
    u of the level the flow is dy/du = y - D for every process. JAX must be able to trace the denoiser, which is
    compiled at every call. The error is that of the whole array, so a sample's steps depend on the other samples in the
    array.
    """

    order: ClassVar[float | None] = None
    whole_array: ClassVar[bool] = True
    kind: str = "adaptive"
    tolerance: Annotated[float, Range(0, 1, above=True)] = 1e-4

    def sample(self, denoiser, draw, grid=None):
        import jax

        first, *_, last = grid or self.grid
        flow = jax.jit(lambda y: self._integrate(denoiser, y, first.level, last.level))
        return denoised(denoiser, flow(scale(draw(0), first.level)), last)

    def _integrate(self, denoiser, y, first: float, last: float):
        import diffrax
        import jax.numpy as jnp

        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(lambda u, y, _: y - denoiser(y, jnp.exp(u))),
            diffrax.Dopri5(),
            t0=np.float32(np.log(first)),
            t1=np.float32(np.log(last)),
            dt0=None,
            y0=y,
            stepsize_controller=diffrax.PIDController(rtol=self.tolerance, atol=self.tolerance),
            adjoint=diffrax.ForwardMode(),  # compiles faster; no reverse-mode gradient is needed
        )
        return solution.ys[0]
