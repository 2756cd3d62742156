"""Settings of a ConvLSTM, free of JAX."""

from dataclasses import dataclass
from typing import Annotated

from airmass.core.errors import InputError
from airmass.core.typed import Range, check
from airmass.models.settings import ModelSettings


@dataclass(frozen=True)
class ConvLSTMSettings(ModelSettings):
    """Sizes of a ConvLSTM: `layers` recurrent layers of `width` channels, with convolutions of `kernel` grid points."""

    width: Annotated[int, Range(1, 16384)] = 32
    layers: Annotated[int, Range(1, 1024)] = 2
    kernel: Annotated[int, Range(1, 99)] = 3

    def __post_init__(self):
        check(self, "model")
        if self.kernel % 2 == 0:
            raise InputError(f"model.kernel is {self.kernel}, expected an odd number")
