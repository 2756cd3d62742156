"""Settings of a GenCast: its sizes, and how it learns from noise and samples; free of JAX."""

from dataclasses import dataclass, field
from typing import Annotated

from airmass.core.errors import InputError
from airmass.core.typed import Range, check
from airmass.diffusion.noise_levels import TrainingNoise, require_wider
from airmass.diffusion.samplers.base import Sampler
from airmass.diffusion.samplers.dpmpp_2s import DPMSolver2S
from airmass.models.settings import ModelSettings


@dataclass(frozen=True)
class GenCastSettings(ModelSettings):
    """Sizes of a GenCast; the defaults are those of the published 1 degree model.

    The noise level is encoded by `frequencies` waves of its logarithm, the slowest of period `base_period`, and a
    perceptron of `encoder_sizes`, whose last is the size of the condition that every norm reads. `corner_length` is
    what features of mesh to grid edges are divided by; None is the longest of them.

    With `recompute` 0 the backward pass finds every activation kept; with k it makes those of k blocks at a time again,
    and those of each tile of encoder and decoder: memory for a third more arithmetic.

    With `linear_residual` the network draws what a frame adds to what a linear model expects after the history, every
    spherical harmonic of it brought to unit variance (docs/decisions/0014), in place of the published change since the
    last frame. What is expected is then an input too.
    """

    mesh_level: Annotated[int, Range(0, 8)] = 5
    width: Annotated[int, Range(1, 16384)] = 512
    layers: Annotated[int, Range(1, 1024)] = 16
    heads: Annotated[int, Range(1, 1024)] = 4
    hops: Annotated[int, Range(1, 256)] = 16
    feedforward: Annotated[int, Range(1, 65536)] = 2048
    hidden_layers: Annotated[int, Range(1, 64)] = 1
    radius_fraction: Annotated[float, Range(0, 10, above=True)] = 0.6
    corner_length: Annotated[float, Range(0, above=True)] | None = None
    frequencies: Annotated[int, Range(1, 4096)] = 32
    base_period: Annotated[float, Range(0, above=True)] = 16.0
    encoder_sizes: tuple[Annotated[int, Range(1, 16384)], ...] = (32, 16)
    recompute: Annotated[int, Range(0, 1024)] = 1
    linear_residual: bool = False

    def __post_init__(self):
        check(self, "model")
        if self.width % self.heads:
            raise InputError(f"model.width is {self.width}, expected a multiple of model.heads, {self.heads}")
        if not self.encoder_sizes:
            raise InputError("model.encoder_sizes is empty, expected one size or more")


@dataclass(frozen=True)
class CalibrationSettings:
    """Forecasts on which the residuals of a trained denoiser are measured (docs/decisions/0016).

    Forecasts of `frames` frames from `starts` times spread over the training dates; without starts there is no
    calibration. Harmonics of a degree below `first_degree` are left as they are drawn.
    """

    starts: Annotated[int, Range(0, 10**6)] = 0
    frames: Annotated[int, Range(1, 10_000)] = 6
    first_degree: Annotated[int, Range(0, 10_000)] = 0

    def __post_init__(self):
        check(self, "diffusion.calibration")


@dataclass(frozen=True)
class DiffusionSettings:
    """Noise that a denoiser learns from, and how its forecasts are sampled; training must be wider on both ends."""

    training: TrainingNoise = field(default_factory=TrainingNoise)
    sampling: Sampler = field(default_factory=DPMSolver2S)
    calibration: CalibrationSettings = field(default_factory=CalibrationSettings)

    def __post_init__(self):
        check(self, "diffusion")
        require_wider(self.training, self.sampling)
