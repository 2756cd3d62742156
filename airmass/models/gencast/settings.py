"""Settings of a GenCast: its sizes, and how it learns from noise and samples; free of JAX."""

from dataclasses import dataclass, field

from airmass.core.errors import InputError
from airmass.diffusion.noise_levels import SamplerSettings, TrainingNoise, require_wider
from airmass.models.settings import ModelSettings, check_recompute


@dataclass(frozen=True)
class GenCastSettings(ModelSettings):
    """Sizes of a GenCast; the defaults are those of the published 1 degree model.

    The noise level is encoded by `frequencies` waves of its logarithm, the slowest of period `base_period`, and a
    perceptron of `encoder_sizes`, whose last is the size of the condition that every norm reads. `corner_length` is
    what features of mesh to grid edges are divided by; None is the longest of them.

    With `recompute` 0 the backward pass finds every activation kept; with k it makes those of k blocks at a time again,
    and those of each tile of encoder and decoder: memory for a third more arithmetic.

    With `innovation` the network draws what a frame adds to what a linear model expects after the history, every
    spherical harmonic of it brought to unit variance (docs/decisions/0014), in place of the published change since the
    last frame. What is expected is then an input too.
    """

    mesh_level: int = 5
    width: int = 512
    layers: int = 16
    heads: int = 4
    hops: int = 16
    feedforward: int = 2048
    hidden_layers: int = 1
    radius_fraction: float = 0.6
    corner_length: float | None = None
    frequencies: int = 32
    base_period: float = 16.0
    encoder_sizes: tuple[int, ...] = (32, 16)
    recompute: int = 1
    innovation: bool = False

    def __post_init__(self):
        check_recompute(self.recompute)


@dataclass(frozen=True)
class CalibrationSettings:
    """What the innovations of a trained denoiser are measured on (docs/decisions/0016).

    Forecasts of `frames` frames from `starts` times spread over the training dates; without starts there is no
    calibration. Harmonics of a degree below `first_degree` are left as they are drawn.
    """

    starts: int = 0
    frames: int = 6
    first_degree: int = 0

    def __post_init__(self):
        for name, least in (("starts", 0), ("frames", 1), ("first_degree", 0)):
            if getattr(self, name) < least:
                raise InputError(f"calibration: {name} is {getattr(self, name)}, expected {least} or more")


@dataclass(frozen=True)
class DiffusionSettings:
    """Noise that a denoiser learns from, and how its forecasts are sampled; training must be wider on both ends."""

    training: TrainingNoise = field(default_factory=TrainingNoise)
    sampling: SamplerSettings = field(default_factory=SamplerSettings)
    calibration: CalibrationSettings = field(default_factory=CalibrationSettings)

    def __post_init__(self):
        require_wider(self.training, self.sampling)
